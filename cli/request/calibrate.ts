/**
 * Whether a command may calibrate the device that it opens.
 *
 * @module
 */
import { Option } from "commander";
import type { Remarks } from "../bench/calibrated.ts";
import { UsageError } from "../exit.ts";
import type { Output } from "../output.ts";

/** The environment variable that stands for the flag where it is not given. */
const VARIABLE = "LCE_CALIBRATE";

/** What flags say of calibration. */
export interface CalibrateFlags {
  readonly calibrate?: boolean | undefined;
  readonly quiet?: boolean | undefined;
}

/** Returns the flag that leaves calibration out. */
export function calibrateFlag(): Option {
  return new Option(
    "--no-calibrate",
    "assume rates of a device that nobody has measured, instead of measuring it at its first use",
  );
}

/**
 * Returns what a calibration is to be told to, where there may be one.
 *
 * @throws {UsageError} where the environment says neither.
 */
export function remarksOf(
  { calibrate = true, quiet = false }: CalibrateFlags,
  { note, progress }: Output,
): Remarks | undefined {
  const named = Deno.env.get(VARIABLE) || "1";
  if (named !== "0" && named !== "1") {
    throw new UsageError(`${VARIABLE} ${named}: must be 0 or 1`);
  }
  if (!calibrate || named === "0") return undefined;
  return { progress, note: quiet ? () => {} : note };
}

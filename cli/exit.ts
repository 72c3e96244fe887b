/**
 * Exit codes, and what each kind of failure says to a person.
 *
 * @module
 */
import { CommanderError } from "commander";
import { InputError } from "../fixtures/errors.ts";
import { MpiError, RankError } from "../kernels/ranks/errors.ts";
import { HalvesError } from "../kernels/run/halves.ts";
import { GpuError, isOfDevice, NoDeviceError, OutOfMemoryError } from "../kernels/run/errors.ts";
import { ParallelismError } from "../planner/parallel.ts";
import { DoesNotFitError, FixedSizeError } from "../planner/plan.ts";

/** What the process reports to whoever started it. */
export const EXIT = {
  ok: 0,
  /** A result disagrees with the truth, memory with its prediction, or either with `--against`. */
  verification: 1,
  /** Wrong flags or values. */
  usage: 2,
  /** No WebGPU device, or it failed. */
  device: 3,
  /** A file is missing, malformed or does not fit. */
  input: 4,
  /** No schedule fits the device or the budget, or the device has less memory than it says. */
  doesNotFit: 5,
  /** A defect of ours. */
  internal: 70,
  /** Ctrl-C, as shells have it: 128 and the number of the signal. */
  interrupted: 130,
  /** The same of a request to end. */
  terminated: 143,
} as const;

/** Exit codes as help, pages and the README say them. */
export const EXIT_CODES: readonly { readonly code: number; readonly meaning: string }[] = [
  { code: EXIT.ok, meaning: "good" },
  { code: EXIT.verification, meaning: "verification failed, or worse than --against allows" },
  { code: EXIT.usage, meaning: "usage" },
  { code: EXIT.device, meaning: "no device" },
  { code: EXIT.input, meaning: "bad input file, or an output that cannot be written" },
  { code: EXIT.doesNotFit, meaning: "does not fit" },
  { code: EXIT.internal, meaning: "a defect of lce" },
  { code: EXIT.interrupted, meaning: "interrupted: lce run --resume goes on behind what is kept" },
  { code: EXIT.terminated, meaning: "the same, where it was told to end" },
];

/** A wrong flag or value: what was wrong, and what would be right. */
export class UsageError extends Error {
  override name = "UsageError";
}

/** How to get a device, for those who have none. */
const DEVICE_HINT =
  `On Linux without a GPU, scripts/setup.sh installs a software device (Mesa's lavapipe); Dawn
takes the one that scripts/setup.sh --swiftshader brings, where VK_DRIVER_FILES is
~/.cache/lce/swiftshader/vk_swiftshader_icd.json, or a newer Mesa.
"lce plan" needs no device at all.`;

/** How to ask for less. */
const LESS_MEMORY =
  "Other programs may hold some; --budget, or a smaller --window or --shape, takes less.";

/**
 * Returns the exit code of a failure and the text for stderr; no text where it was printed already.
 */
export function explain(error: unknown): { code: number; text: string | undefined } {
  if (error instanceof CommanderError) {
    return { code: error.exitCode === 0 ? EXIT.ok : EXIT.usage, text: undefined };
  }
  if (
    error instanceof UsageError || error instanceof ParallelismError ||
    error instanceof FixedSizeError
  ) {
    return { code: EXIT.usage, text: error.message };
  }
  if (error instanceof InputError) return { code: EXIT.input, text: error.message };
  if (error instanceof DoesNotFitError) return { code: EXIT.doesNotFit, text: error.message };
  if (error instanceof NoDeviceError) {
    return { code: EXIT.device, text: `${error.message}.\n${error.remedy ?? DEVICE_HINT}` };
  }
  if (error instanceof RankError) return { code: error.code, text: error.message };
  if (error instanceof MpiError) return { code: EXIT.device, text: error.message };
  if (error instanceof OutOfMemoryError) {
    return { code: EXIT.doesNotFit, text: `${error.message}.\n${LESS_MEMORY}` };
  }
  if (error instanceof HalvesError) {
    return { code: EXIT.doesNotFit, text: `${error.message} (--tier f32)` };
  }
  if (error instanceof GpuError) return { code: EXIT.device, text: error.message };
  // A call of WebGPU says what, but not whose fault it is.
  if (isOfDevice(error)) {
    return { code: EXIT.device, text: `The device failed: ${error.message}` };
  }
  // Whoever reads our output has read enough: `lce plan | head`.
  if (error instanceof Deno.errors.BrokenPipe) return { code: EXIT.ok, text: undefined };
  const detail = error instanceof Error
    ? (Deno.env.get("LCE_DEBUG") ? error.stack : error.message)
    : String(error);
  return {
    code: EXIT.internal,
    text: `internal error: ${detail}\nThis is a defect of lce; LCE_DEBUG=1 shows where.`,
  };
}

/**
 * Rates of a device that nobody has measured: taken once, at its first use on this
 * machine, and kept. What `lce tune` measures, and what is known of a family of chips,
 * goes before them.
 *
 * @module
 */
import { calibrate } from "../../kernels/measure/calibrate.ts";
import type { AcquiredDevice } from "../../kernels/run/device.ts";
import { GpuError, isOfDevice, throwIfLost } from "../../kernels/run/errors.ts";
import type { DeviceProfile, DeviceRates } from "../../planner/device.ts";
import { ratesSchema } from "../../planner/device_schema.ts";
import { DoesNotFitError } from "../../planner/plan.ts";
import { formatSeconds } from "../../planner/units.ts";
import { Kept } from "../files/kept.ts";
import type { Output } from "../output.ts";
import { tunedKey, withTunedRates } from "./tuned.ts";

/** The file of calibrated rates: not that of tuned ones, which they can so never replace. */
export const CALIBRATED: Kept<DeviceRates> = new Kept("calibrated.json", ratesSchema);

/** Where a calibration says what it does. */
export type Remarks = Pick<Output, "note" | "progress">;

/**
 * Returns the profile of a device with its rates: tuned on this machine, else known of its family,
 * else calibrated, now if it never was.
 *
 * @param remarks is told of a calibration; where it is left out, there is none, and none is used.
 * @throws {GpuError} when the device is lost meanwhile.
 */
export async function ratedProfile(
  acquired: AcquiredDevice,
  remarks: Remarks | undefined,
): Promise<DeviceProfile> {
  const profile = await withTunedRates(acquired.profile);
  if (profile.rates || !remarks) return profile;
  const kept = (await CALIBRATED.readAll())[tunedKey(profile)];
  const rates = kept ?? await firstRates({ ...acquired, profile }, remarks);
  return rates ? { ...profile, rates } : profile;
}

/** Calibrates a device and keeps its rates; none where it cannot be. */
async function firstRates(
  { device, profile, software }: AcquiredDevice,
  { note, progress }: Remarks,
): Promise<DeviceRates | undefined> {
  const begun = performance.now();
  let rates: DeviceRates;
  try {
    const onProgress = (what: string) => progress(`measuring ${profile.name}, once: ${what}`);
    const source = `calibrated on this machine, ${new Date().toISOString().slice(0, 10)}`;
    rates = { ...await calibrate(device, profile, { software, onProgress }), source };
  } catch (error) {
    if (!(isOfDevice(error) || error instanceof DoesNotFitError)) throw error;
    await throwIfLost(device).catch((loss) => {
      throw new GpuError(`${loss.message} (while it was calibrated: --no-calibrate does not)`);
    });
    note(`${profile.name} cannot be calibrated, so that assumed rates are used: ${error.message}`);
    return undefined;
  }
  const seconds = formatSeconds((performance.now() - begun) / 1000);
  const kept = await CALIBRATED.keep(tunedKey(profile), rates).then(
    (path) => `kept in ${path}`,
    (error) => `not kept: ${error.message}`,
  );
  note(`Calibrated ${profile.name} in ${seconds} for plans by its speed, ${kept}`);
  return rates;
}

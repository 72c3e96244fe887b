/**
 * Rates that `lce tune` measured on this machine, kept between runs: one entry
 * for each device, driver and text of the kernels.
 *
 * @module
 */
import { kernelVersion } from "../../kernels/wgsl/version.ts";
import type { DeviceProfile, DeviceRates } from "../../planner/device.ts";
import { ratesSchema } from "../../planner/device_schema.ts";
import { Kept } from "../files/kept.ts";
import { webgpuVersion } from "../request/webgpu.ts";

/** The file of tuned rates. */
export const TUNED: Kept<DeviceRates> = new Kept("tuned.json", ratesSchema);

/**
 * Returns what tuned rates hold for. WebGPU does not tell the driver's version; Deno's own stands
 * for that of the WebGPU implementation within it.
 */
export function tunedKey({ name, webgpu, limits }: DeviceProfile): string {
  const limitsText = Object.values(limits).join(" ");
  return `${name} | ${Deno.build.os} ${webgpuVersion(webgpu)} | ${limitsText} | ${kernelVersion()}`;
}

/** Returns a profile with the rates tuned on this machine, where there are some. */
export async function withTunedRates(profile: DeviceProfile): Promise<DeviceProfile> {
  const rates = (await TUNED.readAll())[tunedKey(profile)];
  if (!rates) return profile;
  // What was not tuned, products in matrices, is as it was known before.
  const { matrix, split } = { ...profile.rates, ...rates };
  return {
    ...profile,
    rates: { ...rates, ...(matrix ? { matrix } : {}), ...(split ? { split } : {}) },
  };
}

/**
 * Keeps rates for a device, in place of what was kept for it before.
 *
 * @throws {InputError} when the file cannot be written.
 */
export function keepTunedRates(profile: DeviceProfile, rates: DeviceRates): Promise<string> {
  return TUNED.keep(tunedKey(profile), rates);
}

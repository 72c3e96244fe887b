/**
 * A device that compiles and computes nothing: Dawn's null backend. It has every feature that
 * Dawn knows, subgroup matrices among them, on any machine.
 *
 * @module
 */
import { dawnSpecifier } from "../cli/request/webgpu.ts";
import { type AcquiredDevice, acquireDevice } from "../kernels/run/device.ts";
import { openProvider } from "../kernels/run/provider.ts";

/** Whether Dawn is on this machine: `scripts/setup.sh --dawn` brings it. */
export const DAWN_IS_HERE = (() => {
  const specifier = dawnSpecifier();
  if (!specifier.startsWith("file:")) return true;
  try {
    return Deno.statSync(new URL(specifier)).isFile;
  } catch {
    return false;
  }
})();

/** Returns a device of Dawn's that runs on nothing. */
export async function openNullDevice(): Promise<AcquiredDevice> {
  const provider = await openProvider("dawn", { dawn: dawnSpecifier(), backend: "null" });
  return await acquireDevice({ provider });
}

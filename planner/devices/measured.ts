/**
 * Speeds of devices that were measured, by the names that adapters give
 * themselves. `bench/` has the runs they come from.
 *
 * @module
 */
import type { DeviceRates } from "../device.ts";

const MEASURED: readonly { readonly name: RegExp; readonly rates: DeviceRates }[] = [
  {
    // As lce tune found them; two workgroups of 256 run on each of 132 multiprocessors.
    name: /\bH100\b/,
    rates: {
      flopsPerSecond: 44.7e12,
      bytesPerSecond: 3.08e12,
      secondsPerDispatch: 3.4e-6,
      parallelInvocations: 132 * 512,
      source: "shipped, measured on an H100 80GB HBM3 under Deno (bench/h100.md)",
    },
  },
];

/** Measured rates of a device, or `undefined` where none of its name was measured. */
export function measuredRates(adapter: string): DeviceRates | undefined {
  return MEASURED.find(({ name }) => name.test(adapter))?.rates;
}

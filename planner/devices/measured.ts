/**
 * Speeds of devices that were measured, by the names that adapters give themselves and
 * the implementation of WebGPU that they were reached by. `bench/` has the runs they
 * come from.
 *
 * @module
 */
import type { DeviceRates, WebGpuName } from "../device.ts";

/** Rates of a chip under one implementation. */
interface Measured {
  readonly name: RegExp;
  readonly webgpu: WebGpuName;
  readonly rates: DeviceRates;
}

const MEASURED: readonly Measured[] = [
  {
    // As lce tune found them; two workgroups of 256 run on each of 132 multiprocessors.
    name: /\bH100\b/,
    webgpu: "deno",
    rates: {
      flopsPerSecond: 44.7e12,
      bytesPerSecond: 3.08e12,
      secondsPerDispatch: 3.4e-6,
      parallelInvocations: 132 * 512,
      source: "shipped, measured on an H100 80GB HBM3 under Deno (bench/h100.md)",
    },
  },
  {
    // What crosses memory, and f32, as under Deno; two workgroups of 128 invocations in matrices.
    name: /\bh100\b/i,
    webgpu: "dawn",
    rates: {
      flopsPerSecond: 44.7e12,
      bytesPerSecond: 3.08e12,
      secondsPerDispatch: 3.4e-6,
      parallelInvocations: 132 * 512,
      matrix: { flopsPerSecond: 318e12, parallelInvocations: 132 * 256 },
      source: "shipped, measured on an H100 80GB HBM3 under Dawn (bench/matrix.md)",
    },
  },
];

/** Measured rates of a device under an implementation, or `undefined` where none are known. */
export function measuredRates(
  adapter: string,
  webgpu: WebGpuName | undefined,
): DeviceRates | undefined {
  return MEASURED.find((each) => each.webgpu === webgpu && each.name.test(adapter))?.rates;
}

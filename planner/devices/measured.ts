/**
 * Speeds of devices that were measured, by the names that adapters give themselves and
 * the implementation of WebGPU that they were reached by. `bench/` has the runs they
 * come from.
 *
 * @module
 */
import type { DeviceRates, WebGpuName } from "../device.ts";

/** Rates of a family of chips under one implementation. */
interface Measured {
  readonly names: RegExp;
  readonly webgpu: WebGpuName;
  readonly rates: DeviceRates;
}

/**
 * Hopper's large chips, by the names of their adapters: as many multiprocessors at the same
 * clock, whose memory is all that differs. The H20 and the PCIe cards are others.
 */
const HOPPER = /\b(H100|H200|H800|GH200)\b(?!.*\bPCIe\b)/i;

const MEASURED: readonly Measured[] = [
  {
    // As lce tune found them; two workgroups of 256 run on each of 132 multiprocessors.
    names: HOPPER,
    webgpu: "deno",
    rates: {
      flopsPerSecond: 44.7e12,
      bytesPerSecond: 3.08e12,
      secondsPerDispatch: 3.4e-6,
      parallelInvocations: 132 * 512,
      source: "shipped, measured on an H100 80GB HBM3 under Deno (bench/h100.md)",
    },
  },
  ...([["dawn-unchecked", 318e12, 104e12], ["dawn", 225e12, 78e12]] as const).map((
    [webgpu, inMatrices, split],
  ) => ({
    // Two workgroups of 128 run in matrices. Memory and dispatches as under Deno; products in f32
    // were timed without checks of bounds.
    names: HOPPER,
    webgpu,
    rates: {
      flopsPerSecond: 40e12,
      bytesPerSecond: 3.08e12,
      secondsPerDispatch: 3.4e-6,
      parallelInvocations: 132 * 512,
      matrix: { flopsPerSecond: inMatrices, parallelInvocations: 132 * 256 },
      split: { flopsPerSecond: split, parallelInvocations: 132 * 256 },
      source: `shipped, measured on an H100 80GB HBM3 under ${webgpu} (bench/matrix.md)`,
    },
  })),
];

/**
 * Returns the measured rates of a device under an implementation, or `undefined` where none are
 * known.
 */
export function measuredRates(
  adapter: string,
  webgpu: WebGpuName | undefined,
): DeviceRates | undefined {
  return MEASURED.find((each) => each.webgpu === webgpu && each.names.test(adapter))?.rates;
}

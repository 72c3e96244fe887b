/**
 * What a device allows. A profile is data: the planner never asks a GPU.
 *
 * @module
 */
import type { RatedTile } from "./schedule/bodies.ts";

/** The WebGPU limits that shape a schedule, by their names in the specification. */
export interface DeviceLimits {
  /** Bytes of the largest buffer. */
  readonly maxBufferSize: number;
  /** Bytes of a buffer that one binding can reach. */
  readonly maxStorageBufferBindingSize: number;
  /** Bytes that the offset of a storage binding must be a multiple of. */
  readonly minStorageBufferOffsetAlignment: number;
  /** Bytes that the offset of a uniform binding must be a multiple of. */
  readonly minUniformBufferOffsetAlignment: number;
  /** Storage buffers that one kernel can bind. */
  readonly maxStorageBuffersPerShaderStage: number;
  /** Bytes of workgroup memory. */
  readonly maxComputeWorkgroupStorageSize: number;
  /** Invocations of one workgroup. */
  readonly maxComputeInvocationsPerWorkgroup: number;
  /** Invocations of one workgroup in x. */
  readonly maxComputeWorkgroupSizeX: number;
  /** Workgroups of one dispatch in each dimension. */
  readonly maxComputeWorkgroupsPerDimension: number;
}

/** Measured speed of products in one kind of body. */
export interface BodyRates {
  /** FLOP/s of the fastest tile, a multiply-add counted as two. */
  readonly flopsPerSecond: number;
  /** Invocations that run at the same time. */
  readonly parallelInvocations: number;
  /** Tiles, the fastest first; the shipped ones where it is left out. */
  readonly tiles?: readonly RatedTile[] | undefined;
}

/** Measured speed of a device. */
export interface DeviceRates {
  /** FLOP/s of the matrix kernels in f32, a multiply-add counted as two. */
  readonly flopsPerSecond: number;
  /** Bytes per second to and from memory. */
  readonly bytesPerSecond: number;
  /** Seconds from the end of one dispatch to the start of the next. */
  readonly secondsPerDispatch: number;
  /** Invocations of matrix kernels that run at the same time. */
  readonly parallelInvocations: number;
  /** Bytes that caches hold well enough for tiles to need no order. */
  readonly cacheBytes?: number | undefined;
  /** Bytes per second between host and device. */
  readonly hostBytesPerSecond?: number | undefined;
  /** Tiles of the matrix kernels, the fastest first; the shipped ones where it is left out. */
  readonly tiles?: readonly RatedTile[] | undefined;
  /** The same of products in subgroup matrices, where they were measured. */
  readonly matrix?: BodyRates | undefined;
  /** The same of products of f32 in subgroup matrices, each operand split in two. */
  readonly split?: BodyRates | undefined;
  /** Where the figures come from. */
  readonly source?: string | undefined;
}

/** A shape of subgroup matrices that a device can multiply: `m x k` by `k x n`. */
export interface MatrixConfiguration {
  /** Rows of the left operand and of the result. */
  readonly m: number;
  /** Columns of the right operand and of the result. */
  readonly n: number;
  /** The depth that is summed. */
  readonly k: number;
  /** Type of the operands' elements, as WGSL writes it. */
  readonly component: string;
  /** Type of the result's elements. */
  readonly result: string;
}

/**
 * Implementations of WebGPU that a device can be reached by. One chip has limits,
 * matrices and speeds of its own under each: `deno` is wgpu, `dawn` the npm package
 * `webgpu` with its checks of bounds, `dawn-unchecked` without them, and `browser`
 * whatever a page is run by.
 */
export type WebGpuName = "deno" | "dawn" | "dawn-unchecked" | "browser";

/** How many invocations a subgroup can have. */
export interface SubgroupSizes {
  /** The fewest. */
  readonly min: number;
  /** The most. */
  readonly max: number;
}

/** Name, limits and, where known, features and measured speed of a device. */
export interface DeviceProfile {
  /** For people. */
  readonly name: string;
  /** The implementation of WebGPU that the rest holds for; absent where it is not known. */
  readonly webgpu?: WebGpuName | undefined;
  /** What schedules keep to. */
  readonly limits: DeviceLimits;
  /** Optional WebGPU features of the device, such as `shader-f16` and `subgroups`. */
  readonly features?: readonly string[] | undefined;
  /** Absent where kernels cannot use subgroups. */
  readonly subgroups?: SubgroupSizes | undefined;
  /** Shapes of subgroup matrices, on devices that have any. */
  readonly matrices?: readonly MatrixConfiguration[] | undefined;
  /** Absent where nothing was measured. */
  readonly rates?: DeviceRates | undefined;
}

/**
 * The default limits of the WebGPU specification: what every adapter offers
 * (https://www.w3.org/TR/webgpu/#limits).
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * assert.equal(SPECIFICATION_DEFAULTS.limits.maxBufferSize, 256 * 2 ** 20);
 * ```
 */
export const SPECIFICATION_DEFAULTS: DeviceProfile = {
  name: "WebGPU specification defaults",
  limits: {
    maxBufferSize: 268435456,
    maxStorageBufferBindingSize: 134217728,
    minStorageBufferOffsetAlignment: 256,
    minUniformBufferOffsetAlignment: 256,
    maxStorageBuffersPerShaderStage: 8,
    maxComputeWorkgroupStorageSize: 16384,
    maxComputeInvocationsPerWorkgroup: 256,
    maxComputeWorkgroupSizeX: 256,
    maxComputeWorkgroupsPerDimension: 65535,
  },
};

/** The limit names, in the order of the specification. */
export const LIMIT_NAMES = Object.keys(
  SPECIFICATION_DEFAULTS.limits,
) as (keyof DeviceLimits)[];

/** Returns the most bytes that one buffer and one binding of it hold. */
export function heldBytes(
  { maxBufferSize, maxStorageBufferBindingSize }: Pick<
    DeviceLimits,
    "maxBufferSize" | "maxStorageBufferBindingSize"
  >,
): number {
  return Math.min(maxBufferSize, maxStorageBufferBindingSize);
}

/**
 * Returns the same device without size limits: for adding up what a method would need if it could
 * run.
 */
export function unlimited(device: DeviceProfile): DeviceProfile {
  return {
    ...device,
    limits: {
      ...device.limits,
      maxBufferSize: Number.MAX_SAFE_INTEGER,
      maxStorageBufferBindingSize: Number.MAX_SAFE_INTEGER,
      maxComputeWorkgroupsPerDimension: Number.MAX_SAFE_INTEGER,
      maxStorageBuffersPerShaderStage: Number.MAX_SAFE_INTEGER,
    },
  };
}

/**
 * Limits that no WebGPU adapter can have, by the rules that the specification
 * sets for adapters (https://www.w3.org/TR/webgpu/#limits). A profile that
 * breaks one describes no device, and a plan for it would be worth nothing.
 *
 * One rule is left out: a storage binding that is no multiple of 4 bytes. Native
 * implementations report 2^31 - 1 and 2^32 - 1, and the planner binds whole rows.
 *
 * @module
 */
import { type DeviceLimits, LIMIT_NAMES, SPECIFICATION_DEFAULTS } from "../device.ts";

/** An impossible limit. */
export interface ImpossibleLimit {
  readonly limit: keyof DeviceLimits;
  readonly value: number;
  /** What is wrong with it, and the bound. */
  readonly message: string;
}

/** Where the compatibility mode promises less than the defaults; the rest it promises too. */
export const COMPATIBILITY_MINIMUMS: Readonly<Partial<DeviceLimits>> = {
  maxComputeInvocationsPerWorkgroup: 128,
  maxComputeWorkgroupSizeX: 128,
};

/** The smallest alignment that an adapter may ask for, in bytes. */
const SMALLEST_ALIGNMENT = 32;

/** Pairs of which the first may not exceed the second. */
const ORDERED: readonly (readonly [keyof DeviceLimits, keyof DeviceLimits])[] = [
  ["maxStorageBufferBindingSize", "maxBufferSize"],
  ["maxComputeWorkgroupSizeX", "maxComputeInvocationsPerWorkgroup"],
];

/**
 * Returns the impossible limits, each with why; none for a device that can exist.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { SPECIFICATION_DEFAULTS } from "../device.ts";
 *
 * const { limits } = SPECIFICATION_DEFAULTS;
 * assert.deepEqual(impossibleLimits(limits), []);
 * const [found] = impossibleLimits({ ...limits, maxBufferSize: 1000 });
 * assert.equal(found?.limit, "maxBufferSize");
 * ```
 */
export function impossibleLimits(limits: DeviceLimits): ImpossibleLimit[] {
  const found: ImpossibleLimit[] = [];
  const add = (limit: keyof DeviceLimits, message: string) => {
    if (found.some((other) => other.limit === limit)) return;
    found.push({ limit, value: limits[limit], message });
  };
  for (const limit of LIMIT_NAMES) {
    const value = limits[limit];
    const promised = SPECIFICATION_DEFAULTS.limits[limit];
    if (limit.startsWith("min")) {
      if (!Number.isInteger(Math.log2(value))) add(limit, "must be a power of two");
      if (value < SMALLEST_ALIGNMENT) add(limit, `must be at least ${SMALLEST_ALIGNMENT}`);
      if (value > promised) {
        add(limit, `must be at most ${promised}, which every WebGPU device meets`);
      }
      continue;
    }
    const least = COMPATIBILITY_MINIMUMS[limit];
    if (value < (least ?? promised)) {
      add(
        limit,
        `must be at least ${least ?? promised}, the minimum of WebGPU${
          least === undefined ? "" : "'s compatibility mode"
        }`,
      );
    }
  }
  for (const [limit, bound] of ORDERED) {
    // An impossible bound says nothing about what it bounds.
    if (limits[limit] > limits[bound] && !found.some((other) => other.limit === bound)) {
      add(limit, `must not exceed ${bound}, which is ${limits[bound]}`);
    }
  }
  return found;
}

/**
 * Schemas of what a device allows: profiles and rates come from files.
 *
 * @module
 */
import * as z from "zod/mini";
import type { DeviceLimits, DeviceProfile, DeviceRates } from "./device.ts";
import type { Same } from "./same.ts";
import { described, optional } from "./setting.ts";

/** Checks a count of something: a whole number from 1. */
const count: z.ZodMiniType<number, number> = z.int().check(z.positive());

/** Schema of {@linkcode DeviceLimits}. */
const limitsSchema = z.strictObject({
  maxBufferSize: count,
  maxStorageBufferBindingSize: count,
  minStorageBufferOffsetAlignment: count,
  minUniformBufferOffsetAlignment: count,
  maxStorageBuffersPerShaderStage: count,
  maxComputeWorkgroupStorageSize: count,
  maxComputeInvocationsPerWorkgroup: count,
  maxComputeWorkgroupSizeX: count,
  maxComputeWorkgroupsPerDimension: count,
});

const positive = z.number().check(z.positive());
const text = z.string();

const inSubgroups = {
  subgroups: z.strictObject({ rows: count, cols: count, size: count }),
  fragment: z.strictObject({ m: count, n: count, k: count }),
  emulated: z.optional(z.boolean()),
};

const bodySchema = z.discriminatedUnion("kind", [
  z.strictObject({ kind: z.literal("registers"), microRows: count, microCols: count }),
  z.strictObject({ kind: z.literal("matrix"), ...inSubgroups }),
  z.strictObject({ kind: z.literal("split"), ...inSubgroups }),
]);

/** A tile without a body is one in registers, as files had it when there was no other. */
function withBody(tile: unknown): unknown {
  if (typeof tile !== "object" || tile === null || "body" in tile) return tile;
  const { microRows, microCols, ...rest } = tile as Record<string, unknown>;
  return { ...rest, body: { kind: "registers", microRows, microCols } };
}

const ratedTileSchema = z.pipe(
  z.transform(withBody),
  z.strictObject({
    rows: count,
    cols: count,
    depth: count,
    body: bodySchema,
    rate: described("arithmetic rate, relative to the fastest tile with such a body", positive),
  }),
);
const ratedTilesSchema = z.array(ratedTileSchema).check(z.minLength(1));

const bodyRatesSchema = z.strictObject({
  flopsPerSecond: positive,
  parallelInvocations: count,
  tiles: z.optional(ratedTilesSchema),
});

/** Schema of {@linkcode DeviceRates}. */
export const ratesSchema = z.strictObject({
  flopsPerSecond: described("f32 multiply-add rate of the matrix kernels", positive),
  bytesPerSecond: described("memory bandwidth", positive),
  secondsPerDispatch: z.number().check(z.nonnegative()),
  parallelInvocations: described("invocations of matrix kernels that run at the same time", count),
  cacheBytes: optional(
    "bytes that caches hold well enough for tiles to need no order",
    z.int().check(z.nonnegative()),
  ),
  hostBytesPerSecond: optional("bandwidth between host and device", positive),
  tiles: optional(
    "tiles of the matrix kernels, the fastest first; the shipped ones by default",
    ratedTilesSchema,
  ),
  matrix: optional("the same of products in subgroup matrices", bodyRatesSchema),
  split: optional(
    "the same of products of f32 in subgroup matrices, each operand split in two",
    bodyRatesSchema,
  ),
  source: optional("where the figures come from", text),
});

const matrixSchema = z.strictObject({
  m: count,
  n: count,
  k: count,
  component: text,
  result: text,
});

const subgroupsSchema = z.strictObject({ min: count, max: count });

/** Schema of a {@linkcode DeviceProfile}. */
export const deviceProfileSchema = z.strictObject({
  name: text.check(z.minLength(1)),
  webgpu: optional(
    "implementation of WebGPU that the profile holds for",
    z.enum(["deno", "dawn", "dawn-unchecked", "browser"]),
  ),
  limits: limitsSchema,
  features: optional(
    "optional WebGPU features of the device, such as shader-f16 and subgroups",
    z.array(text),
  ),
  subgroups: optional(
    "invocations of a subgroup, where kernels can use subgroups",
    subgroupsSchema,
  ),
  matrices: optional(
    "shapes of subgroup matrices, on devices that have any",
    z.array(matrixSchema),
  ),
  rates: z.optional(ratesSchema),
});

true satisfies Same<z.output<typeof limitsSchema>, DeviceLimits>;
true satisfies Same<z.output<typeof ratesSchema>, DeviceRates>;
true satisfies Same<z.output<typeof deviceProfileSchema>, DeviceProfile>;

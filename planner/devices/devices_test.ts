import assert from "node:assert/strict";
import { measuredRates } from "./measured.ts";
import fc from "fast-check";
import { type DeviceLimits, LIMIT_NAMES, SPECIFICATION_DEFAULTS } from "../device.ts";
import { makePlan } from "../plan.ts";
import { MATRIX_FEATURES } from "../schedule/matrix_tiles.ts";
import { tileProblem } from "../schedule/tile.ts";
import { parseProblem } from "../problem_schema.ts";
import { impossibleLimits } from "./impossible.ts";
import { findDevice, NAMED_DEVICES } from "./profiles.ts";

const { limits: DEFAULTS } = SPECIFICATION_DEFAULTS;

Deno.test("every named device can exist, has a source, and can be planned for", () => {
  const names = NAMED_DEVICES.map(({ name }) => name);
  assert.equal(new Set(names).size, names.length);
  const problem = parseProblem({ tokens: 512, hidden: 256, vocab: 8192, pass: "train" });
  for (const { name, profile, source } of NAMED_DEVICES) {
    assert.match(name, /^[a-z0-9]+(-[a-z0-9]+)*$/);
    assert(source.length > 0, name);
    assert.deepEqual(impossibleLimits(profile.limits), [], name);
    assert(makePlan(problem, profile).memory.peakBytes > 0, name);
  }
});

Deno.test("Chrome's buckets are the sizes of their names, as far as a whole binding reaches", () => {
  const buckets = NAMED_DEVICES.filter(({ name }) => /^chrome-\d/.test(name));
  assert(buckets.length >= 6);
  for (const { name, profile: { limits } } of buckets) {
    const [, count, unit] = /^chrome-(\d+)(mib|gib)$/.exec(name)!;
    const bytes = Number(count) * (unit === "mib" ? 2 ** 20 : 2 ** 30);
    const binding = limits.maxStorageBufferBindingSize;
    // Bindings are whole words, and what counts them may be signed.
    assert.equal(binding, bytes < 2 ** 31 ? bytes : bytes - 4, name);
    assert(limits.maxBufferSize >= binding && limits.maxBufferSize <= 2 * binding, name);
  }
});

Deno.test("a device that is reached two ways has the limits of its hardware both ways", () => {
  const limits = (name: string) => findDevice(name)!.profile.limits;
  for (
    const [chrome, deno] of [["nvidia-chrome", "nvidia-deno"], [
      "apple-m-chrome",
      "apple-m3-max-deno",
    ]]
  ) {
    for (
      const key of ["maxComputeWorkgroupStorageSize", "maxComputeInvocationsPerWorkgroup"] as const
    ) {
      assert.equal(limits(chrome!)[key], limits(deno!)[key], `${chrome} ${key}`);
    }
    // Chrome rounds down.
    for (const key of ["maxBufferSize", "maxStorageBufferBindingSize"] as const) {
      assert(limits(chrome!)[key] <= limits(deno!)[key], `${chrome} ${key}`);
    }
  }
});

Deno.test("only devices that were measured have rates, those of the measurement", async () => {
  const rated = NAMED_DEVICES.filter(({ profile }) => profile.rates).map(({ name }) => name);
  assert.deepEqual(rated, ["h100-deno", "h100-dawn", "h100-dawn-unchecked"]);
  const page = await Deno.readTextFile(new URL("../../bench/h100.md", import.meta.url));
  const [, measured] = /([\d.]+)\s+TFLOP\/s\s+for\s+products/.exec(page)!;
  assert.equal(findDevice("h100-deno")!.profile.rates!.flopsPerSecond, Number(measured) * 1e12);
  const matrices = await Deno.readTextFile(new URL("../../bench/matrix.md", import.meta.url));
  const [, unchecked, checked] = /(\d+) TFLOP\/s for products in matrices[^(]*\((\d+) with checks/
    .exec(matrices)!;
  const inMatrices = (name: string) => findDevice(name)!.profile.rates!.matrix!.flopsPerSecond;
  assert.equal(inMatrices("h100-dawn-unchecked"), Number(unchecked) * 1e12);
  assert.equal(inMatrices("h100-dawn"), Number(checked) * 1e12);
  const [, splitUnchecked, splitChecked] =
    /(\d+) TFLOP\/s for operands split in two[^(]*\((\d+) with\s+checks/.exec(matrices)!;
  const split = (name: string) => findDevice(name)!.profile.rates!.split!.flopsPerSecond;
  assert.equal(split("h100-dawn-unchecked"), Number(splitUnchecked) * 1e12);
  assert.equal(split("h100-dawn"), Number(splitChecked) * 1e12);
});

const IMPOSSIBLE: readonly [Partial<DeviceLimits>, RegExp][] = [
  [{ minStorageBufferOffsetAlignment: 48 }, /power of two/],
  [{ minStorageBufferOffsetAlignment: 16 }, /at least 32/],
  [{ minUniformBufferOffsetAlignment: 512 }, /at most 256/],
  [{ maxBufferSize: 1000 }, /at least 268435456, the minimum of WebGPU$/],
  [{ maxStorageBufferBindingSize: 2 ** 29 }, /not exceed maxBufferSize, which is 268435456/],
  [{ maxStorageBuffersPerShaderStage: 4 }, /at least 8/],
  [{ maxComputeWorkgroupStorageSize: 8192 }, /at least 16384/],
  [{ maxComputeInvocationsPerWorkgroup: 64 }, /at least 128, .*compatibility mode/],
  [{ maxComputeInvocationsPerWorkgroup: 128 }, /not exceed .*, which is 128/],
  [{ maxComputeWorkgroupsPerDimension: 1024 }, /at least 65535/],
];
for (const [change, message] of IMPOSSIBLE) {
  Deno.test(`no device has ${JSON.stringify(change)}`, () => {
    const found = impossibleLimits({ ...DEFAULTS, ...change });
    assert.equal(found.length, 1);
    assert.match(found[0]!.message, message);
    assert.equal(found[0]!.value, { ...DEFAULTS, ...change }[found[0]!.limit]);
  });
}

Deno.test("whatever is no worse than the specification's defaults can exist, in order", () => {
  fc.assert(fc.property(
    fc.record({
      sizes: fc.tuple(fc.integer({ min: 2 ** 27, max: 2 ** 40 }), fc.nat(2 ** 40)),
      groups: fc.tuple(fc.integer({ min: 128, max: 4096 }), fc.nat(4096)),
      alignment: fc.constantFrom(32, 64, 128, 256),
    }),
    ({ sizes: [binding, more], groups: [x, extra], alignment }) => {
      const limits: DeviceLimits = {
        ...DEFAULTS,
        maxStorageBufferBindingSize: binding,
        maxBufferSize: Math.max(2 ** 28, binding) + more,
        maxComputeWorkgroupSizeX: x,
        maxComputeInvocationsPerWorkgroup: x + extra,
        minStorageBufferOffsetAlignment: alignment,
      };
      assert.deepEqual(impossibleLimits(limits), []);
    },
  ));
  assert.equal(LIMIT_NAMES.length, 9, "a new limit needs a rule or a figure here");
});

/** Optional features that kernels may ask for. */
const ASKED = new Set<string>([...MATRIX_FEATURES, "timestamp-query"]);

Deno.test("features of a named device are those that kernels may ask for, or unknown and said so", () => {
  for (const { name, profile: { features }, source } of NAMED_DEVICES) {
    if (features === undefined) assert.match(source, /features differ/, name);
    else for (const feature of features) assert(ASKED.has(feature), `${name} ${feature}`);
  }
  const has = (name: string) => findDevice(name)!.profile.features!.includes("shader-f16");
  // As reported: by gpuweb's issues of Qualcomm and of NVIDIA under Chrome, and by wgpu and Dawn.
  assert.deepEqual(["android-phone", "nvidia-chrome", "swiftshader-deno"].filter(has), []);
  const able = ["apple-m-chrome", "apple-m3-max-deno", "nvidia-deno", "h100-deno", "lavapipe-deno"];
  assert.deepEqual(able.filter(has), able);
});

Deno.test("no plan for a named device asks for what the device does not have", () => {
  for (const { name, profile } of NAMED_DEVICES) {
    for (const dtype of ["f32", "f16", "bf16"] as const) {
      for (const pass of ["forward", "train"] as const) {
        const problem = parseProblem({ tokens: 512, hidden: 256, vocab: 8192, dtype, pass });
        for (const { shape } of makePlan(problem, profile).candidates) {
          assert.equal(tileProblem(shape.tile, profile), undefined, `${name} ${dtype} ${pass}`);
        }
      }
    }
  }
});

Deno.test("chips of a family have the rates that were measured on one of them", () => {
  for (const webgpu of ["deno", "dawn", "dawn-unchecked"] as const) {
    const rates = measuredRates("NVIDIA H100 80GB HBM3", webgpu);
    assert(rates !== undefined);
    assert.equal(measuredRates("NVIDIA H200", webgpu), rates);
    assert.equal(measuredRates("nvidia-h100-80gb-hbm3", webgpu), rates);
    for (const other of ["NVIDIA H100 PCIe", "nvidia-h100-pcie", "NVIDIA H20", "NVIDIA A100"]) {
      assert.equal(measuredRates(other, webgpu), undefined, other);
    }
  }
  assert.equal(measuredRates("NVIDIA H200", "browser"), undefined);
});

/** Milliseconds of training passes in matrices on an H100, checks of bounds off: bench/matrix.md. */
const TRAINING = [
  { tokens: 8192, hidden: 2304, vocab: 256000, dtype: "f16", windowed: 140, chunked: 124 },
  { tokens: 8192, hidden: 2304, vocab: 256000, dtype: "bf16", windowed: 158, chunked: 134 },
  { tokens: 4096, hidden: 4096, vocab: 128256, dtype: "f16", windowed: 60.4, chunked: 47.9 },
  { tokens: 4096, hidden: 4096, vocab: 128256, dtype: "bf16", windowed: 67.3, chunked: 51.7 },
] as const;

Deno.test("in matrices an H100 takes the time that plans say within a tenth, and they choose what is faster", () => {
  const { profile } = findDevice("h100-dawn-unchecked")!;
  for (const { windowed, chunked, ...sizes } of TRAINING) {
    const problem = parseProblem({ ...sizes, pass: "train" });
    for (const [strategy, ms] of [["windowed", windowed], ["chunked", chunked]] as const) {
      const { seconds } = makePlan(problem, profile, { strategy }).cost;
      assert(
        Math.abs(1000 * seconds / ms - 1) < 0.1,
        `${strategy}: ${1000 * seconds} ms, not ${ms}`,
      );
    }
    const { shape: { strategy }, alternatives, memory } = makePlan(problem, profile);
    assert.equal(strategy, "chunked");
    // PyTorch's two stages in bf16 took 24,000 and 6,012 MiB.
    const share = sizes.vocab === 256000 ? 0.1 * 24000 : 0.36 * 6012;
    assert(memory.extraPeakBytes <= share * 2 ** 20);
    assert.match(alternatives.find((each) => each.strategy === "windowed")!.reason, /^slower: /);
  }
});

import assert from "node:assert/strict";
import fc from "fast-check";
import { type DeviceLimits, LIMIT_NAMES, SPECIFICATION_DEFAULTS } from "../device.ts";
import { makePlan } from "../plan.ts";
import { parseProblem } from "../problem.ts";
import { impossibleLimits } from "./impossible.ts";
import { findDevice, NAMED_DEVICES } from "./profiles.ts";

const { limits: DEFAULTS } = SPECIFICATION_DEFAULTS;
const MIB = 2 ** 20;

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

/** Figures as the sources state them, written down apart from the profiles. */
const FIGURES: readonly [string, Partial<DeviceLimits>][] = [
  ["default", { maxBufferSize: 268435456, maxStorageBufferBindingSize: 134217728 }],
  ["compatibility", { maxComputeInvocationsPerWorkgroup: 128, maxComputeWorkgroupSizeX: 128 }],
  ["chrome-128mib", { maxStorageBufferBindingSize: 128 * MIB, maxBufferSize: 256 * MIB }],
  ["chrome-512mib", { maxStorageBufferBindingSize: 536870912, maxBufferSize: 1073741824 }],
  ["chrome-2gib", { maxStorageBufferBindingSize: 2147483644 }],
  ["chrome-4gib", { maxStorageBufferBindingSize: 4294967292, maxBufferSize: 4294967292 }],
  ["android-phone", { maxStorageBufferBindingSize: 134217728 }],
  ["apple-m3-max-deno", { maxStorageBufferBindingSize: 4294967295, maxBufferSize: 77309411328 }],
  ["nvidia-chrome", { maxStorageBufferBindingSize: 2147483644 }],
  ["h100-deno", {
    maxBufferSize: 4292870144,
    maxStorageBufferBindingSize: 2147483644,
    maxComputeWorkgroupStorageSize: 49152,
    maxComputeInvocationsPerWorkgroup: 1024,
  }],
  ["swiftshader-deno", { maxBufferSize: 1073741824, maxComputeInvocationsPerWorkgroup: 256 }],
  ["lavapipe-deno", { maxBufferSize: 2147483647, maxStorageBuffersPerShaderStage: 32 }],
];
for (const [name, figures] of FIGURES) {
  Deno.test(`${name} has the limits that its source states`, () => {
    const { limits } = findDevice(name)!.profile;
    for (const key of Object.keys(figures) as (keyof DeviceLimits)[]) {
      assert.equal(limits[key], figures[key], key);
    }
  });
}

Deno.test("only devices that were measured have rates", () => {
  const rated = NAMED_DEVICES.filter(({ profile }) => profile.rates).map(({ name }) => name);
  assert.deepEqual(rated, ["h100-deno"]);
  assert.equal(findDevice("h100-deno")!.profile.rates!.flopsPerSecond, 44.7e12);
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

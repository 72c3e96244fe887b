import assert from "node:assert/strict";
import { acquireDevice } from "./device.ts";
import { NoDeviceError } from "./errors.ts";
import { BufferUsage, MapMode, openProvider, ShaderStage } from "./provider.ts";

/**
 * Returns the address of a module that stands for Dawn: what it makes remembers what it was made
 * with.
 */
function fakeDawn(name: string): string {
  const code = `export const create = (options) => ({ name: ${JSON.stringify(name)}, options });`;
  return `data:text/javascript,${encodeURIComponent(code)}`;
}

Deno.test("constants are what a runtime with a WebGPU of its own calls by the same names", () => {
  for (
    const [ours, theirs] of [
      [BufferUsage, GPUBufferUsage],
      [MapMode, GPUMapMode],
      [ShaderStage, GPUShaderStage],
    ] as unknown as [Record<string, number>, Record<string, number>][]
  ) {
    for (const [name, value] of Object.entries(ours)) assert.equal(value, theirs[name], name);
  }
});

Deno.test("the runtime's own WebGPU is taken where none is named", async () => {
  const { name, gpu } = await openProvider();
  assert.equal(name, "deno");
  assert.equal(gpu, navigator.gpu);
  await assert.rejects(
    openProvider("browser"),
    (error) =>
      error instanceof NoDeviceError &&
      /no WebGPU of its own that is called browser/.test(error.message),
  );
});

Deno.test("Dawn keeps its checks of bounds unless it is asked to drop them", async () => {
  const options = async (name: "dawn" | "dawn-unchecked") => {
    const { gpu } = await openProvider(name, { dawn: fakeDawn("checks") });
    return (gpu as unknown as { options: string[] }).options.join(" ");
  };
  const checked = await options("dawn");
  assert.match(checked, /enable-dawn-features=[\w,]*\ballow_unsafe_apis\b/);
  assert.match(checked, /disable-dawn-features=[\w,]*\btimestamp_quantization\b/);
  assert.doesNotMatch(checked, /disable_robustness/);
  assert.match(
    await options("dawn-unchecked"),
    /enable-dawn-features=[\w,]*\bdisable_robustness\b/,
  );
});

Deno.test("one object of Dawn's serves every device, and is held on to", async () => {
  const dawn = fakeDawn("held");
  const { gpu } = await openProvider("dawn", { dawn });
  assert.equal((await openProvider("dawn", { dawn })).gpu, gpu);
});

Deno.test("Dawn looks at its queue by timers, so that whatever else is due comes first", async () => {
  await openProvider("dawn", { dawn: fakeDawn("timers") });
  const ended: string[] = [];
  // Bound functions have no text to read, as those of native modules have none.
  const look = ended.push.bind(ended, "look");
  await new Promise<void>((resolve) => {
    setImmediate(look);
    setTimeout(() => resolve(), 50);
    // One after the other, as whoever goes through a long list would.
    const turn = (left: number) => {
      ended.push("turn");
      if (left > 0) setImmediate(turn, left - 1);
    };
    setImmediate(turn, 1);
  });
  assert.deepEqual(ended, ["turn", "turn", "look"]);
});

Deno.test("Dawn that is not there is said, with what would bring it", async () => {
  const missing = import.meta.resolve("./no_such_package/index.js");
  await assert.rejects(openProvider("dawn", { dawn: missing }), (error) => {
    assert(error instanceof NoDeviceError);
    assert.match(error.message, /^Dawn cannot be loaded from .*no_such_package.*[^.]$/);
    assert.match(error.remedy!, /webgpu/);
    return true;
  });
});

Deno.test("a device is asked for what its adapter has, and its profile tells of matrices", async () => {
  const { limits } = await navigator.gpu.requestAdapter().then((adapter) => adapter!);
  let asked: GPUDeviceDescriptor | undefined;
  const info = {
    description: "a driver",
    device: "h100-of-some-kind",
    isFallbackAdapter: false,
    subgroupMinSize: 16,
    subgroupMaxSize: 32,
    subgroupMatrixConfigs: [
      { componentType: "f16", resultComponentType: "f32", M: 16, N: 8, K: 32 },
    ],
  };
  const features = new Set(["subgroups", "chromium-experimental-subgroup-matrix", "another"]);
  const adapter = {
    info,
    limits,
    features,
    requestDevice: (descriptor: GPUDeviceDescriptor) => {
      asked = descriptor;
      return Promise.resolve({ limits, features: new Set(descriptor.requiredFeatures) });
    },
  };
  const gpu = { requestAdapter: () => Promise.resolve(adapter) } as unknown as GPU;
  const { profile } = await acquireDevice({ provider: { name: "dawn", gpu } });
  assert.deepEqual(asked!.requiredFeatures, ["subgroups", "chromium-experimental-subgroup-matrix"]);
  assert.deepEqual(profile.matrices, [{ m: 16, n: 8, k: 32, component: "f16", result: "f32" }]);
  assert.deepEqual(profile.subgroups, { min: 16, max: 32 });
  assert.equal(profile.webgpu, "dawn");
  assert.equal(profile.name, "h100-of-some-kind", "what Dawn describes is the driver");
  assert(profile.rates!.matrix, "rates are found by the chip's name");
  features.clear();
  const { profile: plain } = await acquireDevice({ provider: { name: "dawn", gpu } });
  assert.equal(plain.matrices, undefined, "a feature that was not had is of no use");
  assert.equal(plain.subgroups, undefined);
});

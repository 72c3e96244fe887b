import assert from "node:assert/strict";
import { stringify } from "yaml";
import { SPECIFICATION_DEFAULTS } from "../planner/device.ts";
import { NAMED_DEVICES } from "../planner/devices/profiles.ts";
import { EXIT } from "./exit.ts";
import { lce, withFile } from "./testing.ts";

const PLAN = ["plan", "--vocab", "1000", "--hidden", "64", "--json"];
const DEVICE = {
  name: "mine",
  limits: { ...SPECIFICATION_DEFAULTS.limits, maxBufferSize: 2 ** 30 },
};

Deno.test("--device takes every name that --list lists", async () => {
  const { code, out } = await lce("device", "--list");
  assert.equal(code, EXIT.ok);
  assert.deepEqual(JSON.parse((await lce("device", "--list", "--json")).out), NAMED_DEVICES);
  for (const { name, profile } of NAMED_DEVICES) {
    assert.match(out, new RegExp(`^${name} `, "m"));
    const planned = await lce(...PLAN, "--device", name);
    assert.deepEqual(JSON.parse(planned.out).device, profile);
  }
});

Deno.test("--device takes a profile's file, in YAML or JSON", async () => {
  for (const [text, suffix] of [[stringify(DEVICE), ".yaml"], [JSON.stringify(DEVICE), ".json"]]) {
    await withFile(text!, async (path) => {
      const { out, err } = await lce(...PLAN, "--device", path);
      assert.equal(err, "");
      assert.deepEqual(JSON.parse(out).device, DEVICE);
    }, suffix);
  }
});

Deno.test("a plan says where its rates come from", async () => {
  const measured = { flopsPerSecond: 1e12, bytesPerSecond: 1e11, secondsPerDispatch: 1e-5 };
  const rates = { ...measured, parallelInvocations: 4096 };
  const source = async (...device: string[]) => {
    const { cost } = JSON.parse((await lce(...PLAN, ...device)).out);
    return [cost.rates, cost.estimatedMs === null];
  };
  assert.deepEqual(await source(), ["assumed", true]);
  const [shipped, unknown] = await source("--device", "h100-deno");
  assert.match(shipped, /^shipped, measured on an H100/);
  assert(!unknown);
  await withFile(stringify({ ...DEVICE, rates }), async (path) => {
    assert.deepEqual(await source("--device", path), ["of the device's profile", false]);
  });
});

Deno.test("a plan file finds a device's file beside itself", async () => {
  const folder = await Deno.makeTempDir();
  try {
    await Deno.writeTextFile(`${folder}/mine.yaml`, stringify(DEVICE));
    const plan = "vocab: 1000\nhidden: 64\ndevice: mine.yaml\n";
    await Deno.writeTextFile(`${folder}/plan.yaml`, plan);
    const { out, err } = await lce("plan", "--json", "--config", `${folder}/plan.yaml`);
    assert.equal(err, "");
    assert.equal(JSON.parse(out).device.name, "mine");
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

const WRONG: readonly [string, RegExp][] = [
  [
    stringify({ ...DEVICE, limits: { ...DEVICE.limits, minStorageBufferOffsetAlignment: 100 } }),
    /limits\.minStorageBufferOffsetAlignment 100: must be a power of two/,
  ],
  [
    stringify({ ...DEVICE, limits: { ...DEVICE.limits, maxStorageBufferBindingSize: 2 ** 31 } }),
    /limits\.maxStorageBufferBindingSize 2147483648: must not exceed maxBufferSize, which is 1073741824/,
  ],
  [
    stringify({ ...DEVICE, limits: { ...DEVICE.limits, maxComputeInvocationsPerWorkgroup: 64 } }),
    /limits\.maxComputeInvocationsPerWorkgroup 64: must be at least 128, .*compatibility mode/,
  ],
  [
    stringify({ ...DEVICE, limits: { ...DEVICE.limits, maxBufferSize: "big" } }),
    /limits\.maxBufferSize "big": /,
  ],
  [stringify({ ...DEVICE, limits: {} }), /limits\.maxBufferSize is needed/],
  [stringify({ ...DEVICE, colour: "red" }), /unknown setting colour/],
  ["- 1", /must be a map of a device/],
  ["name: [", /neither YAML nor JSON/],
];
for (const [text, message] of WRONG) {
  Deno.test(`a device's file is refused by file, field, value and bound: ${message.source}`, async () => {
    await withFile(text, async (path) => {
      const { code, err } = await lce(...PLAN, "--device", path);
      assert.equal(code, EXIT.input, err);
      assert(err.includes(path), err);
      assert.match(err, message);
    });
  });
}

Deno.test("a profile within a plan file is held to the same rules", async () => {
  const limits = { ...DEVICE.limits, maxBufferSize: 5 };
  await withFile(
    stringify({ vocab: 10, hidden: 4, device: { name: "x", limits } }),
    async (path) => {
      const { code, err } = await lce("plan", "--config", path);
      assert.equal(code, EXIT.input);
      assert(
        err.includes(`${path}: device.limits.maxBufferSize 5: must be at least 268435456`),
        err,
      );
    },
  );
});

Deno.test("a device that is not known is a usage error with suggestions", async () => {
  const flag = await lce(...PLAN, "--device", "nvidia-demo");
  assert.equal(flag.code, EXIT.usage);
  assert.match(flag.err, /--device: there is no device "nvidia-demo". Did you mean nvidia-deno/);
  assert.match((await lce(...PLAN, "--device", "aut")).err, /Did you mean auto/);
  await withFile("vocab: 10\nhidden: 4\ndevice: h100\n", async (path) => {
    const { code, err } = await lce("plan", "--config", path);
    assert.equal(code, EXIT.input);
    assert.match(err, /device: there is no device "h100". Did you mean h100-deno/);
  });
  const missing = await lce(...PLAN, "--device", "no/such.yaml");
  assert.equal(missing.code, EXIT.input);
  assert.match(missing.err, /no\/such.yaml does not exist/);
});

Deno.test("lce device refuses flags that do not go together, before it asks for a device", async () => {
  assert.match((await lce("device", "--save", "x.json")).err, /--save x.json: .*\.yaml/);
  assert.match((await lce("device", "--force")).err, /--force: needs --save/);
  const { code, err } = await lce("device", "--list", "--save", "x.yaml");
  assert.equal(code, EXIT.usage);
  assert.match(err, /cannot be used with/);
  assert.equal((await lce("device", "--list", "--force")).code, EXIT.usage);
  await withFile("precious", async (path) => {
    const refused = await lce("device", "--save", path);
    assert.equal(refused.code, EXIT.usage);
    assert.match(refused.err, /exists already; --force replaces it/);
    assert.equal(await Deno.readTextFile(path), "precious");
  });
});

const MISTYPED: readonly [string[], RegExp][] = [
  [["plan", "--vocb", "3"], /unknown option '--vocb'\n\(Did you mean --vocab\?\)/],
  [["modle"], /unknown command 'modle'\n\(Did you mean model\?\)/],
  [["fixture", "lst"], /Did you mean list/],
];
for (const [args, message] of MISTYPED) {
  Deno.test(`lce ${args.join(" ")} is met with a suggestion`, async () => {
    const { code, err } = await lce(...args);
    assert.equal(code, EXIT.usage);
    assert.match(err, message);
  });
}

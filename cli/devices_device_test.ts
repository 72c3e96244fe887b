import assert from "node:assert/strict";
import { LIMIT_NAMES, SPECIFICATION_DEFAULTS } from "../planner/device.ts";
import { NAMED_DEVICES } from "../planner/devices/profiles.ts";
import { MATRIX_FEATURES } from "../planner/schedule/matrix_tiles.ts";
import { EXIT } from "./exit.ts";
import { lce } from "./testing.ts";

const here = JSON.parse((await lce("device", "--json")).out);
const named = NAMED_DEVICES.filter(({ profile }) =>
  profile.name === here.name && profile.webgpu === here.webgpu
);

Deno.test("the profile of a named software device is what the device reports", {
  // On hardware that no row is of there is nothing to compare with.
  ignore: named.length === 0,
}, () => {
  for (const { name, profile: { features: _, ...profile } } of named) {
    const { features: _, ...reported } = here;
    assert.deepEqual(profile, reported, name);
  }
});

Deno.test("the features of a named software device are those that it gives when asked", {
  ignore: named.length === 0,
}, async () => {
  for (const { name, profile } of named) {
    for (const feature of [...MATRIX_FEATURES, "timestamp-query"] as GPUFeatureName[]) {
      // What an adapter lists is less than it gives, so it is asked for each.
      const adapter = await navigator.gpu.requestAdapter();
      const device = await adapter!.requestDevice({ requiredFeatures: [feature] })
        .catch(() => undefined);
      assert.equal(profile.features?.includes(feature), device !== undefined, `${name} ${feature}`);
      device?.destroy();
    }
    for (const feature of here.features) assert(profile.features?.includes(feature), feature);
  }
});

Deno.test("the limits by default are those of a device that was asked for none", async () => {
  const adapter = await navigator.gpu.requestAdapter();
  const device = await adapter!.requestDevice();
  try {
    for (const name of LIMIT_NAMES) {
      assert.equal(SPECIFICATION_DEFAULTS.limits[name], device.limits[name], name);
    }
  } finally {
    device.destroy();
  }
});

Deno.test("lce device --save writes a file that --device plans for as for the device", async () => {
  const folder = await Deno.makeTempDir();
  const path = `${folder}/here.yaml`;
  try {
    const saved = await lce("device", "--save", path);
    assert.equal(saved.code, EXIT.ok, saved.err);
    assert.match(await Deno.readTextFile(path), /^# Written by "lce device --save" on \d{4}-/);
    const plan = ["plan", "--model", "gpt2", "--json", "--device"];
    assert.equal((await lce(...plan, path)).out, (await lce(...plan, "auto")).out);
    await Deno.writeTextFile(path, "old");
    assert.equal((await lce("device", "--save", path, "--force")).code, EXIT.ok);
    assert.match(await Deno.readTextFile(path), /^name: /m);
    const names = [...Deno.readDirSync(folder)].map(({ name }) => name);
    assert.deepEqual(names, ["here.yaml"], "no temporary file stays");
    const nowhere = await lce("device", "--save", `${folder}/none/here.yaml`);
    assert.equal(nowhere.code, EXIT.input);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

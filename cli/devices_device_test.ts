import assert from "node:assert/strict";
import { NAMED_DEVICES } from "../planner/devices/profiles.ts";
import { EXIT } from "./exit.ts";
import { lce } from "./testing.ts";

Deno.test("the profile of a named software device is what the device reports", async () => {
  const profile = JSON.parse((await lce("device", "--json")).out);
  const named = NAMED_DEVICES.filter((device) => device.profile.name === profile.name);
  // On hardware that no row is of there is nothing to compare with.
  for (const device of named) assert.deepEqual(device.profile, profile, device.name);
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

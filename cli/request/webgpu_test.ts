import assert from "node:assert/strict";
import { EXIT } from "../exit.ts";
import { lce } from "../testing.ts";
import { dawnSpecifier, webgpuOf } from "./webgpu.ts";

/** Runs something while an environment variable has a value. */
async function withVariable(name: string, value: string, run: () => unknown): Promise<void> {
  const before = Deno.env.get(name);
  Deno.env.set(name, value);
  try {
    await run();
  } finally {
    if (before === undefined) Deno.env.delete(name);
    else Deno.env.set(name, before);
  }
}

Deno.test("the flag wins over the environment, which wins over Deno's own", async () => {
  await withVariable("LCE_WEBGPU", "dawn", () => {
    assert.equal(webgpuOf(undefined), "dawn");
    assert.equal(webgpuOf("dawn-unchecked"), "dawn-unchecked");
  });
  await withVariable("LCE_WEBGPU", "", () => assert.equal(webgpuOf(undefined), "deno"));
  await withVariable("LCE_WEBGPU", "dwan", async () => {
    const { code, err } = await lce("device");
    assert.equal(code, EXIT.usage);
    assert.match(err, /LCE_WEBGPU dwan: must be one of deno, dawn, dawn-unchecked/);
  });
});

Deno.test("Dawn is a package of npm's, or a file by its path", async () => {
  const of = async (text: string) => {
    let specifier = "";
    await withVariable("LCE_DAWN", text, () => specifier = dawnSpecifier());
    return specifier;
  };
  assert.equal(await of("npm:webgpu@0.6.2"), "npm:webgpu@0.6.2");
  assert.equal(await of("/a b/index.js"), "file:///a%20b/index.js");
  assert.match(await of("index.js"), /^file:\/\/\/.+\/index\.js$/);
  assert.match(await of(""), /^file:.*\/lce\/dawn\/node_modules\/webgpu\/index\.js$/);
});

Deno.test("without Dawn there is no device, and the way to it is said", async () => {
  await withVariable("LCE_DAWN", "/nowhere/index.js", async () => {
    for (const command of ["device", "run", "tune"]) {
      const { code, out, err } = await lce(command, "--webgpu", "dawn");
      assert.equal(code, EXIT.device, command);
      assert.equal(out, "");
      assert.match(err, /Dawn cannot be loaded from .*nowhere.*\n.*scripts\/setup\.sh --dawn/);
    }
  });
});

Deno.test("--webgpu of a plan is about this machine's device, and says so where another is named", async () => {
  for (const command of [["plan"], ["emit", "/nowhere/out"]]) {
    const sizes = ["--vocab", "1000", "--hidden", "64", "--webgpu", "dawn"];
    const { code, err } = await lce(...command, ...sizes, "--device", "h100-dawn");
    assert.equal(code, EXIT.usage, err);
    assert.match(err, /--webgpu dawn: .*add --device auto/);
  }
  await withVariable("LCE_DAWN", "/nowhere/index.js", async () => {
    const sizes = ["--vocab", "1000", "--hidden", "64", "--device", "auto", "--webgpu", "dawn"];
    const { code, err } = await lce("plan", ...sizes);
    assert.equal(code, EXIT.device, err);
    assert.match(err, /Dawn cannot be loaded/);
  });
});

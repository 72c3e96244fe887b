import assert from "node:assert/strict";
import { withFile } from "../testing.ts";
import { readMap } from "./map_file.ts";

/** Reads a map from text. */
async function mapOf(text: string, suffix?: string): Promise<Record<string, unknown>> {
  let found: Record<string, unknown> = {};
  await withFile(text, async (path) => {
    found = await readMap(path, "of settings");
  }, suffix);
  return found;
}

const keys = (count: number) => Array.from({ length: count }, (_, at) => `k${at}: 1\n`).join("");

Deno.test("what takes a parser of YAML long is refused at once", async () => {
  const hostile: [string, RegExp][] = [
    ["? ".repeat(5000), /a key of a map is no text|nested deeper|neither YAML/],
    ["? [1, 2]\n: 3\n", /a key of a map is no text/],
    [`a: ${"[".repeat(5000)}`, /is neither YAML nor JSON/],
    [`a: ${"[".repeat(100)}${"]".repeat(100)}`, /nested deeper than 32 levels/],
    ["- ".repeat(20_000), /nested deeper|neither YAML/],
    ["&a ".repeat(10_000), /is neither YAML nor JSON/],
    [`${keys(4000)}k7: 2\n`, /Map keys must be unique: "k7" is there twice/],
    [keys(10_000), /is longer than the 65536 characters that settings in YAML may have/],
    ["a: &a [x, x]\nb: &b [*a, *a]\nc: &c {*a : 1}\n", /a key of a map is no text/],
    [`a: *${"x".repeat(5000)}`, /x\.\.\. \(\d+ characters\)/],
    ["a: 1\n\x1b[2Jb: 2\n1: [\n", /is neither YAML nor JSON/],
  ];
  for (const [text, message] of hostile) {
    const begun = performance.now();
    await assert.rejects(mapOf(text), (error: Error) => {
      assert.equal(error.name, "InputError");
      assert.match(error.message, message);
      assert(!error.message.includes("\x1b") && error.message.length < 2000);
      return true;
    });
    const milliseconds = performance.now() - begun;
    assert(milliseconds < 5000, `${text.slice(0, 20)} takes ${milliseconds} ms`);
  }
  assert.equal(Object.keys(await mapOf(keys(4000))).length, 4000);
});

Deno.test("a path that can be no file's does not fill the screen", async () => {
  await assert.rejects(readMap(`/${"x".repeat(5000)}.json`, "of settings"), (error: Error) => {
    assert.match(error.message, /^Cannot open \/x+\.\.\. \(5006 characters\): File name too long/);
    return error.message.length < 400;
  });
});

Deno.test("comments in JSON are told from slashes in strings, in one pass", async () => {
  assert.deepEqual(await mapOf('{"a": "//", "b": "/*"}', ".json"), { a: "//", b: "/*" });
  for (const text of ['{"a": 1 // one\n}', '{/* a */"a": "\\"//"}', '{"a": 1} // x']) {
    await assert.rejects(mapOf(text, ".json"), /is JSON with comments/);
  }
  for (const part of ["/*", '"\\"', "//", '"']) {
    const begun = performance.now();
    await assert.rejects(mapOf(`{${part.repeat(1e6)}`, ".json"), /is not JSON|is JSON with/);
    assert(performance.now() - begun < 5000, part);
  }
  await assert.rejects(mapOf('{"a": 1, "a": 2}', ".json"), /has "a" twice/);
});

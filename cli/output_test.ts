import assert from "node:assert/strict";
import { writeSafetensors } from "../fixtures/files/safetensors.ts";
import { EXIT } from "./exit.ts";
import { guarded, processOutput } from "./output.ts";
import { lce } from "./testing.ts";

Deno.test("what a terminal would obey is never printed, and JSON means the same by it", () => {
  const said: string[] = [];
  const say = (text: string) => void said.push(text);
  const { print, note, progress } = guarded({ print: say, note: say, progress: say });
  print(JSON.stringify({ name: "\u009b2J\u202ex" }, null, 2));
  note("one\n\x1b[2Jtwo\tthree");
  progress("\rnever\n");
  assert.deepEqual(said, [
    '{\n  "name": "\\u009b2J\\u202ex"\n}',
    "one\n\\u001b[2Jtwo\tthree",
    "\\u000dnever\\u000a",
  ]);
  assert.equal(JSON.parse(said[0]!).name, "\u009b2J\u202ex");
});

Deno.test("names and metadata of a stranger's file are spelled out", async () => {
  const path = await Deno.makeTempFile({ suffix: ".safetensors" });
  try {
    const tensor = { dtype: "U8", shape: [1], bytes: new Uint8Array(1) };
    const name = "a\x1b[31m\nokay: 1";
    await writeSafetensors(path, { [name]: tensor }, { "k\x07": "\x1b]0;title\x07" });
    const { out } = await lce("fixture", "inspect", path);
    assert.match(out, /^a\\u001b\[31m\\u000aokay: 1 {2}U8/);
    assert.match(out, /^k\\u0007: \\u001b\]0;title\\u0007$/m);
    const json = JSON.parse((await lce("fixture", "inspect", path, "--json")).out);
    assert.equal(json.tensors[0].name, name);
    const { code, err } = await lce("plan", "--config", "\x1b[2Jnone.yaml");
    assert.equal(code, EXIT.input);
    assert.match(err, /^lce: \\u001b\[2Jnone.yaml does not exist/);
  } finally {
    await Deno.remove(path);
  }
});

/** Runs lce as a process, with a shell's redirections. */
async function inShell(line: string, env: Record<string, string> = {}) {
  const main = new URL("main.ts", import.meta.url).pathname;
  const { code, stdout, stderr } = await new Deno.Command("sh", {
    args: ["-c", line],
    env: { ...env, LCE: `${Deno.execPath()} run --quiet -A ${main}` },
  }).output();
  const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
  return { code, out: text(stdout), err: text(stderr) };
}

Deno.test({
  name: "a full disk behind standard output is said, and no defect of ours",
  ignore: Deno.build.os !== "linux",
  fn: async () => {
    const { code, err } = await inShell("$LCE model > /dev/full");
    assert.equal(code, EXIT.input);
    assert.match(err, /^lce: Cannot write to standard output: No space left on device/);
    // Nowhere to complain either: the code alone tells.
    assert.equal((await inShell("$LCE plan > /dev/full 2> /dev/full")).code, EXIT.usage);
  },
});

Deno.test("tune says that it cannot keep its rates before it measures anything", async () => {
  const file = await Deno.makeTempFile();
  const before = Deno.env.get("LCE_CACHE");
  try {
    // A file is where the folder should be.
    Deno.env.set("LCE_CACHE", `${file}/cache`);
    const { code, out, err } = await lce("tune", "--quick");
    assert.equal(code, EXIT.input);
    assert.equal(out, "");
    assert.match(err, /^lce: Cannot write .*cache\/tuned.json: Not a directory/);
    assert.match(err, /--dry-run measures without keeping/);
  } finally {
    if (before === undefined) Deno.env.delete("LCE_CACHE");
    else Deno.env.set("LCE_CACHE", before);
    await Deno.remove(file);
  }
});

/** A stream that keeps what is written to it, a few bytes at a time. */
function streamOf(terminal: boolean, most = Infinity) {
  const decoder = new TextDecoder();
  const stream = {
    text: "",
    isTerminal: () => terminal,
    writeSync(bytes: Uint8Array) {
      const taken = bytes.subarray(0, most);
      stream.text += decoder.decode(taken);
      return taken.length;
    },
  };
  return stream;
}

Deno.test("progress overwrites itself on a terminal, gives way to results, and is in no file", () => {
  const [stdout, terminal] = [streamOf(false, 3), streamOf(true)];
  const output = processOutput({ stdout, stderr: terminal });
  output.progress("reading");
  output.progress("reference, 40 %");
  assert.equal(terminal.text, "\r\x1b[Kreading\r\x1b[Kreference, 40 %");
  output.print("a result");
  output.print("another");
  assert.equal(terminal.text, "\r\x1b[Kreading\r\x1b[Kreference, 40 %\r\x1b[K");
  assert.equal(stdout.text, "a result\nanother\n");
  const file = streamOf(false);
  const quiet = processOutput({ stdout: streamOf(false), stderr: file });
  quiet.progress("reading");
  quiet.note("a remark");
  assert.equal(file.text, "a remark\n");
});

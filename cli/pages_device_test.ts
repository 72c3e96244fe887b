import assert from "node:assert/strict";
import { stringify } from "yaml";
import { SPECIFICATION_DEFAULTS } from "../planner/device.ts";
import { EXIT } from "./exit.ts";
import { lce } from "./testing.ts";

const ROOT = new URL("../", import.meta.url);

/** Pages whose commands and programs run one after the other, in a folder of their own. */
const PAGES = [
  "train-in-the-browser",
  "plan-before-renting",
  "take-a-kernel",
  "limits",
  "accuracy",
  "extending",
];

/** What else a page's text may be in. */
const LANGUAGES = /^(sh|ts|js)$/;

/** Runs a line as a shell does, as far as pages need one. */
async function runLine(line: string): Promise<void> {
  const [command, file] = line.split(" > ");
  const [name, ...args] = command!.split(" ");
  assert.equal(name, "lce", line);
  const { code, out, err } = await lce(...args);
  assert.equal(code, EXIT.ok, `${line}: ${err}`);
  if (file !== undefined) await Deno.writeTextFile(file, out);
}

/** Runs a program beside what the page's commands have written. */
async function runProgram(program: string, name: string): Promise<void> {
  const mod = new URL("mod.ts", ROOT).href;
  await Deno.writeTextFile(name, program.replaceAll('"@lce/lce"', JSON.stringify(mod)));
  const { success, stderr } = await new Deno.Command(Deno.execPath(), {
    args: [
      "run",
      "--quiet",
      "--check",
      "--config",
      new URL("deno.json", ROOT).pathname,
      "-A",
      name,
    ],
    stdout: "null",
  }).output();
  assert(success, new TextDecoder().decode(stderr));
}

for (const page of PAGES) {
  Deno.test(`every command and program of docs/${page}.md does what it says`, {
    // Its programs make kernels of their own.
    ignore: Deno.env.has("LCE_SLOW_DEVICE"),
  }, async (t) => {
    const text = await Deno.readTextFile(new URL(`docs/${page}.md`, ROOT));
    const blocks = [...text.matchAll(/^```(\w*)\n([\s\S]*?)^```$/gm)];
    const folder = await Deno.makeTempDir();
    const before = Deno.cwd();
    try {
      Deno.chdir(folder);
      await Deno.writeTextFile(
        "laptop.yaml",
        stringify({ ...SPECIFICATION_DEFAULTS, name: "laptop" }),
      );
      for (const [index, [, language, block]] of blocks.entries()) {
        assert.match(language!, LANGUAGES, `${page} has a block that no test runs`);
        if (language === "sh") {
          for (const line of block!.trim().split("\n")) await t.step(line, () => runLine(line));
        } else {
          await t.step(`program ${index}`, () => runProgram(block!, `program${index}.${language}`));
        }
      }
    } finally {
      Deno.chdir(before);
      await Deno.remove(folder, { recursive: true });
    }
  });
}

Deno.test("what pages link to is there", async () => {
  for (const page of [...PAGES.map((page) => `docs/${page}.md`), "README.md"]) {
    const at = new URL(page, ROOT);
    const text = await Deno.readTextFile(at);
    for (const [, target] of text.matchAll(/\]\((?!https?:)([^)#]+)[^)]*\)/g)) {
      assert(await Deno.stat(new URL(target!, at)).catch(() => undefined), `${page}: ${target}`);
    }
  }
});

import assert from "node:assert/strict";
import type { Command } from "commander";
import { stringify } from "yaml";
import { SPECIFICATION_DEFAULTS } from "../../planner/device.ts";
import { describeCommand, everyCommand } from "./describe.ts";
import { EXIT } from "../exit.ts";
import { loadProgram } from "../program.ts";
import { lce } from "../testing.ts";

const ROOT = decodeURIComponent(new URL("../..", import.meta.url).pathname);
const QUIET = { print: () => {}, note: () => {}, progress: () => {} };
const commands = everyCommand(describeCommand(await loadProgram(QUIET))).slice(1);

/** Returns an example's arguments: what a shell would do with the rest is left out. */
function argumentsOf(example: string): string[] {
  // What starts lce, and what it is given to, are other programs.
  return example.replace(/^mpirun -n \d+ /, "").replace(/ [|>].*$/, "").split(" ").slice(1)
    .map((word) => word.replaceAll(/^['"]|['"]$/g, ""));
}

const EXAMPLES = [
  ...new Set(commands.flatMap(({ examples }) => examples)),
];

Deno.test("the pages of docs/cli are what deno task docs writes", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const { success, stderr } = await new Deno.Command("deno", {
      args: ["run", "--quiet", "-A", `${ROOT}scripts/write_docs.ts`, folder],
    }).output();
    assert(success, new TextDecoder().decode(stderr));
    const files = (path: string) => [...Deno.readDirSync(path)].map(({ name }) => name).sort();
    assert.deepEqual(files(`${ROOT}docs/cli`), files(folder));
    for (const name of files(folder)) {
      const written = await Deno.readTextFile(`${folder}/${name}`);
      assert.equal(await Deno.readTextFile(`${ROOT}docs/cli/${name}`), written, name);
    }
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("every command's help has an example of that command", () => {
  for (const { path, examples } of commands) {
    const name = path.join(" ");
    assert(examples.some((example) => `${example} `.startsWith(`${name} `)), name);
  }
});

/** Lets a program parse without doing anything. */
function disarm(command: Command): void {
  if (command.commands.length === 0) command.action(() => {});
  for (const child of command.commands) disarm(child);
}

async function parse(line: string): Promise<void> {
  const program = await loadProgram(QUIET);
  disarm(program);
  await program.parseAsync(argumentsOf(line), { from: "user" });
}

for (const example of EXAMPLES) {
  Deno.test(`the example "${example}" is one that lce takes`, () => parse(example));
}

Deno.test("an example that lce does not take would be found out", async () => {
  for (
    const wrong of ["lce plan --vocb 3", "lce plan --dtype f8", "lce model a b", "lce nothing"]
  ) {
    await assert.rejects(parse(wrong), wrong);
  }
});

/** Examples that need no device, and so can be run anywhere. */
const RUNS = /^lce (plan|emit|model|fixture|completions|device --list)\b(?!.*--device auto)/;

Deno.test("examples that need no device run, among the files that they name", async (t) => {
  const folder = await Deno.makeTempDir();
  const before = Deno.cwd();
  const files = {
    "plan.yaml": stringify({ vocab: 50257, hidden: 768, tokens: 1024 }),
    "laptop.yaml": stringify({ ...SPECIFICATION_DEFAULTS, name: "laptop" }),
  };
  try {
    Deno.chdir(folder);
    for (const [path, text] of Object.entries(files)) await Deno.writeTextFile(path, text);
    await lce("fixture", "make", "checkpoints/small");
    const earlier = await lce("plan", "--config", "plan.yaml", "--budget", "8GiB", "--json");
    await Deno.writeTextFile("before.json", earlier.out);
    for (const example of EXAMPLES.filter((each) => RUNS.test(each))) {
      await t.step(example, async () => {
        const { code, err } = await lce(...argumentsOf(example));
        assert.equal(code, EXIT.ok, err);
      });
    }
  } finally {
    Deno.chdir(before);
    await Deno.remove(folder, { recursive: true });
  }
});

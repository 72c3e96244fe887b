import assert from "node:assert/strict";
import { NAMED_DEVICES } from "../../planner/devices/profiles.ts";
import { DTYPES } from "../../planner/dtype.ts";
import { SWEPT } from "../../planner/sweep.ts";
import { MODELS } from "../../planner/models/catalogue.ts";
import { SHELLS } from "./completions/mod.ts";
import { describeCommand, everyCommand, NAMES } from "./describe.ts";
import { EXIT } from "../exit.ts";
import { loadProgram } from "../program.ts";
import { lce } from "../testing.ts";

const ROOT = decodeURIComponent(new URL("../..", import.meta.url).pathname);
const program = describeCommand(
  await loadProgram({ print: () => {}, note: () => {}, progress: () => {} }),
);

/**
 * Returns whether this machine has no such shell: tests that need it say that they were left out.
 */
function lacks(shell: string): boolean {
  try {
    return !new Deno.Command(shell, { args: ["-c", "exit 0"] }).outputSync().success;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return true;
    throw error;
  }
}

/** Runs a shell's commands after its own script was loaded; gives the lines that it prints. */
async function inShell(shell: string, commands: string, ...args: string[]): Promise<string[]> {
  const script = (await lce("completions", shell)).out;
  const options = shell === "bash" ? ["--noprofile", "--norc"] : [];
  const { success, stdout, stderr } = await new Deno.Command(shell, {
    args: [...options, "-c", `${script}\n${commands}`, ...args],
    cwd: ROOT,
  }).output();
  const decoder = new TextDecoder();
  assert(success, decoder.decode(stderr));
  assert.equal(decoder.decode(stderr), "");
  return decoder.decode(stdout).split("\n").filter((line) => line !== "");
}

Deno.test("every shell's script has every command, flag, choice and name", async () => {
  for (const shell of SHELLS) {
    const { code, out } = await lce("completions", shell);
    assert.equal(code, EXIT.ok);
    for (const { path, options, arguments: taken } of everyCommand(program)) {
      assert(out.includes(path.at(-1)!), `${shell}: ${path}`);
      for (const { names } of options) {
        for (const name of names) {
          const written = shell === "fish"
            ? name.replace(/^-(-?)/, (_, long) => long ? "-l " : "-s ")
            : name;
          assert(out.includes(written), `${shell}: ${path} ${name}`);
        }
      }
      for (const value of [...taken, ...options.flatMap(({ value }) => value ?? [])]) {
        for (const word of value.words) assert(out.includes(word), `${shell}: ${path} ${word}`);
      }
    }
  }
});

for (const shell of SHELLS) {
  Deno.test(`the script of ${shell} is sound to it`, { ignore: lacks(shell) }, async () => {
    const script = (await lce("completions", shell)).out;
    const path = await Deno.makeTempFile();
    try {
      await Deno.writeTextFile(path, script);
      const { success, stderr } = await new Deno.Command(shell, { args: ["-n", path] }).output();
      assert(success, new TextDecoder().decode(stderr));
    } finally {
      await Deno.remove(path);
    }
  });
}

const COMMANDS = program.commands.map(({ path }) => path.at(-1)!);
const MODEL_NAMES = MODELS.map(({ name }) => name);
const DEVICES = NAMED_DEVICES.map(({ name }) => name);

/** Words of a line as bash splits them, the last of which is being typed, and what completes it. */
const LINES: readonly [string[], readonly string[]][] = [
  [["lce", "pl"], ["plan"]],
  [["lce", "fixture", ""], ["list", "inspect", "make"]],
  [["lce", "fixture", "make", "--dt"], ["--dtype"]],
  [["lce", "plan", "--dtype", ""], DTYPES],
  [["lce", "plan", "--dtype", "="], DTYPES],
  [["lce", "plan", "--dtype", "=", "b"], ["bf16"]],
  [["lce", "plan", "--dtype", "bf16", "--pass", ""], ["forward", "train"]],
  [["lce", "plan", "--model", "l"], [
    ...MODEL_NAMES.filter((name) => name.startsWith("l")),
    "lce.schema.json",
  ]],
  [["lce", "model", "phi"], MODEL_NAMES.filter((name) => name.startsWith("phi"))],
  [["lce", "emit", "--device", "chrome"], DEVICES.filter((name) => name.startsWith("chrome"))],
  [["lce", "plan", "--config", "deno.js"], ["deno.json"]],
  [["lce", "run", "fixtures/files/open.t"], ["fixtures/files/open.ts"]],
  [["lce", "completions", ""], SHELLS],
  // A value that is called as a command is: the command stays the same.
  [["lce", "plan", "--config", "run", "--vo"], ["--vocab"]],
  [["lce", "plan", "--tokens", ""], []],
  [["lce", "plan", "--sweep", "to"], ["tokens="]],
  [["lce", "plan", "--sweep", ""], SWEPT.map((name) => `${name}=`)],
  [["lce", "plan", "--peers", "a"], ["all"]],
  [["lce", "plan", "--peers", "lig"], ["liger", "liger-f32"]],
];
for (const [words, expected] of LINES) {
  Deno.test(`bash completes ${words.join(" ")}`, { ignore: lacks("bash") }, async () => {
    const run = 'COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _lce; printf "%s\\n" "${COMPREPLY[@]}"';
    assert.deepEqual(await inShell("bash", run, "bash", ...words), expected);
  });
}

Deno.test("bash offers every command first", { ignore: lacks("bash") }, async () => {
  const run = 'COMP_WORDS=(lce ""); COMP_CWORD=1; _lce; printf "%s\\n" "${COMPREPLY[@]}"';
  const found = await inShell("bash", run);
  assert(COMMANDS.length > 8);
  for (const name of COMMANDS) assert(found.includes(name), name);
});

Deno.test("fish completes what bash does", { ignore: lacks("fish") }, async () => {
  // Words that bash has split at "=" are one to fish.
  for (const [words, expected] of LINES.filter(([words]) => !words.includes("="))) {
    const found = await inShell("fish", `complete -C '${words.join(" ")}'`);
    const offered = found.map((line) => line.split("\t")[0]!);
    for (const word of expected) assert(offered.includes(word), `${words.join(" ")}: ${offered}`);
  }
});

Deno.test("names to complete are those of flags and arguments that exist", () => {
  const commands = everyCommand(program);
  const known = commands.flatMap(({ path, options, arguments: taken }) => [
    ...options.flatMap(({ names }) => names),
    ...taken.map(({ name }) => `${path.join(" ")} ${name}`),
  ]);
  for (const key of Object.keys(NAMES)) assert(known.includes(key), key);
});

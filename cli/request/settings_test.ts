import assert from "node:assert/strict";
import * as z from "zod";
import { describeCommand, everyCommand } from "../help/describe.ts";
import { EXIT } from "../exit.ts";
import { loadProgram } from "../program.ts";
import { flagName, planFileSchema } from "./request.ts";
import { type Setting, settingFlag } from "./settings.ts";
import { lce, withFile } from "../testing.ts";

const program = describeCommand(
  await loadProgram({ print: () => {}, note: () => {}, progress: () => {} }),
);
const planOptions = new Map(
  everyCommand(program).find(({ path }) => path.join(" ") === "lce plan")!
    .options.map((option) => [option.names.at(-1)!, option]),
);

Deno.test("every setting of a plan file is a flag, with its choices, default and meaning", () => {
  for (const [setting, schema] of Object.entries(planFileSchema.shape)) {
    const option = planOptions.get(flagName(setting));
    assert(option, setting);
    const { $ZodBoolean, $ZodDefault, $ZodEnum, $ZodOptional } = z.core;
    const inner = schema instanceof $ZodOptional || schema instanceof $ZodDefault
      ? schema._zod.def.innerType
      : schema;
    if (inner instanceof $ZodEnum) {
      assert.deepEqual(option.choices, [...inner._zod.values], setting);
    }
    assert.equal(option.value === undefined, inner instanceof $ZodBoolean, setting);
    const initial = schema instanceof $ZodDefault ? schema._zod.def.defaultValue : undefined;
    if (typeof initial === "number" || typeof initial === "string") {
      assert(option.description.includes(`(default: ${initial})`), option.description);
    }
    const meaning = (z.globalRegistry.get(schema) ?? z.globalRegistry.get(inner))?.description;
    assert(meaning && option.description.startsWith(meaning), `${setting}: ${meaning}`);
  }
});

Deno.test("every flag of lce plan is a setting, but those that are about one run", () => {
  const settings = Object.keys(planFileSchema.shape).map(flagName);
  const others = [...planOptions.keys()].filter((name) => !settings.includes(name));
  assert.deepEqual(others.toSorted(), [
    "--against",
    "--config",
    "--fail-over",
    "--force",
    "--help",
    "--json",
    "--no-calibrate",
    "--webgpu",
  ]);
});

/** The problem of a plan's JSON. */
async function problemOf(...args: string[]) {
  const { code, out, err } = await lce("plan", ...args, "--json");
  assert.equal(code, EXIT.ok, err);
  return JSON.parse(out).problem;
}

Deno.test("numbers are the same in flags, sweeps and plan files", async () => {
  const flags = await problemOf("--vocab", "8Ki", "--hidden", "64", "--tokens", "4k");
  assert.deepEqual([flags.vocab, flags.tokens], [8192, 4096]);
  await withFile("vocab: 8Ki\nhidden: 6.4e1\ntokens: 4k\nstatistics: entropy\n", async (path) => {
    const file = await problemOf("--config", path);
    assert.deepEqual([file.vocab, file.hidden, file.tokens], [8192, 64, 4096]);
    assert.deepEqual(file.statistics, ["entropy"]);
  });
  const swept = await lce(
    "plan",
    "--vocab",
    "8k",
    "--hidden",
    "64",
    "--sweep",
    "tokens=1e3,4Ki",
    "--json",
  );
  assert.deepEqual(JSON.parse(swept.out).sweep, { tokens: [1000, 4096] });
});

Deno.test("what is no finite number is shown as it was written", async () => {
  const { code, err } = await lce("plan", "--vocab", "3", "--hidden", "4", "--z-loss", "1e400");
  assert.equal(code, EXIT.usage);
  assert.match(err, /--z-loss.*1e400 is too large a number/);
  await withFile("vocab: 3\nhidden: 4\nzLoss: .inf\n", async (path) => {
    const { code, err } = await lce("plan", "--config", path);
    assert.equal(code, EXIT.input);
    assert.match(err, /zLoss Infinity: must be a finite number/);
  });
});

const SIZES = "vocab: 5000\nhidden: 64\n";

Deno.test("a plan file asks for what flags ask for", async () => {
  const cases: [string, string[]][] = [
    ["compare: true\nexplain: true\n", ["--compare", "--explain"]],
    ["largest: tokens\nbudget: 64MiB\n", ["--largest", "tokens", "--budget", "64MiB"]],
    ["codes: 100\n", ["--codes", "100"]],
    ["sweep: tokens=1k,2k\nformat: csv\npeers: [liger]\n", [
      ...["--sweep", "tokens=1k,2k", "--format", "csv", "--peers", "liger"],
    ]],
    ["sweep: [tokens=1k, 'hidden=8,16']\n", ["--sweep", "tokens=1k", "--sweep", "hidden=8,16"]],
  ];
  for (const [text, flags] of cases) {
    const sizes = text.includes("hidden=") ? "vocab: 5000\n" : SIZES;
    await withFile(sizes + text, async (path) => {
      const file = await lce("plan", "--config", path);
      assert.equal(file.code, EXIT.ok, file.err);
      const given = flags.includes("hidden=8,16") ? [] : ["--hidden", "64"];
      assert.deepEqual(file, await lce("plan", "--vocab", "5000", ...given, ...flags));
    });
  }
});

Deno.test("flags win over what a plan file asks for, and pictures lie beside it", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const path = `${folder}/plan.yaml`;
    await Deno.writeTextFile(path, `${SIZES}sweep: tokens=1k,2k\nsvg: memory.svg\n`);
    const { code, out, err } = await lce("plan", "--config", path, "--sweep", "tokens=4k,8k");
    assert.equal(code, EXIT.ok, err);
    assert.match(out, /4096 to 8192 tokens/);
    assert.match(await Deno.readTextFile(`${folder}/memory.svg`), /^<svg/);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("what a plan file asks for is checked as flags are", async () => {
  const cases: [string, RegExp][] = [
    ["largest: tokns\n", /largest "tokns": must be one of tokens.* Did you mean tokens\?/],
    ["peers: [ligr]\nsweep: tokens=1\n", /peers.*: must be one of.* Did you mean liger\?/],
    ["compare: maybe\n", /compare "maybe": must be true or false/],
  ];
  for (const [text, message] of cases) {
    await withFile(SIZES + text, async (path) => {
      const { code, err } = await lce("plan", "--config", path);
      assert.equal(code, EXIT.input, err);
      assert.match(err, message);
      assert(err.includes(path));
    });
  }
  await withFile(`${SIZES}sweep: tokens=1k\n`, async (path) => {
    const { code, err } = await lce("emit", "never-written", "--config", path);
    assert.equal(code, EXIT.usage, err);
    assert.match(err, /leave out sweep/);
  });
});

/** Flags that mean something else than the setting of their name. */
const APART: readonly string[] = [
  "lce bench --format",
  "lce run --hidden",
];

Deno.test("a flag of any command that has a setting's name is that setting's flag", () => {
  const settings = new Map(
    (Object.keys(planFileSchema.shape) as Setting[]).map((name) => [flagName(name), name]),
  );
  let found = 0;
  for (const { path, options } of everyCommand(program)) {
    for (const { flags, names, choices, description } of options) {
      const setting = settings.get(names.at(-1)!);
      const place = `${path.join(" ")} ${names.at(-1)}`;
      if (setting === undefined || APART.includes(place)) continue;
      const made = settingFlag(setting);
      assert.equal(flags, made.flags, place);
      assert.deepEqual(choices, made.argChoices ?? [], place);
      if (path.includes("make")) {
        const bare = (text: string) => text.replace(/ \(default: .*\)$/, "");
        assert.equal(bare(description), bare(made.description), place);
      }
      found++;
    }
  }
  assert(found > Object.keys(planFileSchema.shape).length + 10);
});

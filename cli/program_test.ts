import assert from "node:assert/strict";
import { describeCommand, everyCommand } from "./help/describe.ts";
import { EXIT, EXIT_CODES } from "./exit.ts";
import { loadProgram } from "./program.ts";
import { lce, withFile } from "./testing.ts";
import { planFileJsonSchema } from "./request/request.ts";

Deno.test("help is as it was, of every command", async (t) => {
  const program = describeCommand(
    await loadProgram({ print: () => {}, note: () => {}, progress: () => {} }),
  );
  for (const { path: [, ...args] } of everyCommand(program)) {
    const { code, out } = await lce(...args, "--help");
    assert.equal(code, EXIT.ok);
    await t.assertSnapshot(out, { name: ["lce", ...args, "--help"].join(" ") });
  }
});

Deno.test("lce plan prints the plan", async (t) => {
  const { code, out, err } = await lce("plan", "--vocab", "256000", "--hidden", "4096");
  assert.equal(code, EXIT.ok);
  assert.equal(err, "");
  await t.assertSnapshot(out);
});

Deno.test("lce plan --json meets its contract", async () => {
  const { code, out } = await lce("plan", "--vocab", "256000", "--hidden", "4096", "--json");
  assert.equal(code, EXIT.ok);
  const plan = JSON.parse(out);
  assert.equal(plan.problem.tokens, 8192);
  assert.equal(plan.problem.dtype, "f32");
  assert.equal(plan.strategy, "fused");
  assert.equal(plan.device.limits.maxBufferSize, 268435456);
  assert.equal(plan.memory.logitsBytes, 8192 * 256000 * 4);
  assert.equal(plan.memory.savedBytes, plan.memory.twoStagePeakBytes - plan.memory.peakBytes);
  assert(plan.memory.savedBytes >= 0.99 * plan.memory.logitsBytes);
  assert.equal(plan.cost.flops, 2 * 8192 * 4096 * 256000);
  for (const key of ["tokens", "vocab", "hidden", "workgroupSize", "workgroupBytes"]) {
    assert(plan.tile[key] > 0, key);
  }
  assert.equal(plan.window.count, Math.ceil(256000 / plan.window.vocab));
  const inputs = plan.memory.buffers.filter(
    ({ category }: { category: string }) => category === "input",
  );
  const inputBytes = inputs.reduce((sum: number, { bytes }: { bytes: number }) => sum + bytes, 0);
  assert.equal(inputBytes, 4 * (8192 * 4096 + 256000 * 4096 + 8192));
  const strategies = plan.alternatives.map(({ strategy }: { strategy: string }) => strategy);
  assert.deepEqual(strategies, ["two-stage", "windowed", "chunked"]);
});

Deno.test("a plan whose strategy was given lists no alternatives", async () => {
  const plan = ["plan", "--vocab", "1000", "--hidden", "8"];
  assert.match((await lce(...plan)).out, /\nalternatives\n/);
  assert.doesNotMatch((await lce(...plan, "--strategy", "fused")).out, /alternatives/);
});

Deno.test("a plan file in YAML or JSON says the same as flags, and flags win", async () => {
  const flags = [
    "--vocab",
    "5000",
    "--hidden",
    "64",
    "--label-smoothing",
    "0.1",
    "--pass",
    "train",
  ];
  const { out } = await lce("plan", "--json", ...flags, "--budget", "16MiB");
  const yaml = "vocab: 5000\nhidden: 64\nlabelSmoothing: 0.1\npass: train\nbudget: 16MiB\n";
  const json = JSON.stringify({
    $schema: "./lce.schema.json",
    vocab: 5000,
    hidden: 64,
    labelSmoothing: 0.1,
    pass: "train",
    budget: "16MiB",
  });
  for (const text of [yaml, json]) {
    await withFile(text, async (path) => {
      assert.equal((await lce("plan", "--json", "--config", path)).out, out);
      const other = await lce("plan", "--json", "--config", path, "--vocab", "6000");
      assert.equal(JSON.parse(other.out).problem.vocab, 6000);
    });
  }
});

Deno.test("lce.schema.json is what the schema makes", async () => {
  const stored = await Deno.readTextFile(new URL("../lce.schema.json", import.meta.url));
  assert.deepEqual(JSON.parse(stored), JSON.parse(JSON.stringify(planFileJsonSchema())));
});

const PLAN = ["plan", "--vocab", "1000", "--hidden", "64"];
const USAGE: readonly [string[], RegExp][] = [
  [["plan"], /--hidden is needed\n--vocab is needed/],
  [["plan", "--vocab", "0", "--hidden", "64"], /--vocab 0: must be at least 1$/m],
  [["plan", "--vocab", "-5", "--hidden", "64"], /--vocab -5: must be at least 1$/m],
  [["plan", "--vocab", "1.5", "--hidden", "64"], /--vocab 1.5: must be a whole number$/m],
  [
    ["plan", "--vocab", "2147483648", "--hidden", "64"],
    /--vocab 2147483648: must be at most 2147483647$/m,
  ],
  [["plan", "--vocab", "1e400", "--hidden", "64"], /1e400 is too large a number/],
  [["plan", "--vocab", "twelve", "--hidden", "64"], /is no number: write 8192/],
  [["plan", "--vocab", "", "--hidden", "64"], /is no number: write 8192/],
  [["plan", "--vocab", "2147483647", "--hidden", "2147483647"], /2\^53 bytes/],
  [[...PLAN, "--dtype", "f8"], /'f8' is invalid.*f32, f16, bf16/],
  [[...PLAN, "--pass", "backward"], /forward, train/],
  [[...PLAN, "--label-smoothing", "1.5"], /--label-smoothing 1.5/],
  [[...PLAN, "--gradients", "bias", "--pass", "train"], /set bias to true/],
  [[...PLAN, "--budget", "lots"], /--budget "lots": Cannot read "lots" as a size/],
  [[...PLAN, "--vocabulary", "3"], /unknown option '--vocabulary'/],
  [["plna"], /unknown command 'plna'[\s\S]*plan/],
  [["run", "--strategy", "magic"], /two-stage, fused, windowed, chunked/],
  [["run", "--window", "0"], /--window 0/],
];

for (const [args, message] of USAGE) {
  Deno.test(`lce ${args.join(" ")} is a usage error`, async () => {
    const { code, out, err } = await lce(...args);
    assert.equal(code, EXIT.usage, err);
    assert.match(err, message);
    assert.equal(out, "");
    assert.match(err, /^lce: /, "one way to begin a message");
    assert.doesNotMatch(err, /Invalid input|Invalid option|Too small|Too big|expected/);
    assert(!/\bat .*\.ts:\d+/.test(err), "no stack trace");
  });
}

Deno.test("a plan file that is wrong is an input error", async () => {
  const cases: [string, RegExp][] = [
    ["vocab: [", /neither YAML nor JSON/],
    ["just text", /must be a map of settings/],
    ["vocab: 0\nhidden: 4", /vocab 0: /],
    ["vocab: 10\nhidden: 4\ncolour: red", /unknown setting colour/],
    ["vocab: 10\nhidden: 4\ndevice: {name: x, limits: {}}", /device/],
  ];
  for (const [text, message] of cases) {
    await withFile(text, async (path) => {
      const { code, err } = await lce("plan", "--config", path);
      assert.equal(code, EXIT.input, err);
      assert.match(err, message);
    });
  }
  const missing = await lce("plan", "--config", "/no/such/plan.yaml");
  assert.equal(missing.code, EXIT.input);
  assert.match(missing.err, /does not exist/);
});

Deno.test("what does not fit says what would, and exits with 5", async () => {
  const tight = await lce(...PLAN, "--budget", "1KiB");
  assert.equal(tight.code, EXIT.doesNotFit);
  assert.match(tight.err, /smallest that would is \d+ bytes/);
  const one = await lce(...PLAN, "--budget", "1");
  assert.match(one.err, /a budget of 1 byte \(/);
  const huge = await lce("plan", "--vocab", "2147483647", "--hidden", "1024");
  assert.equal(huge.code, EXIT.doesNotFit);
  assert.match(huge.err, /No schedule fits/);
});

Deno.test("bad input files exit with 4 and name the file", async () => {
  const missing = await lce("run", "/no/such/fixture");
  assert.equal(missing.code, EXIT.input);
  assert.match(missing.err, /\/no\/such\/fixture does not exist/);
  await withFile("nonsense", async (path) => {
    for (const args of [["run", path], ["fixture", "inspect", path]]) {
      const { code, err } = await lce(...args);
      assert.equal(code, EXIT.input);
      assert(err.includes(path), err);
    }
  }, ".safetensors");
  const options = JSON.stringify({ divergence: "tvd" });
  const header = JSON.stringify({ __metadata__: { options } });
  const length = String.fromCharCode(header.length).padEnd(8, "\0");
  await withFile(length + header, async (path) => {
    const { code, err } = await lce("run", path);
    assert.equal(code, EXIT.input);
    assert.match(err, /needs the divergence tvd/);
  }, ".safetensors");
});

Deno.test("lce fixture lists, inspects and makes", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const made = await lce("fixture", "make", `${folder}/x`, "--vocab", "30", "--hidden", "8");
    assert.equal(made.code, EXIT.ok, made.err);
    assert.match((await lce("fixture", "list", folder)).out, /checkpoint .*\/x/);
    const { out } = await lce("fixture", "inspect", `${folder}/x/model.safetensors`, "--json");
    assert.deepEqual(JSON.parse(out).tensors, [
      { name: "model.embed_tokens.weight", dtype: "BF16", shape: [30, 8], bytes: 480 },
    ]);
    assert.match((await lce("fixture", "list")).out, /tiny-lm[\s\S]*oracle\/bias.safetensors/);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("a number that no schema's bound allows is met with the nearest bound alone", async () => {
  const { code, err } = await lce("plan", "--vocab", "1e18", "--hidden", "64");
  assert.equal(code, EXIT.usage);
  assert.equal(err, "lce: --vocab 1000000000000000000: must be at most 2147483647\n");
  for (const flag of ["--window", "--block", "--codes", "--tensor-parallel", "--data-parallel"]) {
    const { err } = await lce(...PLAN, flag, "1e18");
    assert.equal(err, `lce: ${flag} 1000000000000000000: must be at most 2147483647\n`);
  }
  await withFile("vocab: 1e18\nhidden: 64\nwindow: 1e18\n", async (path) => {
    const { code, err } = await lce("plan", "--config", path);
    assert.equal(code, EXIT.input);
    assert.equal(err.match(/vocab .*: must be at most/g)?.length, 1, err);
    assert.match(err, /vocab 1000000000000000000: must be at most 2147483647$/m);
    assert.match(err, /window 1000000000000000000: must be at most 2147483647$/m);
  });
});

Deno.test("help and the README say the same of each exit code", async () => {
  const readme = await Deno.readTextFile(new URL("../README.md", import.meta.url));
  const [, listed] = /Exit codes: ([^.]*)\./.exec(readme.replaceAll(/\s+/g, " "))!;
  assert.deepEqual(
    listed!.split("; "),
    EXIT_CODES.map(({ code, meaning }) => `${code} ${meaning}`),
  );
  assert.deepEqual(EXIT_CODES.map(({ code }) => code), Object.values(EXIT));
  const { out } = await lce("--help");
  for (const { code, meaning } of EXIT_CODES) {
    assert.match(out, new RegExp(`^ +${code} +${meaning}$`, "m"));
  }
  assert.match(EXIT_CODES.find(({ code }) => code === 1)!.meaning, /verification .*--against/);
});

Deno.test("a seed that is no whole number makes nothing", async () => {
  for (const seed of ["1.5", "-1", "4294967296"]) {
    const { code, err } = await lce("fixture", "make", "never-made", "--seed", seed);
    assert.equal(code, EXIT.usage);
    assert.match(err, new RegExp(`--seed ${seed.replace(".", "\\.")}: must be`));
  }
});

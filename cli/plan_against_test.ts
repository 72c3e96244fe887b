import assert from "node:assert/strict";
import { EXIT } from "./exit.ts";
import { lce, withFile } from "./testing.ts";

const PLAN = ["plan", "--vocab", "5000", "--hidden", "64", "--tokens", "900", "--pass", "train"];
// A device whose speed is known, so that times are estimated.
const TIMED = [...PLAN, "--device", "h100-deno"];

// deno-lint-ignore no-explicit-any -- what a program that reads JSON sees
type Json = any;

/** Lends the file of a plan, changed as an earlier one may have differed. */
async function withEarlier(
  args: readonly string[],
  change: (plan: Json) => void,
  use: (path: string, plan: Json) => Promise<void>,
): Promise<void> {
  const { code, out, err } = await lce(...args, "--json");
  assert.equal(code, EXIT.ok, err);
  const plan = JSON.parse(out);
  change(plan);
  await withFile(JSON.stringify(plan), (path) => use(path, plan), ".json");
}

Deno.test("a plan beside itself is the same, for people and for programs", () =>
  withEarlier(TIMED, () => {}, async (path, plan) => {
    const { code, out, err } = await lce(...TIMED, "--against", path);
    assert.equal(code, EXIT.ok, err);
    assert.equal(err, "");
    const [, section] = out.split(`\nagainst ${path}\n`);
    assert.match(section!, /^ {2}peak .* same\n {2}extra peak .* same\n {2}estimated time .* same/);
    const { against } = JSON.parse((await lce(...TIMED, "--against", path, "--json")).out);
    assert.deepEqual(against, {
      figures: {
        peakBytes: { now: plan.memory.peakBytes, earlier: plan.memory.peakBytes, change: "same" },
        extraPeakBytes: {
          now: plan.memory.extraPeakBytes,
          earlier: plan.memory.extraPeakBytes,
          change: "same",
        },
        estimatedMs: {
          now: plan.cost.estimatedMs,
          earlier: plan.cost.estimatedMs,
          change: "same",
        },
      },
      choices: {},
      untimed: null,
    });
  }));

/** The earlier plan took so much of what this one takes; what is said, with which share allowed. */
const GROWN: readonly [string, (plan: Json) => void, string[], number, RegExp | undefined][] = [
  [
    "extra memory by a quarter",
    ({ memory }) => memory.extraPeakBytes /= 1.25,
    [],
    EXIT.verification,
    /^Worse than in .*\.json:\n {2}extra peak: 25 % more, .* after .*\n$/,
  ],
  [
    "extra memory by a quarter, where a tenth may be",
    ({ memory }) => memory.extraPeakBytes /= 1.25,
    ["--fail-over", "10%"],
    EXIT.verification,
    /extra peak: 25 % more/,
  ],
  [
    "extra memory by a quarter, where three tenths may be",
    ({ memory }) => memory.extraPeakBytes /= 1.25,
    ["--fail-over", "30%"],
    EXIT.ok,
    undefined,
  ],
  [
    "time by a half",
    ({ cost }) => cost.estimatedMs /= 1.5,
    ["--fail-over", "10%"],
    EXIT.verification,
    /estimated time: 50 % more/,
  ],
  [
    "one byte",
    ({ memory }) => memory.peakBytes -= 1,
    [],
    EXIT.verification,
    /peak: \S+ % more/,
  ],
  [
    "nothing, and less memory",
    ({ memory }) => memory.extraPeakBytes *= 2,
    [],
    EXIT.ok,
    undefined,
  ],
];
for (const [what, change, flags, expected, message] of GROWN) {
  Deno.test(`a plan that grew by ${what} exits with ${expected}`, () =>
    withEarlier(TIMED, change, async (path) => {
      const { code, out, err } = await lce(...TIMED, "--against", path, ...flags);
      assert.equal(code, expected, err);
      if (message) assert.match(err, message);
      else assert.equal(err, "");
      // The plan is printed all the same.
      assert.match(out, /^900 tokens x 64 hidden x 5000 vocab/);
    }));
}

Deno.test("what was chosen otherwise stands beside what it changed", () =>
  withEarlier([...TIMED, "--strategy", "two-stage"], () => {}, async (path) => {
    const narrow = ["--strategy", "windowed", "--window", "1024"];
    const { code, out, err } = await lce(...TIMED, ...narrow, "--against", path);
    // Two stages keep the logits, and windows of them are recomputed.
    assert.match(out, /\n {2}extra peak .* less\n/);
    assert.match(out, /\n {2}strategy +windowed +was two-stage\n/);
    assert.equal(code, EXIT.verification);
    assert.match(err, /^Worse than in .*:\n {2}estimated time: \d+ % more, .*\n$/);
  }));

Deno.test("estimated times are compared only where they rest on the same rates", async () => {
  await withEarlier(
    TIMED,
    ({ device, cost }) => {
      device.rates.flopsPerSecond *= 2;
      cost.estimatedMs /= 2;
    },
    async (path) => {
      const { code, out } = await lce(...TIMED, "--against", path);
      assert.equal(code, EXIT.ok);
      assert.match(out, /estimated times are not compared: they rest on other rates/);
    },
  );
  await withEarlier(PLAN, () => {}, async (path) => {
    const { code, out } = await lce(...PLAN, "--against", path);
    assert.equal(code, EXIT.ok);
    assert.match(out, /estimated times are not compared: the device's speed was not measured/);
  });
});

Deno.test("the host's memory and what ranks send are compared too", async () => {
  await withEarlier(
    [...PLAN, "--host-io"],
    ({ host }) => host.peakBytes /= 2,
    async (path) => {
      const { code, err } = await lce(...PLAN, "--host-io", "--against", path);
      assert.equal(code, EXIT.verification);
      assert.match(err, /host: 100 % more/);
    },
  );
  const split = [...PLAN, "--tensor-parallel", "3"];
  await withEarlier(
    split,
    ({ totals }) => totals.sentBytes /= 2,
    async (path) => {
      const { code, err } = await lce(...split, "--against", path);
      assert.equal(code, EXIT.verification);
      assert.match(err, /sent by rank 0: 100 % more/);
    },
  );
});

/** What is planned otherwise, and what is said to differ. */
const OTHERS: readonly [string[], RegExp][] = [
  [["--tokens", "901"], /: is of another job: tokens 900 there, 901 here\n$/],
  [["--dtype", "bf16", "--bias"], /dtype "f32" there, "bf16" here; bias false there, true here\n$/],
  [["--softcap", "30"], /softcap nothing there, 30 here\n$/],
  [["--host-io"], /hostIo false there, true here\n$/],
  [["--codes", "64"], /vocab 5000 there, 64 here; .*codes nothing there, 64 here; /],
  [["--tensor-parallel", "2"], /parallel nothing there, \{"tensor":2.*\} here\n$/],
  [
    ["--device", "h100-deno"],
    /: device.name "WebGPU specification defaults" there, "NVIDIA H100 80GB HBM3" here\n$/,
  ],
];
for (const [flags, message] of OTHERS) {
  Deno.test(`a plan with ${flags.join(" ")} is not that of the earlier job`, () =>
    withEarlier(PLAN, () => {}, async (path) => {
      const { code, out, err } = await lce(...PLAN, ...flags, "--against", path);
      assert.equal(code, EXIT.input, err);
      assert.match(err, message);
      assert.equal(out, "");
    }));
}

Deno.test("a device of the same name with another limit is another", () =>
  withEarlier(PLAN, ({ device }) => device.limits.maxBufferSize *= 2, async (path) => {
    const { code, err } = await lce(...PLAN, "--against", path);
    assert.equal(code, EXIT.input);
    assert.match(
      err,
      /another job: device.limits.maxBufferSize 536870912 there, 268435456 here\n$/,
    );
  }));

Deno.test("a file from before a setting existed says its default", () =>
  withEarlier(PLAN, ({ problem }) => delete problem.zLoss, async (path) => {
    assert.equal((await lce(...PLAN, "--against", path)).code, EXIT.ok);
  }));

const MALFORMED: readonly [string, string, RegExp][] = [
  ["no JSON", "strategy: fused", /is not JSON/],
  ["rows of a benchmark", "[]", /must be one plan, as "lce plan --json" prints it/],
  ["a sweep", '{"sweep": {}}', /must be one plan/],
  ["a map of something else", '{"a": 1}', /is no plan, .*: problem is needed; device is needed/],
];
for (const [what, text, message] of MALFORMED) {
  Deno.test(`a plan against ${what} exits with 4`, () =>
    withFile(text, async (path) => {
      const { code, out, err } = await lce(...PLAN, "--against", path);
      assert.equal(code, EXIT.input, err);
      assert.match(err, message);
      assert(err.includes(path), err);
      assert.equal(out, "");
    }, ".json"));
}

Deno.test("--fail-over needs --against, and --against one plan of fixed sizes", async () => {
  const alone = await lce(...PLAN, "--fail-over", "10%");
  assert.equal(alone.code, EXIT.usage);
  assert.match(alone.err, /--fail-over: needs --against/);
  const [, ...others] = PLAN.filter((word) => word !== "--tokens" && word !== "900");
  for (const flags of [["--largest", "tokens"], ["--sweep", "tokens=1,2"]]) {
    const { code, err } = await lce("plan", ...others, ...flags, "--against", "x.json");
    assert.equal(code, EXIT.usage);
    assert.match(err, new RegExp(`--against and ${flags[0]} cannot be given together`));
  }
});

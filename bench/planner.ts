// deno-lint-ignore-file no-console -- a script prints
/**
 * How long planning takes inside a warm process, in CPU time, so that other work
 * on the machine does not count: single plans, a thousand in a sweep, the largest
 * sizes that fit, and plans of any size in every mode, of which the slowest is told.
 *
 *     deno task bench:planner
 *
 * @module
 */
import process from "node:process";
import { type DeviceProfile, SPECIFICATION_DEFAULTS } from "../planner/device.ts";
import { findDevice } from "../planner/devices/profiles.ts";
import { planLargest } from "../planner/largest.ts";
import { findModel } from "../planner/models/catalogue.ts";
import { DoesNotFitError, makePlan, type PlanOptions } from "../planner/plan.ts";
import type { ProblemInput } from "../planner/problem.ts";
import { parseProblem, problemSchema } from "../planner/problem_schema.ts";
import { logSpaced, sweep } from "../planner/sweep.ts";
import { table } from "../cli/report/table.ts";

const GIB = 2 ** 30;
const H100 = findDevice("h100-deno")!.profile;

/** Milliseconds of CPU time that something takes, what is not planned included. */
function cpuMs(run: () => void): number {
  const begun = process.cpuUsage();
  run();
  const { user, system } = process.cpuUsage(begun);
  return (user + system) / 1000;
}

/** Milliseconds of one of some runs, after a few to warm up. */
function warmMs(run: () => void, repeats = 15): string {
  for (let i = 0; i < 5; i++) run();
  const ms = cpuMs(() => {
    for (let i = 0; i < repeats; i++) run();
  });
  return (ms / repeats).toFixed(1);
}

const rows = ["gemma-2-2b", "llama-3.1-8b", "gpt2"].flatMap((model) =>
  (["forward", "train"] as const).map((pass) => {
    const { vocab, hidden } = findModel(model)!;
    const problem = parseProblem({ tokens: 8192, vocab: vocab!, hidden: hidden!, pass });
    const times = [SPECIFICATION_DEFAULTS, H100].map((device) =>
      warmMs(() => makePlan(problem, device))
    );
    return [model, pass, ...times];
  })
);
console.log(table([["model, 8192 tokens", "pass", "default limits, ms", "H100, ms"], ...rows], [
  "left",
  "left",
  "right",
  "right",
]));

for (const pass of ["forward", "train"] as const) {
  const axes = [
    { name: "tokens", values: logSpaced(1024, 16384, 10) },
    { name: "hidden", values: logSpaced(768, 8192, 10) },
    { name: "vocab", values: logSpaced(32000, 256000, 10) },
  ] as const;
  const problem = parseProblem({ hidden: 768, vocab: 32000, pass });
  let points = 0;
  const ms = cpuMs(() => {
    points = [...sweep(problem, H100, {}, axes)].length;
  });
  console.log(`${points} ${pass} plans: ${(ms / 1000).toFixed(2)} s`);
}

const gemma = { hidden: 2304, vocab: 256000, pass: "train" } as const;
const largest: [string, "tokens" | "vocab", ProblemInput, PlanOptions][] = [
  ["tokens", "tokens", gemma, { budget: 80 * GIB, weights: "resident" }],
  ["tokens, in 8 GiB, bf16", "tokens", { ...gemma, dtype: "bf16" }, { budget: 8 * GIB }],
  ["tokens, in 8 GiB, host I/O", "tokens", gemma, { budget: 8 * GIB, hostIo: true }],
  ["tokens, in 8 GiB, streamed", "tokens", gemma, { budget: 8 * GIB, weights: "streamed" }],
  ["vocab", "vocab", gemma, { weights: "resident" }],
];
for (const [what, dimension, problem, options] of largest) {
  const ms = cpuMs(() =>
    planLargest(dimension, parseProblem(problem), SPECIFICATION_DEFAULTS, options)
  );
  console.log(`largest ${what}: ${ms.toFixed(0)} ms`);
}

// Sizes of every order, spread evenly on a logarithmic scale by a generator that is always the same.
let seed = Number(process.env.SEED ?? 5);
const random = () => (seed = (seed * 1664525 + 1013904223) % 2 ** 32) / 2 ** 32;
const oneOf = <T>(all: readonly T[]): T => all[Math.floor(random() * all.length)]!;
const size = () => Math.min(2 ** 31 - 1, Math.floor(2 ** (31 * random())));

const PLACES: readonly (readonly [string, PlanOptions])[] = [
  ["caller's buffers", { weights: "resident" }],
  ["left open", {}],
  ["host I/O", { hostIo: true, weights: "resident" }],
  ["streamed", { weights: "streamed" }],
  ["host I/O, auto", { hostIo: true, weights: "auto" }],
];

/** The slowest of some plans of any size, where the weight is in some place. */
function slowest(count: number, options: PlanOptions, budgeted: boolean) {
  let worst = { ms: 0, what: "" };
  let planned = 0;
  for (let plans = 0; plans < count;) {
    const input = {
      tokens: size(),
      hidden: size(),
      vocab: size(),
      pass: oneOf(["forward", "train", "train"] as const),
      dtype: oneOf(["f32", "bf16"] as const),
    };
    const device: DeviceProfile = oneOf([SPECIFICATION_DEFAULTS, H100]);
    const scale = 2 ** (3 * random());
    const parsed = problemSchema().safeParse(input);
    if (!parsed.success) continue;
    plans++;
    // From about what the operands take on: where budgets decide.
    const operands = 4 * input.hidden * (input.tokens + input.vocab);
    const budget = budgeted ? Math.ceil(operands * scale / 2) + 2 ** 20 : undefined;
    const ms = cpuMs(() => {
      try {
        makePlan(parsed.data, device, { ...options, budget });
        planned++;
      } catch (error) {
        if (!(error instanceof DoesNotFitError)) throw error;
      }
    });
    if (ms > worst.ms) {
      worst = { ms, what: `${JSON.stringify(input)} on ${device.name}, budget ${budget}` };
    }
  }
  return { ...worst, planned };
}

const FUZZED = 100;
for (const [place, options] of PLACES) {
  for (const budgeted of [false, true]) {
    const { ms, what, planned } = slowest(FUZZED, options, budgeted);
    console.log(
      `${place}${budgeted ? ", a budget" : ""}: ${planned} of ${FUZZED} fit, the slowest took ${
        ms.toFixed(0)
      } ms (${what})`,
    );
  }
}

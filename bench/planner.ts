// deno-lint-ignore-file no-console -- a script prints
/**
 * How long planning takes inside a warm process: single plans, median of some,
 * and a sweep of a thousand.
 *
 *     deno task bench:planner
 *
 * @module
 */
import { SPECIFICATION_DEFAULTS } from "../planner/device.ts";
import { findDevice } from "../planner/devices/profiles.ts";
import { planLargest } from "../planner/largest.ts";
import { findModel } from "../planner/models/catalogue.ts";
import { DoesNotFitError, makePlan } from "../planner/plan.ts";
import { parseProblem, problemSchema } from "../planner/problem.ts";
import { logSpaced, sweep } from "../planner/sweep.ts";
import { table } from "../cli/report/table.ts";

const REPEATS = 15;

function medianMs(run: () => void): string {
  for (let i = 0; i < 5; i++) run();
  const times = Array.from({ length: REPEATS }, () => {
    const begun = performance.now();
    run();
    return performance.now() - begun;
  });
  return times.sort((a, b) => a - b)[REPEATS >> 1]!.toFixed(1);
}

const rows = ["gemma-2-2b", "llama-3.1-8b", "gpt2"].flatMap((model) =>
  (["forward", "train"] as const).map((pass) => {
    const { vocab, hidden } = findModel(model)!;
    const problem = parseProblem({ tokens: 8192, vocab: vocab!, hidden: hidden!, pass });
    const devices = [SPECIFICATION_DEFAULTS, findDevice("h100-deno")!.profile];
    return [model, pass, ...devices.map((device) => medianMs(() => makePlan(problem, device)))];
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
  const begun = performance.now();
  const problem = parseProblem({ hidden: 768, vocab: 32000, pass });
  const points = [...sweep(problem, findDevice("h100-deno")!.profile, {}, axes)].length;
  console.log(`${points} ${pass} plans: ${((performance.now() - begun) / 1000).toFixed(2)} s`);
}

/** Milliseconds that something takes once. */
function onceMs(run: () => void): number {
  const begun = performance.now();
  run();
  return performance.now() - begun;
}

// Sizes of every order, spread evenly on a logarithmic scale by a generator that is always the same.
let seed = 5;
const random = () => (seed = (seed * 1664525 + 1013904223) % 2 ** 32) / 2 ** 32;
const size = () => Math.min(2 ** 31 - 1, Math.floor(2 ** (31 * random())));
let worst = { ms: 0, sizes: "" };
for (let plans = 0; plans < 500;) {
  const sizes = { tokens: size(), hidden: size(), vocab: size() };
  const pass = random() < 0.5 ? "forward" : "train";
  const parsed = problemSchema.safeParse({ ...sizes, pass });
  if (!parsed.success) continue;
  plans++;
  const ms = onceMs(() => {
    try {
      makePlan(parsed.data, SPECIFICATION_DEFAULTS, { weights: "resident" });
    } catch (error) {
      if (!(error instanceof DoesNotFitError)) throw error;
    }
  });
  if (ms > worst.ms) worst = { ms, sizes: `${Object.values(sizes).join(" x ")} ${pass}` };
}
console.log(`the slowest of 500 plans of any size: ${worst.ms.toFixed(0)} ms (${worst.sizes})`);

for (const [dimension, budget] of [["tokens", 80 * 2 ** 30], ["vocab", undefined]] as const) {
  const problem = parseProblem({ hidden: 2304, vocab: 256000, pass: "train" });
  const ms = onceMs(() => {
    planLargest(dimension, problem, SPECIFICATION_DEFAULTS, { budget, weights: "resident" });
  });
  console.log(`the largest ${dimension} of a training plan: ${ms.toFixed(0)} ms`);
}

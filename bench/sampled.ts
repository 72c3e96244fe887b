// deno-lint-ignore-file no-console -- a script prints
/**
 * Weight gradients from a share of the tokens (WTA-CRS): their error, what it is bounded by, and
 * the time of both passes beside that of the exact gradients, on the most frequent of GloVe's
 * words with contexts from Moby-Dick.
 *
 *     deno task bench:sampled [WORDS] [TOKENS] [SEEDS]
 *
 * @module
 */
import { openDevice } from "../cli/request/device.ts";
import { table } from "../cli/report/table.ts";
import { mobyDickWords } from "../examples/npm_data.ts";
import { decodeElements } from "../fixtures/elements.ts";
import { type Fixture, type HeldFixture, uploads } from "../fixtures/fixture.ts";
import { atRows } from "../fixtures/sampled.ts";
import { execute } from "../kernels/run/execute.ts";
import { decodeResults } from "../kernels/run/results.ts";
import { logitGradientNorm, sampleRows } from "../planner/heads/sampled_rows.ts";
import { makePlan } from "../planner/plan.ts";
import { parseProblem } from "../planner/problem_schema.ts";
import { contexts, glove, HIDDEN } from "./glove_data.ts";

const [words, tokens, seeds] = [5000, 512, 5].map((usual, at) => Number(Deno.args[at] ?? usual));
const { device, profile } = await openDevice();
const all = await glove();
const fixture = contexts(
  all.words.slice(0, words),
  all.vectors.slice(0, words! * HIDDEN),
  await mobyDickWords(),
  tokens!,
);
console.log(`${tokens} tokens x ${HIDDEN} x ${words}, bf16, ${seeds} seeds, ${profile.name}`);

/** Runs once to compile, then some times, and has the shortest of those. */
async function run(which: Fixture, times = 1) {
  const { schedule, memory } = makePlan(which.problem, profile, {
    strategy: "windowed",
    hostIo: true,
  });
  const inputs = uploads(which);
  let { outputs } = await execute(schedule, device, { inputs });
  let milliseconds = Infinity;
  for (let time = 0; time < times; time++) {
    const timed = await execute(schedule, device, { inputs });
    outputs = timed.outputs;
    milliseconds = Math.min(milliseconds, timed.milliseconds);
  }
  return {
    ...decodeResults(which.problem, outputs),
    milliseconds,
    mib: memory.extraPeakBytes / 2 ** 20,
  };
}

/** The fixture with losses for each token, and these of its gradients. */
function asking(gradients: ("hidden" | "weight")[], weights: Float32Array): HeldFixture {
  const problem = parseProblem({ ...fixture.problem, reduction: "none", gradients });
  return { ...fixture, problem, tensors: { ...fixture.tensors, upstream: { loss: weights } } };
}

const norm = (values: ArrayLike<number>) =>
  Math.sqrt(Array.from(values, (v) => v * v).reduce((a, b) => a + b, 0));
const mean = new Float32Array(tokens!).fill(1 / tokens!);
const exact = await run(asking(["hidden", "weight"], mean), 5);
const states = await run(asking(["hidden"], mean), 5);
const size = norm(exact.gradWeight!);
const hidden = decodeElements("bf16", fixture.tensors.hidden);
const norms = Array.from(
  states.perToken!,
  (loss, token) =>
    logitGradientNorm(loss) * norm(hidden.subarray(token * HIDDEN, (token + 1) * HIDDEN)) / tokens!,
);

const rows = [["share", "as they are", "rows", "error of dW", "at most", "ms", "of exact", "MiB"]];
const percent = (value: number) => `${(100 * value).toFixed(1)} %`;
for (const share of [0.05, 0.1, 0.2, 0.3, 0.5]) {
  const count = Math.round(share * tokens!);
  let [squares, milliseconds, mib, taken] = [0, Infinity, 0, 0];
  let [as, bound] = [0, 0];
  for (let seed = 0; seed < seeds!; seed++) {
    const sample = sampleRows(norms, { count, seed });
    ({ exact: as, errorBound: bound } = sample);
    const found = await run(atRows(asking(["weight"], mean), sample));
    squares += norm(found.gradWeight!.map((value, at) => value - exact.gradWeight![at]!)) ** 2;
    milliseconds = Math.min(milliseconds, found.milliseconds);
    taken += sample.rows.length;
    mib = Math.max(mib, found.mib, states.mib);
  }
  const both = milliseconds + states.milliseconds;
  rows.push([
    percent(share),
    `${as}`,
    (taken / seeds!).toFixed(0),
    percent(Math.sqrt(squares / seeds!) / size),
    percent(bound / size),
    both.toFixed(0),
    (both / exact.milliseconds).toFixed(2),
    mib.toFixed(2),
  ]);
}
console.log(
  `exact: ${exact.milliseconds.toFixed(0)} ms, ${exact.mib.toFixed(2)} MiB besides; ` +
    `hidden gradients alone: ${states.milliseconds.toFixed(0)} ms`,
);
console.log(table(rows, rows[0]!.map(() => "right" as const)));
device.destroy();

// deno-lint-ignore-file no-console -- a script prints
/**
 * Gradient filtering on a real vocabulary: GloVe's 341,479 words as the output
 * embedding (public domain, from an npm package), contexts from Moby-Dick. Says
 * which share of the tiles is skipped in the natural order of the words (by
 * frequency), sorted by mean logit and shuffled, what error that causes, and
 * how the time compares with exact gradients.
 *
 *     deno task bench:glove [TOKENS]
 *
 * @module
 */
import { openDevice } from "../cli/request/device.ts";
import { table } from "../cli/report/table.ts";
import { mobyDickWords } from "../examples/npm_data.ts";
import { type Fixture, uploads } from "../fixtures/fixture.ts";
import { meanLogitOrder, reorder, restoreRows, shuffledOrder } from "../fixtures/ordering.ts";
import { Random } from "../fixtures/random.ts";
import { execute } from "../kernels/run/execute.ts";
import { decodeResults } from "../kernels/run/results.ts";
import { makePlan } from "../planner/plan.ts";
import { parseProblem } from "../planner/problem_schema.ts";
import { contexts, glove, HIDDEN } from "./glove_data.ts";

const tokens = Number(Deno.args[0] ?? 256);

const { words, vectors } = await glove();
const fixture = contexts(words, vectors, await mobyDickWords(), tokens);
const { device, profile } = await openDevice();
console.log(`${tokens} tokens x ${HIDDEN} x ${words.length}, bf16, on ${profile.name}`);

/** Runs twice, the first time to compile, and times the second. */
async function run(which: Fixture) {
  const { schedule } = makePlan(which.problem, profile, { strategy: "windowed", hostIo: true });
  const inputs = uploads(which);
  await execute(schedule, device, { inputs });
  const { outputs, milliseconds } = await execute(schedule, device, { inputs });
  return { ...decodeResults(which.problem, outputs), milliseconds };
}

function normRel(ours: Float32Array, theirs: Float32Array): number {
  let error = 0;
  let norm = 0;
  theirs.forEach((value, index) => {
    error += (ours[index]! - value) ** 2;
    norm += value ** 2;
  });
  return Math.sqrt(error / norm);
}

const orders: [string, Uint32Array][] = [
  ["by frequency", Uint32Array.from(words.keys())],
  ["by mean logit", meanLogitOrder(fixture)],
  ["shuffled", shuffledOrder(words.length, new Random(2))],
];
const rows = [["order", "tiles skipped", "error of dW", "error of dH", "ms", "exact ms", "ratio"]];
for (const [name, order] of orders) {
  const ordered = reorder(fixture, order);
  const exact = await run(ordered);
  const filtered = await run({
    ...ordered,
    problem: parseProblem({ ...ordered.problem, gradientFilter: "auto" }),
  });
  const restored = [filtered, exact]
    .map(({ gradWeight }) => restoreRows(gradWeight!, order, HIDDEN));
  rows.push([
    name,
    `${(100 * filtered.skippedTiles!).toFixed(1)} %`,
    normRel(restored[0]!, restored[1]!).toExponential(1),
    normRel(filtered.gradHidden!, exact.gradHidden!).toExponential(1),
    filtered.milliseconds.toFixed(0),
    exact.milliseconds.toFixed(0),
    (filtered.milliseconds / exact.milliseconds).toFixed(2),
  ]);
}
console.log(table(rows, ["left", "right", "right", "right", "right", "right", "right"]));
device.destroy();

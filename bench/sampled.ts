// deno-lint-ignore-file no-console -- a script prints
/**
 * Weight gradients that are not exact by intent: from a share of the tokens (WTA-CRS), and of rank
 * one in sub-tokens (VeLoRA). Their error, time and memory beside those of exact gradients, on the
 * most frequent of GloVe's words with contexts from Moby-Dick.
 *
 *     deno task bench:sampled [WORDS] [TOKENS] [SEEDS]
 *
 * `deno task glove DIR TOKENS WORDS` writes such a checkpoint, of which `lce run` then makes any row
 * by itself.
 *
 * @module
 */
import { openDevice } from "../cli/request/device.ts";
import { table } from "../cli/report/table.ts";
import { mobyDickWords } from "../examples/npm_data.ts";
import { type Fixture, uploads } from "../fixtures/fixture.ts";
import { withSample } from "../fixtures/sampled.ts";
import { withDirection } from "../fixtures/sub_tokens.ts";
import { execute } from "../kernels/run/execute.ts";
import { decodeResults, type Results } from "../kernels/run/results.ts";
import { expandSubTokens } from "../planner/heads/sub_tokens.ts";
import { makePlan, type Plan } from "../planner/plan.ts";
import type { Problem } from "../planner/problem.ts";
import { parseProblem } from "../planner/problem_schema.ts";
import { contexts, glove, HIDDEN } from "./glove_data.ts";

/** Shares of the tokens that are sampled, and sub-tokens that 100 dimensions are cut into. */
const SHARES = [0.05, 0.1, 0.2, 0.3, 0.5];
const SUB_TOKENS = [1, 4, 10, 25, 50];

/** Times that each is run, to be timed. */
const ROUNDS = 7;

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

/** What is measured of a fixture. */
interface Measured {
  readonly plan: Plan;
  readonly results: Results;
  /** The shortest of its runs. */
  milliseconds: number;
}

/** Runs a fixture. */
async function run(which: Fixture): Promise<Measured> {
  const plan = makePlan(which.problem, profile, { strategy: "windowed", hostIo: true });
  const { outputs, milliseconds } = await execute(plan.schedule, device, {
    inputs: uploads(which),
  });
  return { plan, results: decodeResults(which.problem, outputs), milliseconds };
}

/** The fixture with more asked of it. */
function asking(more: Partial<Problem>): Fixture {
  return { ...fixture, problem: parseProblem({ ...fixture.problem, ...more }) };
}

const norm = (values: ArrayLike<number>) =>
  Math.sqrt(Array.from(values, (v) => v * v).reduce((a, b) => a + b, 0));
const mib = (bytes: number) => (bytes / 2 ** 20).toFixed(2);
const percent = (value: number) => `${(100 * value).toFixed(1)} %`;

const whole = asking({ statistics: ["collision"] });
const exact = await run(whole);
const exactGradient = exact.results.gradWeight!;
const size = norm(exactGradient);
const errorOf = (gradient: Float32Array) =>
  norm(gradient.map((value, at) => value - exactGradient[at]!)) / size;

/** A way to the weight's gradient. */
interface Way {
  readonly what: string;
  readonly flag: string;
  readonly fixture: Fixture;
  readonly measured: Measured;
  readonly error?: number;
  readonly bound?: number;
}

let choosing = 0;

/** A sample of so many tokens: the root mean square of errors over seeds. */
async function sampled(count: number): Promise<Way> {
  const among = asking({ sampledTokens: count, statistics: ["collision"] });
  let squares = 0;
  let way: Way | undefined;
  for (let seed = 0; seed < seeds!; seed++) {
    const begun = performance.now();
    // Norms from the pass before; in a program they come from the same step's forward().
    const drawn = await withSample(among, exact.results, seed);
    choosing = Math.max(choosing, performance.now() - begun);
    const { errorBound, exact: as } = drawn.sample!;
    const measured = await run(drawn);
    squares += errorOf(measured.results.gradWeight!) ** 2;
    way = {
      what: `${percent(count / tokens!)} of the tokens, ${as} as they are`,
      flag: `--sampled-tokens ${count}`,
      fixture: drawn,
      measured,
      bound: errorBound / size,
    };
  }
  return { ...way!, error: Math.sqrt(squares / seeds!) };
}

/** So many sub-tokens along the direction of this batch. */
async function inSubTokens(subTokens: number): Promise<Way> {
  const posed = await withDirection(asking({ subTokens }));
  const measured = await run(posed);
  const expanded = expandSubTokens(
    measured.results.gradWeight!,
    posed.tensors.direction!,
    subTokens,
  );
  return {
    what: `${subTokens} sub-tokens of ${HIDDEN / subTokens}`,
    flag: `--sub-tokens ${subTokens}`,
    fixture: posed,
    measured,
    error: errorOf(expanded),
  };
}

const states = asking({ gradients: ["hidden"] });
const ways: Way[] = [
  { what: "exact", flag: "", fixture: whole, measured: exact, error: 0 },
  { what: "none", flag: "", fixture: states, measured: await run(states) },
];
for (const share of SHARES) ways.push(await sampled(Math.round(share * tokens!)));
for (const subTokens of SUB_TOKENS) ways.push(await inSubTokens(subTokens));

// In turns, so that whatever else the machine does meets all of them.
for (let round = 0; round < ROUNDS; round++) {
  for (const { fixture, measured } of ways) {
    const { milliseconds } = await run(fixture);
    measured.milliseconds = Math.min(measured.milliseconds, milliseconds);
  }
}

const rows = [
  [
    "weight gradient",
    "flag",
    "error",
    "at most",
    "ms",
    "of exact",
    "dW MiB",
    "extra MiB",
    "peak MiB",
  ],
  ...ways.map(({ what, flag, measured: { plan, milliseconds }, error, bound }) => [
    what,
    flag,
    error === undefined ? "" : percent(error),
    bound === undefined ? "" : percent(bound),
    milliseconds.toFixed(0),
    (milliseconds / exact.milliseconds).toFixed(2),
    mib(
      plan.schedule.buffers.filter(({ holds }) => holds?.tensor === "grad_weight")
        .reduce((sum, { bytes }) => sum + bytes, 0),
    ),
    mib(plan.memory.extraPeakBytes),
    mib(plan.memory.peakBytes),
  ]),
];
console.log(`choosing tokens on the host: ${choosing.toFixed(1)} ms at most`);
console.log(table(rows, ["left", "left", ...rows[0]!.slice(2).map(() => "right" as const)]));
device.destroy();

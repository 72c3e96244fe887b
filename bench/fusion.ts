// deno-lint-ignore-file no-console -- a script prints
/**
 * Dynamic logit fusion beside a fixed strength: the pass that finds the strength, most
 * likely id and loss of each token, and the fused forward pass of the sum of heads whose
 * strength is known. Both multiply as much.
 *
 *     deno task bench:fusion [TOKENS] [VOCAB] [LARGE] [SMALL] [REPEATS]
 *
 * @module
 */
import { openDevice } from "../cli/request/device.ts";
import { table } from "../cli/report/table.ts";
import { bytesOf } from "../fixtures/elements.ts";
import { Random } from "../fixtures/random.ts";
import { sumOfHeads } from "../fixtures/sum_of_heads.ts";
import { execute } from "../kernels/run/execute.ts";
import { readAll } from "../host/source.ts";
import { makePlan } from "../planner/plan.ts";
import { parseProblem } from "../planner/problem.ts";
import { formatBytes } from "../planner/units.ts";

const [tokens = 64, vocab = 32_000, large = 1280, small = 512, repeats = 5] = Deno.args.map(Number);
const { device, profile } = await openDevice();

const random = new Random(1);
const uniform = (count: number, by: number) =>
  Float32Array.from({ length: count }, () => by * (random.uniform() - 0.5));
const widths = { large, expert: small, base: small };
const heads = Object.entries(widths).map(([name, hidden]) => ({ name, hidden, vocab }));
const tensors = Object.fromEntries(
  heads.flatMap(({ name, hidden }) => [
    [`${name}_hidden`, bytesOf(uniform(tokens * hidden, 4))],
    [`${name}_weight`, bytesOf(uniform(vocab * hidden, 4 * hidden ** -0.5))],
  ]),
);
const targets = bytesOf(new Int32Array(tokens));

const factors = [1, 0.7, -0.7];
const sum = sumOfHeads(
  heads.map(({ name, hidden: columns }, index) => ({
    factor: factors[index]!,
    columns,
    hidden: tensors[`${name}_hidden`]!,
    weight: tensors[`${name}_weight`]!,
  })),
  { tokens, vocab },
);

const statistics = ["predicted"] as const;
const ways = [
  {
    name: "a fixed strength",
    problem: parseProblem({ tokens, hidden: sum.columns, vocab, statistics }),
    inputs: { hidden: sum.hidden, weight: await readAll(sum.weight), targets },
  },
  {
    name: "a strength found for each token",
    problem: parseProblem({ tokens, heads, fusion: true, statistics }),
    inputs: { ...tensors, targets },
  },
].map((way) => ({
  ...way,
  plan: makePlan(way.problem, profile, { hostIo: true }),
  times: [] as number[],
}));
console.log(
  `${tokens} tokens x ${large} and twice ${small} hidden x ${vocab} vocab, f32, on ${profile.name}`,
);
// Turn by turn, so that what else the machine does meets both; the first compiles.
for (let turn = 0; turn <= repeats; turn++) {
  for (const { plan, inputs, times } of ways) {
    const { milliseconds } = await execute(plan.schedule, device, { inputs });
    if (turn > 0) times.push(milliseconds);
  }
}
const median = (values: number[]) => values.toSorted((a, b) => a - b)[values.length >> 1]!;
const fixed = median(ways[0]!.times);
console.log(table(
  [
    ["", "strategy", "window", "ms", "fastest", "of the fixed", "extra memory", "two stages"],
    ...ways.map(({ name, plan, times }) => [
      name,
      plan.outline.strategy,
      `${plan.outline.window.vocab}`,
      median(times).toFixed(0),
      Math.min(...times).toFixed(0),
      `${(100 * median(times) / fixed).toFixed(1)} %`,
      formatBytes(plan.memory.extraPeakBytes),
      formatBytes(plan.twoStage.extraPeakBytes),
    ]),
  ],
  ["left", "left", "right", "right", "right", "right", "right", "right"],
));
device.destroy();

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
import { timeKernels } from "../kernels/measure/timing.ts";
import { Encoder } from "../kernels/run/encoder.ts";
import { compileKernels } from "../kernels/run/pipelines.ts";
import { readAll } from "../host/source.ts";
import { makePlan } from "../planner/plan.ts";
import type { ProblemInput } from "../planner/problem.ts";
import { parseProblem } from "../planner/problem_schema.ts";
import type { KernelName, StrategyName } from "../planner/schedule/schedule.ts";
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
/** A way to fuse, planned and laid out on the device. */
async function laidOut(
  name: string,
  input: ProblemInput,
  strategy: StrategyName,
  inputs: Readonly<Record<string, Uint8Array>>,
) {
  const plan = makePlan(parseProblem({ tokens, statistics, ...input }), profile, { strategy });
  const { schedule } = plan;
  const encoder = new Encoder(schedule, device, await compileKernels(device, schedule));
  for (const spec of schedule.buffers) {
    encoder.create(spec);
    const bytes = spec.holds && inputs[spec.holds.tensor];
    if (!bytes) continue;
    const { offset } = spec.holds!;
    const part = bytes.slice(offset, offset + spec.bytes);
    device.queue.writeBuffer(encoder.buffer(spec.name), 0, part);
  }
  return { name, plan, encoder, turns: [] as ReadonlyMap<KernelName, number>[] };
}

const ways = [
  await laidOut("a fixed strength", { hidden: sum.columns, vocab }, "fused", {
    hidden: sum.hidden,
    weight: await readAll(sum.weight),
    targets,
  }),
  await laidOut("a strength for each token", { heads, fusion: true }, "windowed", {
    ...tensors,
    targets,
  }),
];
console.log(
  `${tokens} tokens x ${large} and twice ${small} hidden x ${vocab} vocab, f32, on ${profile.name}`,
);
// Turn by turn, so that what else the machine does meets both; the first is not counted.
for (let turn = 0; turn <= repeats; turn++) {
  for (const { plan, encoder, turns } of ways) {
    const times = await timeKernels(encoder, plan.schedule.steps);
    if (turn > 0) turns.push(times);
  }
}
const median = (values: number[]) => values.toSorted((a, b) => a - b)[values.length >> 1]!;
const sumOf = (times: ReadonlyMap<KernelName, number>) =>
  [...times.values()].reduce((a, b) => a + b, 0);
// The fastest turn is the one that least else of the machine was in the way of.
const fastest = ({ turns }: typeof ways[number]) => Math.min(...turns.map(sumOf));
const fixed = fastest(ways[0]!);
console.log(table(
  [
    [
      "",
      "strategy",
      "window",
      "median ms",
      "fastest",
      "of the fixed",
      "extra memory",
      "two stages",
    ],
    ...ways.map((way) => [
      way.name,
      way.plan.outline.strategy,
      `${way.plan.outline.window.vocab}`,
      median(way.turns.map(sumOf)).toFixed(0),
      fastest(way).toFixed(0),
      `${(100 * fastest(way) / fixed).toFixed(1)} %`,
      formatBytes(way.plan.memory.extraPeakBytes),
      formatBytes(way.plan.twoStage.extraPeakBytes),
    ]),
  ],
  ["left", "left", "right", "right", "right", "right", "right", "right"],
));
const [, found] = ways;
const share = (kernels: readonly KernelName[], times: ReadonlyMap<KernelName, number>) =>
  kernels.reduce((total, kernel) => total + (times.get(kernel) ?? 0), 0);
const searching = found!.turns.map((times) =>
  share(["fusion-moments", "fusion-strength"], times) / share(["project"], times)
);
console.log(
  `\nThe search takes ${(100 * median(searching)).toFixed(1)} % of the products that it follows (${
    searching.map((each) => (100 * each).toFixed(1)).join(", ")
  })`,
);
for (const { encoder } of ways) encoder.destroyAll();
device.destroy();

// deno-lint-ignore-file no-console -- a script prints
/**
 * Dynamic logit fusion beside a fixed strength: whole passes, of one that finds the strength, most
 * likely id and loss of each token, and of the sum of heads whose strength is known. Both multiply
 * as much; with two experts, one after the other, a search for each comes before the sum of all.
 *
 * A pass is timed within the device, where it says so, and by the time of the process on all
 * processors: on a software device that is the work, whatever else the machine does.
 *
 *     deno task bench:fusion [TOKENS] [VOCAB] [LARGE] [SMALL] [REPEATS]
 *
 * @module
 */
import process from "node:process";
import { openDevice } from "../cli/request/device.ts";
import { table } from "../cli/report/table.ts";
import { bytesOf } from "../fixtures/elements.ts";
import { Random } from "../fixtures/random.ts";
import { sumOfHeads } from "../fixtures/sum_of_heads.ts";
import { timeKernels, timeSteps } from "../kernels/measure/timing.ts";
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

/** The sum of the large model, so many experts and the base, at fixed strengths. */
function fixedOf(experts: number) {
  const terms = [
    { name: "large", factor: 1 },
    ...Array.from({ length: experts }, () => ({ name: "expert", factor: 0.7 })),
    { name: "base", factor: -0.7 * experts },
  ];
  return sumOfHeads(
    terms.map(({ name, factor }) => ({
      factor,
      columns: name === "large" ? large : small,
      hidden: tensors[`${name}_hidden`]!,
      weight: tensors[`${name}_weight`]!,
    })),
    { tokens, vocab },
  );
}

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
  return { name, plan, encoder, turns: [] as Turn[] };
}

/** What was measured of a pass, in milliseconds. */
interface Turn {
  /** Within the device, or by the wall clock where it does not say. */
  readonly pass: number;
  /** On all processors together. */
  readonly processors: number;
  readonly kernels: ReadonlyMap<KernelName, number>;
}

type Way = Awaited<ReturnType<typeof laidOut>>;

async function turnOf({ encoder, plan: { schedule: { steps } } }: Way): Promise<Turn> {
  const before = process.cpuUsage();
  const { milliseconds: pass } = await timeSteps(encoder, steps);
  const { user, system } = process.cpuUsage(before);
  return {
    pass,
    processors: (user + system) / 1e3,
    kernels: await timeKernels(encoder, steps),
  };
}

async function fixedWay(name: string, experts: number, strategy: StrategyName) {
  const sum = fixedOf(experts);
  const inputs = { hidden: sum.hidden, weight: await readAll(sum.weight), targets };
  return await laidOut(name, { hidden: sum.columns, vocab }, strategy, inputs);
}

const searched = { heads, fusion: true };
const [inRegisters, stored, windowed, searching, two] = [
  await fixedWay("a fixed strength", 1, "fused"),
  await fixedWay("a fixed strength", 1, "two-stage"),
  await laidOut("a strength for each token", searched, "windowed", { ...tensors, targets }),
  await laidOut("a strength for each token", searched, "two-stage", { ...tensors, targets }),
  await fixedWay("fixed strengths of two experts", 2, "two-stage"),
];
const ways = [inRegisters!, stored!, windowed!, searching!, two!];
console.log(
  `${tokens} tokens x ${large} and twice ${small} hidden x ${vocab} vocab, f32, on ${profile.name}`,
);
// Turn by turn, so that what else the machine does meets all; the first is not counted.
for (let turn = 0; turn <= repeats; turn++) {
  for (const way of ways) {
    const measured = await turnOf(way);
    if (turn > 0) way.turns.push(measured);
  }
}
const median = (values: number[]) => values.toSorted((a, b) => a - b)[values.length >> 1]!;
// What else a shared machine does only adds: the least of some turns is nearest to the work.
const processors = ({ turns }: Way) => Math.min(...turns.map((turn) => turn.processors));
console.log(table(
  [
    ["", "strategy", "window", "pass ms", "fastest", "processors ms", "extra memory", "two stages"],
    ...ways.map((way) => [
      way.name,
      way.plan.outline.strategy,
      `${way.plan.outline.window.vocab}`,
      median(way.turns.map(({ pass }) => pass)).toFixed(0),
      Math.min(...way.turns.map(({ pass }) => pass)).toFixed(0),
      processors(way).toFixed(0),
      formatBytes(way.plan.memory.extraPeakBytes),
      formatBytes(way.plan.twoStage.extraPeakBytes),
    ]),
  ],
  ["left", "left", "right", "right", "right", "right", "right", "right"],
));

const shareOf = (part: number, whole: number) => `${(100 * (part / whole - 1)).toFixed(1)} %`;
const share = (kernels: readonly KernelName[], { kernels: times }: Turn) =>
  kernels.reduce((total, kernel) => total + (times.get(kernel) ?? 0), 0);
const ofProducts = searching!.turns.map((turn) =>
  100 * share(["fusion-moments", "fusion-strength"], turn) / share(["project"], turn)
);
const pairs = searching!.turns.map((turn, index) =>
  100 * (turn.processors / stored!.turns[index]!.processors - 1)
);
console.log(`
Over the fixed strength, logits stored by both, by the processors' time:
  the search of one expert, a whole pass  ${
  shareOf(processors(searching!), processors(stored!))
} (${pairs.map((each) => each.toFixed(1)).join(", ")} turn by turn)
  two experts, one after the other        ${
  shareOf(2 * processors(searching!) + processors(two!), processors(two!))
}, as each search has the products of three heads
Within kernels, the search takes ${
  median(ofProducts).toFixed(1)
} % of the products that it follows`);
for (const { encoder } of ways) encoder.destroyAll();
device.destroy();

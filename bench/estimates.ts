// deno-lint-ignore-file no-console -- a script prints
/**
 * Estimates of time beside every time that was measured on an H100 (`bench/measured.ts`); then each
 * kernel, where it was timed by itself, over all rows, and in those that are further off than is
 * wanted.
 *
 *     deno run -A bench/estimates.ts --before ../other-tree
 *
 * With `--before`, the estimates of another tree come in a column of their own.
 *
 * @module
 */
import { markdown } from "../cli/report/formats.ts";
import type * as cost from "../planner/schedule/cost.ts";
import type * as planning from "../planner/plan.ts";
import type * as problems from "../planner/problem_schema.ts";
import type * as profiles from "../planner/devices/profiles.ts";
import { type Measured, measuredRows } from "./measured.ts";

/** Share by which an estimate may be off. */
const WANTED = 0.1;

/** What estimates, of one tree. */
class Planner {
  constructor(
    readonly modules: typeof planning & typeof cost & typeof problems & typeof profiles,
  ) {}

  static async of(tree: URL): Promise<Planner> {
    const names = ["plan", "schedule/cost", "problem_schema", "devices/profiles"];
    const modules = names.map((name) => import(new URL(`planner/${name}.ts`, tree).href));
    return new Planner(Object.assign({}, ...await Promise.all(modules)));
  }

  planOf(
    { tokens, hidden, vocab, dtype, pass, gradientFilter, device, options }: Measured,
  ): planning.Plan {
    const { makePlan, parseProblem, findDevice } = this.modules;
    const problem = parseProblem(
      { tokens, hidden, vocab, dtype, pass, gradientFilter } as Parameters<typeof parseProblem>[0],
    );
    return makePlan(problem, findDevice(device)!.profile, options);
  }

  /** Returns the milliseconds of each kernel. */
  byKernel({ schedule, device }: planning.Plan): Map<string, number> {
    const sums = new Map<string, number>();
    for (const step of schedule.steps) {
      if (step.kind !== "dispatch") continue;
      const ms = 1000 * this.modules.dispatchSeconds(step, device);
      sums.set(step.kernel, (sums.get(step.kernel) ?? 0) + ms);
    }
    return sums;
  }
}

function offBy(estimate: number, ms: number): string {
  return `${estimate < ms ? "" : "+"}${(100 * (estimate / ms - 1)).toFixed(1)} %`;
}

function summary(name: string, errors: readonly number[]): string {
  const mean = errors.reduce((a, b) => a + b) / errors.length;
  const far = errors.filter((error) => error > WANTED).length;
  return `${name}: off by ${(100 * mean).toFixed(1)} % in the mean of ${errors.length} rows, by ` +
    `more than ${100 * WANTED} % in ${far}`;
}

const before = Deno.args.indexOf("--before");
const trees = [
  ...(before < 0 ? [] : [["before", new URL(`file://${Deno.cwd()}/${Deno.args[before + 1]}/`)]]),
  ["estimate", new URL("..", import.meta.url)],
] as [string, URL][];
const planners = await Promise.all(trees.map(([, tree]) => Planner.of(tree)));

const what = ["tokens x hidden x vocab", "pass", "dtype", "tier", "device", "strategy", "sizes"];
const rows: string[][] = [];
const kernels: string[][] = [];
/** Milliseconds of each kernel over all rows: measured, and estimated. */
const sums = new Map<string, [number, number]>();
const errors: number[][] = trees.map(() => []);
for (const each of await measuredRows()) {
  const plans = planners.map((planner) => planner.planOf(each));
  const { shape: { tile, strategy, block, window } } = plans.at(-1)!;
  const name = [
    `${each.tokens} x ${each.hidden} x ${each.vocab}`,
    each.pass,
    each.dtype,
    tile.body.kind,
    each.device,
    each.gradientFilter ? `${strategy}, filtered` : strategy,
    `${block} x ${window}`,
  ];
  const estimates = plans.map(({ cost: { seconds } }) => 1000 * seconds);
  rows.push([
    ...name,
    each.ms.toFixed(1),
    ...estimates.flatMap((estimate) => [estimate.toFixed(1), offBy(estimate, each.ms)]),
  ]);
  if (each.gradientFilter) continue;
  const off = estimates.map((estimate) => Math.abs(estimate / each.ms - 1));
  off.forEach((error, tree) => errors[tree]!.push(error));
  for (const [kernel, ms] of planners.at(-1)!.byKernel(plans.at(-1)!)) {
    const took = each.kernels?.[kernel];
    if (took !== undefined) {
      const [before, estimate] = sums.get(kernel) ?? [0, 0];
      sums.set(kernel, [before + took, estimate + ms]);
    }
    if (off.at(-1)! <= WANTED) continue;
    kernels.push([...name, kernel, took?.toFixed(2) ?? "", ms.toFixed(2)]);
  }
}
const columns = [...what, "ms", ...trees.flatMap(([name]) => [name, "off by"])];
console.log(markdown([columns, ...rows]));
trees.forEach(([name], tree) => console.log(summary(name, errors[tree]!)));
console.log(markdown([
  ["kernel", "ms in all rows", "estimate", "off by"],
  ...[...sums].map((
    [kernel, [took, ms]],
  ) => [kernel, took.toFixed(1), ms.toFixed(1), offBy(ms, took)]),
]));
if (kernels.length > 0) console.log(markdown([[...what, "kernel", "ms", "estimate"], ...kernels]));

// deno-lint-ignore-file no-console -- a script prints
/**
 * Estimates of time beside every time that was measured on an H100: the rows of `bench/h100.json`,
 * and of each table of `bench/matrix.md` with a column for the estimate; then each kernel, where it
 * was timed by itself, over all rows, and in those that are further off than is wanted.
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
import type { StrategyName } from "../planner/schedule/schedule.ts";

/** Share by which an estimate may be off. */
const WANTED = 0.1;

/** A measured time, and what it is the time of. */
interface Measured {
  readonly tokens: number;
  readonly hidden: number;
  readonly vocab: number;
  readonly dtype: string;
  readonly pass: string;
  readonly device: string;
  readonly options: planning.PlanOptions & { readonly strategy: StrategyName };
  /** Where gradients were filtered: an estimate is of all of them, for it does not know the softmax. */
  readonly gradientFilter?: number | "auto";
  readonly ms: number;
  /** Milliseconds of each kernel, where they were measured. */
  readonly kernels?: Readonly<Record<string, number>>;
}

/** Returns the rows that `lce bench` wrote. */
async function rowsOfJson(): Promise<Measured[]> {
  const rows = JSON.parse(await Deno.readTextFile(new URL("h100.json", import.meta.url)));
  // PyTorch's have no tile.
  return rows.filter((row: Record<string, unknown>) => row.tile)
    .map(({ strategy, block, window, ...row }: Record<string, unknown>) => {
      const streams = strategy === "windowed" || strategy === "fused";
      const options = { strategy, block, ...(streams ? { window } : {}) };
      return { ...row, device: "h100-deno", options } as unknown as Measured;
    });
}

/** What a table calls a strategy. */
const METHODS: Readonly<Record<string, StrategyName>> = {
  "fused": "fused",
  "windowed": "windowed",
  "chunked": "chunked",
  "two stages": "two-stage",
};

/** Returns the rows of the tables of `bench/matrix.md` that have an estimate. */
async function rowsOfTables(): Promise<Measured[]> {
  const text = await Deno.readTextFile(new URL("matrix.md", import.meta.url));
  const found: Measured[] = [];
  let [dtype, pass]: string[] = [];
  let columns: string[] = [];
  let shape: number[] = [];
  for (const line of text.split("\n")) {
    dtype = / --dtype (\w+) /.exec(line)?.[1] ?? dtype;
    const cells = line.split("|").slice(1, -1).map((cell) => cell.replace(/[*†]/g, "").trim());
    if (cells.length === 0 || columns.length === 0) columns = cells;
    const cell = (name: string) => cells[columns.indexOf(name)] ?? "";
    // The shape stands beside the first method of a pass: the fused forward pass, where it is that.
    const method = cell("method");
    if (/^\d+ x \d+ x \d+$/.test(cells[0] ?? "")) {
      shape = cells[0]!.split(" x ").map(Number);
      pass = method.startsWith("fused") ? "forward" : "train";
    }
    const strategy = METHODS[method.split(",")[0]!];
    if (!columns.includes("estimate") || !strategy || !Number(cell("ms"))) continue;
    const [, size, unit] = /of (\d+) (\w+)/.exec(method) ?? [];
    const sizes = size ? { [unit === "ids" ? "window" : "block"]: Number(size) } : {};
    const [tokens, hidden, vocab] = shape as [number, number, number];
    const row = { tokens, hidden, vocab, dtype: dtype!, pass: pass! };
    const device = method.includes("with checks") ? "h100-dawn" : "h100-dawn-unchecked";
    found.push({ ...row, device, options: { strategy, ...sizes }, ms: Number(cell("ms")) });
  }
  return found;
}

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
for (const each of [...await rowsOfJson(), ...await rowsOfTables()]) {
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

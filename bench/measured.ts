/**
 * Every time that was measured on an H100, and what it is the time of: the rows of `bench/h100.json`,
 * and of each table of `bench/matrix.md` with a column for the estimate.
 *
 * @module
 */
import type { PlanOptions } from "../planner/plan.ts";
import type { StrategyName } from "../planner/schedule/schedule.ts";

/** A measured time, and what it is the time of. */
export interface Measured {
  readonly tokens: number;
  readonly hidden: number;
  readonly vocab: number;
  readonly dtype: string;
  readonly pass: string;
  readonly device: string;
  readonly options: PlanOptions & { readonly strategy: StrategyName };
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

/** Returns every row. */
export async function measuredRows(): Promise<Measured[]> {
  return [...await rowsOfJson(), ...await rowsOfTables()];
}

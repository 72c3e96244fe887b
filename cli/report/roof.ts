/**
 * The roofline (Williams, Waterman and Patterson, 2009): what a device's peaks let
 * a row reach at its arithmetic intensity, and what it did reach.
 *
 * @module
 */
import { formatCount } from "../../planner/units.ts";
import type { Peaks } from "../../kernels/measure/peaks.ts";

/** The two peaks that make a roof: FLOP/s and bytes per second. */
export type Roof = Pick<Peaks, "flopsPerSecond" | "bytesPerSecond">;

/** What of a row is needed to place it: those of other programs may lack some. */
export interface RoofRow {
  readonly strategy: string;
  readonly pass: string;
  readonly tokens: number;
  readonly hidden: number;
  readonly vocab: number;
  readonly dtype: string;
  readonly ms: number | null;
  readonly flops?: number | null | undefined;
  readonly bytesMoved?: number | null | undefined;
}

/** What a row did, by the work of its plan. */
export interface Achieved {
  /** FLOP per byte that the dispatches read and write. */
  readonly intensity: number;
  readonly flopsPerSecond: number;
}

/** Returns what a row reached; nothing where it has no time. */
export function achieved({ ms, flops, bytesMoved }: RoofRow): Achieved | undefined {
  if (!ms || !flops || !bytesMoved) return undefined;
  return { intensity: flops / bytesMoved, flopsPerSecond: (1000 * flops) / ms };
}

/** Returns the FLOP per byte from which arithmetic limits, and no longer memory. */
export function kneeOf({ flopsPerSecond, bytesPerSecond }: Roof): number {
  return flopsPerSecond / bytesPerSecond;
}

/** Returns the FLOP/s that the peaks allow at an intensity. */
export function roofAt({ flopsPerSecond, bytesPerSecond }: Roof, intensity: number): number {
  return Math.min(flopsPerSecond, intensity * bytesPerSecond);
}

/**
 * Returns the peaks, and how near the row with the most FLOP/s came to them. A row can do better
 * than its roof where caches hold what its dispatches read.
 */
export function roofText(rows: readonly RoofRow[], roof: Roof): string {
  const peaks = `Peaks of this device: ${formatCount(roof.flopsPerSecond, "FLOP/s")}, reading ${
    formatCount(roof.bytesPerSecond, "B/s")
  }; arithmetic limits from ${kneeOf(roof).toPrecision(3)} FLOP per byte.`;
  const reached = rows.flatMap((row) => {
    const what = achieved(row);
    return what ? [{ row, ...what }] : [];
  }).sort((a, b) => b.flopsPerSecond - a.flopsPerSecond);
  if (reached.length === 0) return peaks;
  const { row, intensity, flopsPerSecond } = reached[0]!;
  const percent = (of: number) => `${((100 * flopsPerSecond) / of).toFixed(0)} %`;
  const lower = intensity < kneeOf(roof)
    ? `, ${percent(roofAt(roof, intensity))} of what memory allows at ${
      intensity.toPrecision(3)
    } FLOP per byte`
    : "";
  return `${peaks}\nBest: ${row.strategy}, ${row.pass}, ${row.tokens}x${row.hidden}x${row.vocab}: ${
    formatCount(flopsPerSecond, "FLOP/s")
  }, all that it computes counted, ${percent(roof.flopsPerSecond)} of the peak${lower}.`;
}

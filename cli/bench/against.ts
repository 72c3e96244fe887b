/**
 * Comparing a run of `lce bench` with an earlier one: which rows belong together,
 * and whether their difference is more than what repeats differ by.
 *
 * @module
 */
import * as z from "zod";
import { InputError } from "../../fixtures/errors.ts";
import { ACCUMULATED } from "../../planner/dtype.ts";
import { profileFaults } from "../files/device_file.ts";
import type { Output } from "../output.ts";
import { changeText, grew, percentText } from "../request/against_flags.ts";
import { parseJson, readText } from "../../fixtures/files/text_file.ts";
import { type Against, type BenchRow, jobText, placeText } from "./bench_row.ts";

const milliseconds = z.number().positive();

const size = z.number().nonnegative();

/** What is read of a row to compare and to show it; rows may hold more, and come from other programs. */
const earlierRowSchema = z.object({
  device: z.string(),
  webgpu: z.string().nullish(),
  strategy: z.string(),
  pass: z.string(),
  tokens: z.number(),
  hidden: z.number(),
  vocab: z.number(),
  dtype: z.string(),
  inputs: z.string().default("flat"),
  gradientFilter: z.union([z.number(), z.string()]).default(0),
  gradientDtype: z.string().default(ACCUMULATED),
  ms: milliseconds.nullable(),
  fastest: milliseconds.nullish(),
  slowest: milliseconds.nullish(),
  tflops: size.nullish(),
  flops: size.nullish(),
  bytesMoved: size.nullish(),
  extraPeakBytes: size.nullish(),
  tier: z.string().nullish(),
  tile: z.string().nullish(),
  peakFlopsPerSecond: z.number().positive().nullish(),
  peakBytesPerSecond: z.number().positive().nullish(),
  missing: z.string().nullish(),
}).superRefine(({ ms, fastest, slowest }, context) => {
  const fault = (path: string, message: string) =>
    context.addIssue({ code: "custom", path: [path], message });
  if (ms === null) return;
  if (fastest && fastest > ms) fault("fastest", `more than ms, which is ${ms}`);
  if (slowest && slowest < ms) fault("slowest", `less than ms, which is ${ms}`);
});

/** A row of an earlier run. */
export type EarlierRow = z.infer<typeof earlierRowSchema>;

/**
 * Reads the rows that `lce bench --json` wrote.
 *
 * @throws {InputError} naming the file, and the first row that is none, with its fields.
 */
export async function readEarlier(path: string): Promise<EarlierRow[]> {
  const text = await readText(path);
  const value = parseJson(text, path);
  if (!Array.isArray(value)) {
    throw new InputError(`${path} must be a list of rows, as "lce bench --json" prints it`);
  }
  if (value.length === 0) throw new InputError(`${path} holds no rows`);
  return value.map((row: unknown, index) => {
    const parsed = earlierRowSchema.safeParse(row);
    if (parsed.success) return parsed.data;
    const isMap = typeof row === "object" && row !== null && !Array.isArray(row);
    const faults = isMap ? profileFaults(parsed.error.issues, row) : ["must be a map of fields"];
    throw new InputError(`${path}: row ${index + 1}: ${faults.join("; ")}`);
  });
}

/** Times of one row; one that says no more than its median has no spread. */
type Times = Pick<EarlierRow, "fastest" | "slowest"> & { readonly ms: number };

function rangeOf({ ms, fastest, slowest }: Times): readonly [number, number] {
  return [fastest ?? ms, slowest ?? ms];
}

/** Returns how far apart repeats are, as a share of their median. */
function relativeSpread(times: Times): number {
  const [fastest, slowest] = rangeOf(times);
  return (slowest - fastest) / times.ms;
}

/**
 * Returns whether a time is more or less than an earlier one, in per cent of the earlier:
 * `12 % faster`, `8 % slower`; `noise` where the repeats of the two overlap, or their medians
 * differ by less than the repeats of either do.
 */
export function verdict(now: Times, earlier: Times): string {
  const [fastest, slowest] = rangeOf(now);
  const [earlierFastest, earlierSlowest] = rangeOf(earlier);
  const overlap = fastest <= earlierSlowest && earlierFastest <= slowest;
  const change = now.ms / earlier.ms - 1;
  const spread = Math.max(relativeSpread(now), relativeSpread(earlier));
  if (overlap || Math.abs(change) < spread) return "noise";
  return `${percentText(change)} ${change < 0 ? "faster" : "slower"}`;
}

const KEYS = [
  "strategy",
  "pass",
  "tokens",
  "hidden",
  "vocab",
  "dtype",
  "inputs",
  "gradientFilter",
  "gradientDtype",
] as const;

/**
 * Returns the earlier row of the same work: one with a time, of the same device reached the same
 * way, before others.
 */
function partnerOf(row: BenchRow, earlier: readonly EarlierRow[]): EarlierRow | undefined {
  const same = earlier.filter((other) => KEYS.every((key) => other[key] === row[key]));
  const timed = same.filter(({ ms }) => ms !== null);
  const here = timed.filter(({ device }) => device === row.device);
  return here.find((other) => isReachedAlike(row, other)) ?? here[0] ?? timed[0] ?? same[0];
}

/** Returns whether a device was reached by the same implementation of WebGPU, as far as is known. */
function isReachedAlike(
  { webgpu }: Pick<BenchRow, "webgpu">,
  other: Pick<EarlierRow, "webgpu">,
): boolean {
  return !webgpu || !other.webgpu || webgpu === other.webgpu;
}

/** Sets beside each row what an earlier run says of the same work; nulls where it says nothing. */
export function compareRows(
  rows: readonly BenchRow[],
  earlier: readonly EarlierRow[],
): (BenchRow & Against)[] {
  return rows.map((row) => {
    const partner = partnerOf(row, earlier);
    const both = row.ms !== null && typeof partner?.ms === "number"
      ? [{ ...row, ms: row.ms }, { ...partner, ms: partner.ms }] as const
      : undefined;
    const bytes = partner?.extraPeakBytes ?? null;
    return {
      ...row,
      againstDevice: partner?.device ?? null,
      againstWebgpu: partner?.webgpu ?? null,
      againstMs: partner?.ms ?? null,
      againstSpread: partner?.ms ? relativeSpread({ ...partner, ms: partner.ms }) : null,
      againstRatio: both ? both[0].ms / both[1].ms : null,
      against: both ? verdict(...both) : null,
      againstExtraPeakBytes: bytes,
      againstMemory: row.extraPeakBytes === null || bytes === null
        ? null
        : changeText(row.extraPeakBytes, bytes),
    };
  });
}

/**
 * Returns the rows that are worse than an earlier run's by more than a share, a line for each:
 * slower by more than noise, with more memory, or no longer measurable.
 */
export function regressions(rows: readonly (BenchRow & Against)[], share: number): string[] {
  return rows.flatMap((row) => {
    const faults = [
      ...(row.against?.endsWith("slower") && row.againstRatio! - 1 > share ? [row.against] : []),
      ...(row.extraPeakBytes !== null && row.againstExtraPeakBytes !== null &&
          grew(row.extraPeakBytes, row.againstExtraPeakBytes, share)
        ? [`${row.againstMemory} memory`]
        : []),
      ...(row.ms === null && row.againstMs !== null ? ["had a time, and has none now"] : []),
    ];
    return faults.length > 0 ? [`${rowName(row)}: ${faults.join(", ")}`] : [];
  });
}

function rowName(row: BenchRow): string {
  return `${jobText(row)} ${row.pass} ${row.strategy}`;
}

/**
 * Says what a reader of the comparison must know: other devices, and rows without a partner.
 *
 * @throws {InputError} where no row has a partner: nothing was compared.
 */
export function noteComparison(
  path: string,
  rows: readonly (BenchRow & Against)[],
  output: Output,
): void {
  const others = new Set(
    rows.flatMap((row) => {
      const { againstDevice: device, againstWebgpu: webgpu } = row;
      if (device === null) return [];
      const alike = device === row.device && isReachedAlike(row, { webgpu });
      return alike ? [] : [placeText({ device, webgpu })];
    }),
  );
  if (others.size > 0) {
    const text = [...others].join(" and ");
    output.note(`--against ${path}: measured on ${text}, not on ${placeText(rows[0]!)}`);
  }
  const once =
    rows.filter(({ against, againstSpread, fastest, slowest }) =>
      against !== null && (againstSpread === 0 || fastest === slowest)
    ).length;
  if (once > 0) {
    output.note(
      `--against ${path}: ${once} of ${rows.length} rows rest on a single repeat in one of the runs, ` +
        "so noise may pass for a difference",
    );
  }
  const alone = rows.filter(({ againstDevice }) => againstDevice === null);
  if (rows.length > 0 && alone.length === rows.length) {
    throw new InputError(
      `--against ${path}: has no measurement of the same strategy, pass, shape, types and inputs as any here`,
    );
  }
  if (alone.length > 0) {
    output.note(
      `--against ${path}: says nothing of ${alone.length} of ${rows.length} rows: ${
        alone.map(rowName).join("; ")
      }`,
    );
  }
}

/**
 * A plan beside an earlier one of the same job: what of memory and estimated time is more
 * or less, and what was chosen otherwise.
 *
 * @module
 */
import * as z from "zod";
import { InputError } from "../../fixtures/errors.ts";
import { parseJson, readText } from "../../fixtures/files/text_file.ts";
import { ACCUMULATED } from "../../planner/dtype.ts";
import { problemJson, problemSchema } from "../../planner/problem_schema.ts";
import { shown } from "../../planner/shown.ts";
import { formatBytes, formatSeconds } from "../../planner/units.ts";
import { profileFaults } from "../files/device_file.ts";
import { changeText, grew } from "../request/against_flags.ts";
import { indented, type Layout, table, within } from "./table.ts";
import { wrapped } from "./wrap.ts";

const figure = z.number().nonnegative();
const facts = z.record(z.string(), z.unknown());

/** What a comparison reads of a plan; `lce plan --json` says more. */
const plannedSchema = z.object({
  problem: problemSchema(),
  device: facts,
  // The rest of what the job is.
  hostIo: z.boolean(),
  parallel: facts.optional(),
  codebook: z.object({ codes: z.number() }).optional(),
  // What was chosen.
  strategy: z.string(),
  weights: z.string(),
  gradientDtype: z.string().default(ACCUMULATED),
  window: z.object({ vocab: z.number() }),
  block: z.object({ tokens: z.number() }),
  // What it takes.
  memory: z.object({ peakBytes: figure, extraPeakBytes: figure }),
  host: z.object({ peakBytes: figure }).nullable(),
  totals: z.object({ sentBytes: figure }).optional(),
  cost: z.object({ estimatedMs: figure.nullable() }),
});

/** A plan, as far as it is compared. */
export type ComparablePlan = z.output<typeof plannedSchema>;

/** What is compared: a name for people, one for programs, where it is, and how it is written. */
const FIGURES: readonly {
  readonly name: string;
  readonly key: string;
  readonly of: (plan: ComparablePlan) => number | null | undefined;
  readonly format: (figure: number) => string;
}[] = [
  { name: "peak", key: "peakBytes", of: ({ memory }) => memory.peakBytes, format: formatBytes },
  {
    name: "extra peak",
    key: "extraPeakBytes",
    of: ({ memory }) => memory.extraPeakBytes,
    format: formatBytes,
  },
  { name: "host", key: "hostPeakBytes", of: ({ host }) => host?.peakBytes, format: formatBytes },
  {
    name: "sent by rank 0",
    key: "sentBytes",
    of: ({ totals }) => totals?.sentBytes,
    format: formatBytes,
  },
  {
    name: "estimated time",
    key: "estimatedMs",
    of: ({ cost }) => cost.estimatedMs,
    format: (ms) => formatSeconds(ms / 1000, 3),
  },
];

/** What the planner chose, by its name. */
const CHOICES: Readonly<Record<string, (plan: ComparablePlan) => string>> = {
  strategy: ({ strategy }) => strategy,
  weights: ({ weights }) => weights,
  "weight's gradient": ({ gradientDtype }) => gradientDtype,
  window: ({ window }) => `${window.vocab} ids`,
  "token block": ({ block }) => `${block.tokens} tokens`,
};

/** One figure of two plans. */
interface ComparedFigure {
  readonly name: string;
  readonly key: string;
  readonly now: number;
  readonly earlier: number;
  /** `same`, `12 % more` or `8 % less`. */
  readonly change: string;
  readonly format: (figure: number) => string;
}

/** Two plans of one job. */
export interface PlanComparison {
  readonly path: string;
  readonly figures: readonly ComparedFigure[];
  readonly choices: readonly {
    readonly name: string;
    readonly now: string;
    readonly was: string;
  }[];
  /** Why the estimated times are not compared, where that is so. */
  readonly untimed: string | undefined;
}

/**
 * Reads a plan that `lce plan --json` printed.
 *
 * @throws {InputError} naming the file and the fields that are wrong.
 */
export async function readEarlierPlan(path: string): Promise<ComparablePlan> {
  return comparable(parseJson(await readText(path), path), path);
}

function comparable(value: unknown, path: string): ComparablePlan {
  if (typeof value !== "object" || value === null || Array.isArray(value) || "sweep" in value) {
    throw new InputError(`${path} must be one plan, as "lce plan --json" prints it`);
  }
  const parsed = plannedSchema.safeParse(value);
  if (parsed.success) return parsed.data;
  throw new InputError(
    `${path} is no plan, as "lce plan --json" prints it: ${
      profileFaults(parsed.error.issues, value).join("; ")
    }`,
  );
}

/**
 * Sets a plan, as `--json` says it, beside an earlier one.
 *
 * @throws {InputError} where the job is another, saying what differs.
 */
export function comparePlans(json: object, earlier: ComparablePlan, path: string): PlanComparison {
  // As a file would keep it: what is undefined is not there.
  const now = comparable(JSON.parse(JSON.stringify(json)), path);
  const differences = [
    ...differing(jobOf(earlier), jobOf(now)),
    ...deviceDifferences(earlier, now),
  ];
  if (differences.length > 0) {
    throw new InputError(`--against ${path}: is of another job: ${differences.join("; ")}`);
  }
  const untimed = untimedBecause(now, earlier);
  return {
    path,
    figures: FIGURES.flatMap(({ of, ...rest }) => {
      const [is, was] = [of(now), of(earlier)];
      if (typeof is !== "number" || typeof was !== "number") return [];
      if (untimed !== undefined && rest.key === "estimatedMs") return [];
      return [{ ...rest, now: is, earlier: was, change: changeText(is, was, rest.format) }];
    }),
    choices: Object.entries(CHOICES).flatMap(([name, of]) => {
      const [is, was] = [of(now), of(earlier)];
      return is === was ? [] : [{ name, now: is, was }];
    }),
    untimed,
  };
}

/** Returns what must be the same: what is to be done. */
function jobOf({ problem, hostIo, parallel, codebook }: ComparablePlan) {
  return { ...problemJson(problem), hostIo, parallel, codes: codebook?.codes };
}

/** On what: rates only tell how long it takes, and of another device the name says enough. */
function deviceDifferences(there: ComparablePlan, here: ComparablePlan): string[] {
  const [one, other] = [there, here].map(({ device: { rates: _, ...device } }) => ({ device }));
  const differences = differing(one, other);
  return there.device.name === here.device.name ? differences : differences.slice(0, 1);
}

/** Returns what differs, by its place: `tokens 8192 there, 4096 here`. */
function differing(there: unknown, here: unknown, place = ""): string[] {
  if (isMap(there) && isMap(here)) {
    return [...new Set([...Object.keys(there), ...Object.keys(here)])].flatMap((key) =>
      differing(there[key], here[key], place === "" ? key : `${place}.${key}`)
    );
  }
  const text = (value: unknown) => value === undefined ? "nothing" : shown(value);
  return text(there) === text(here) ? [] : [`${place} ${text(there)} there, ${text(here)} here`];
}

function isMap(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function untimedBecause(now: ComparablePlan, earlier: ComparablePlan): string | undefined {
  const estimates = [now, earlier].map(({ cost }) => cost.estimatedMs);
  if (estimates.every((estimate) => estimate === null)) {
    return "the device's speed was not measured";
  }
  if (JSON.stringify(now.device.rates) !== JSON.stringify(earlier.device.rates)) {
    return "they rest on other rates of the device";
  }
  return undefined;
}

/** Returns what is more than an earlier plan's by more than a share, a line for each. */
export function planRegressions({ figures }: PlanComparison, share: number): string[] {
  return figures.filter(({ now, earlier }) => grew(now, earlier, share))
    .map(({ name, now, earlier, change, format }) =>
      `${name}: ${change}, ${format(now)} after ${format(earlier)}`
    );
}

/** Returns what `--json` says of the comparison. Sizes are bytes, times milliseconds. */
export function comparisonJson({ figures, choices, untimed }: PlanComparison) {
  return {
    against: {
      figures: Object.fromEntries(
        figures.map(({ key, now, earlier, change }) => [key, { now, earlier, change }]),
      ),
      choices: Object.fromEntries(choices.map(({ name, ...both }) => [name, both])),
      untimed: untimed ?? null,
    },
  };
}

/** Returns the same for people. */
export function comparisonText(
  { path, figures, choices, untimed }: PlanComparison,
  layout: Layout = {},
): string {
  const rows = [
    ...figures.map(({ name, now, earlier, change, format }) => [
      name,
      format(now),
      `was ${format(earlier)}`,
      change,
    ]),
    ...choices.map(({ name, now, was }) => [name, now, `was ${was}`, ""]),
  ];
  const inner = within(layout);
  return [
    wrapped(`against ${path}`, layout.width),
    indented(table(rows, ["left", "right", "right"], inner)),
    ...(untimed === undefined
      ? []
      : [indented(wrapped(`estimated times are not compared: ${untimed}`, inner.width))]),
  ].join("\n");
}

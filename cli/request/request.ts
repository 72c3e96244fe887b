/**
 * What a user asks of the planner, from flags and from a plan file. Both say
 * the same things by the same names, and one schema checks them.
 *
 * @module
 */
import * as z from "zod";
import { InputError } from "../../fixtures/errors.ts";
import { named } from "../../fixtures/printable.ts";
import { NAMED_DEVICES } from "../../planner/devices/profiles.ts";
import { DTYPES } from "../../planner/dtype.ts";
import { issueText, tellingIssues } from "../../planner/issues.ts";
import type { Parallelism } from "../../planner/parallel.ts";
import { MODELS } from "../../planner/models/catalogue.ts";
import { MAX_DIMENSION } from "../../planner/problem.ts";
import { problemSchema, problemShape } from "../../planner/problem_schema.ts";
import { STRATEGIES } from "../../planner/schedule/schedule.ts";
import { TIERS } from "../../planner/schedule/tile.ts";
import { WEIGHT_PLACEMENTS } from "../../planner/search/question.ts";
import { shown } from "../../planner/shown.ts";
import { parseBytes } from "../../planner/units.ts";
import { DEVICE_FILE, possibleProfileSchema, profileFaults } from "../files/device_file.ts";
import { contradictionOf } from "./contradictions.ts";
import { UsageError } from "../exit.ts";
import { type Modes, modesShape } from "./modes_shape.ts";
import { didYouMean, unknownName } from "./suggest.ts";

const bytes = z.union([z.int().positive(), z.string()]).transform((value, context) => {
  if (typeof value === "number") return value;
  try {
    return parseBytes(value);
  } catch (error) {
    context.addIssue({ code: "custom", message: (error as Error).message });
    return z.NEVER;
  }
});

/** A size that no problem's dimension exceeds. */
const count = z.int().min(1).max(MAX_DIMENSION);

/** The planner's own choices, as far as the user makes them. */
export const choicesShape = {
  strategy: z.enum(STRATEGIES).optional().describe("way to do the job"),
  tier: z.enum(TIERS).optional().describe(
    "arithmetic of products: in f32; in subgroup matrices of operands in f16 or bf16; or of operands in f32 that are split in two; the fastest that a device has by default",
  ),
  window: count.optional().describe("vocabulary ids handled in one step"),
  block: count.optional().describe("tokens handled in one step"),
  budget: bytes.optional().describe("most GPU memory, such as 2GiB"),
  weights: z.enum(WEIGHT_PLACEMENTS).optional()
    .describe(
      "keep the weight on the device, stream it from the host window by window (lce run alone does), or whichever is better; streamed where nothing else fits by default",
    ),
};

/** What results are stored as on the device, where the caller owns them. */
export const storedShape = {
  gradientDtype: z.enum(DTYPES).optional().describe(
    "storage type of the weight's gradient: in 16 bits it takes half the memory, and is rounded once (default: f32)",
  ),
};

/** Who owns the buffers, as a plan file says it. */
const ownersShape = {
  hostIo: z.boolean().optional().describe(
    "plan what lce run does: inputs from the host, results back to it, no buffer kept longer than it is used",
  ),
};

/** How a job is split over devices. */
export const parallelShape = {
  tensorParallel: count.optional().describe("ranks that split the vocabulary"),
  dataParallel: count.optional()
    .describe("replicas of the tensor-parallel group, which split the tokens"),
  sequenceParallel: z.boolean().optional()
    .describe("hidden states are split by tokens over the tensor-parallel ranks"),
  overlap: z.boolean().optional()
    .describe("ranks tell each other gradients piece by piece, each while the next is computed"),
};

/** The settings of {@linkcode parallelShape}, checked. */
export type ParallelSettings = z.output<z.ZodObject<typeof parallelShape>>;

/** Returns how settings split a job; `undefined` where they say nothing of it. */
export function parallelismOf(
  { tensorParallel, dataParallel, sequenceParallel, overlap }: ParallelSettings,
): Parallelism | undefined {
  const split = tensorParallel ?? dataParallel ?? (sequenceParallel || overlap || undefined);
  if (split === undefined) return;
  return {
    tensor: tensorParallel ?? 1,
    data: dataParallel ?? 1,
    sequence: sequenceParallel ?? false,
    ...(overlap ? { overlap } : {}),
  };
}

/** What `--device` knows by name. */
export const DEVICE_NAMES = ["auto", ...NAMED_DEVICES.map(({ name }) => name)];

/** What tells a config's path from a model's name. */
export const MODEL_FILE = /[/\\]|^\.{1,2}$|\.json$/i;

/** Everything a plan file may say. */
export const planFileSchema = z.strictObject({
  ...problemShape(),
  ...choicesShape,
  ...storedShape,
  ...ownersShape,
  ...parallelShape,
  ...modesShape,
  model: z.union([
    z.enum(MODELS.map(({ name }) => name)),
    z.string().regex(MODEL_FILE).describe("a model's config.json, from the plan file's folder"),
  ]).optional()
    .describe(
      "a published model by name (lce model lists them), or the file or folder of its config.json",
    ),
  device: z.union([
    z.enum(DEVICE_NAMES),
    z.string().regex(DEVICE_FILE).describe("file with a profile, from the plan file's folder"),
    possibleProfileSchema,
  ]).default("default")
    .describe(
      "a device by name (lce device --list), auto (this machine's), or a profile's file",
    ),
});

/** A checked request: the problem apart from the planner's choices. */
export type Request = z.output<typeof planFileSchema>;

/** A model or a plan file beneath the flags, in the order of who wins. */
export interface Beneath {
  /** The plan file, or the config that the model is of. */
  readonly path?: string | undefined;
  readonly settings: Record<string, unknown>;
  /** What a model says: the least of all. */
  readonly model: Record<string, unknown>;
}

/**
 * Merges a model, a plan file and flags, of which the later win, and checks the result.
 *
 * @throws {UsageError} when a flag, or a needed flag that is missing, is at fault.
 * @throws {InputError} when the file is.
 */
export function checkRequest(
  flags: Record<string, unknown>,
  { path, settings, model }: Beneath,
): { problem: z.output<ReturnType<typeof problemSchema>>; request: Request } {
  const given = Object.fromEntries(
    Object.entries(flags).filter(([, value]) => value !== undefined),
  );
  const merged: Record<string, unknown> = { ...model, ...settings, ...given };
  const parsed = planFileSchema.safeParse(merged);
  const failure = (error: z.core.$ZodError) => explainIssues(error, merged, given, path);
  if (!parsed.success) throw failure(parsed.error);
  const fields = Object.entries(parsed.data).filter(([name]) => name in problemShape());
  const problem = problemSchema().safeParse(Object.fromEntries(fields));
  if (!problem.success) throw failure(problem.error);
  const contradiction = contradictionOf(problem.data, {
    ...parsed.data,
    ranks: parallelismOf(parsed.data) !== undefined || parsed.data.ranks !== undefined,
  });
  if (contradiction) {
    const { setting, text } = contradiction;
    const flagged = [setting, "strategy", "pass", "window", "weights", "objective", "hostIo"].some((
      name,
    ) => name in given);
    throw path === undefined || flagged
      ? new UsageError(`${flagName(setting)} ${text}`)
      : new InputError(`${path}: ${setting} ${text}`);
  }
  return { problem: problem.data, request: parsed.data };
}

/** Checks flags against a schema. @throws {UsageError} naming each flag that is wrong. */
export function checkWith<Schema extends z.core.$ZodType>(
  schema: Schema,
  flags: Record<string, unknown>,
): z.output<Schema> {
  const given = Object.fromEntries(
    Object.entries(flags).filter(([, value]) => value !== undefined),
  );
  const parsed = z.safeParse(schema, given);
  if (parsed.success) return parsed.data;
  throw explainIssues(parsed.error, given, given, undefined);
}

/**
 * Checks the settings of a plan's modes, of which flags win over a file's.
 *
 * @throws {UsageError} when a flag is at fault. @throws {InputError} when the file is.
 */
export function checkModes(
  flags: Record<string, unknown>,
  { path, settings }: Pick<Beneath, "path" | "settings">,
): Modes {
  const ours = (from: Record<string, unknown>) =>
    Object.fromEntries(
      Object.entries(from).filter(([name, value]) => name in modesShape && value !== undefined),
    );
  const merged = { ...ours(settings), ...ours(flags) };
  const parsed = z.strictObject(modesShape).safeParse(merged);
  if (parsed.success) return parsed.data;
  throw explainIssues(parsed.error, merged, ours(flags), path);
}

/** Checks the planner's choices by themselves. @throws {UsageError} naming each flag that is wrong. */
export function checkChoices(
  flags: Record<string, unknown>,
): z.output<z.ZodObject<typeof choicesShape>> {
  return checkWith(z.strictObject(choicesShape), flags);
}

/** Returns a flag's name from the name of a setting: `labelSmoothing` is `--label-smoothing`. */
export function flagName(setting: string): string {
  return `--${setting.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
}

function explainIssues(
  error: z.core.$ZodError,
  merged: Record<string, unknown>,
  flags: Record<string, unknown>,
  path: string | undefined,
): UsageError | InputError {
  const inFile = (setting: string) => path !== undefined && !(setting in flags);
  const lines = tellingIssues(error.issues).map((issue) => {
    const setting = String(issue.path[0] ?? "");
    if (issue.code === "unrecognized_keys") {
      const known = Object.keys(planFileSchema.shape);
      return issue.keys.map((key) =>
        `unknown setting ${key === "" ? '""' : named(key)}.${didYouMean(key, known)}`
      ).join("\n");
    }
    const place = issue.path.join(".");
    const name = inFile(setting) ? place : flagName(setting);
    if (merged[setting] === undefined) return `${name} is needed`;
    if (setting === "device") return deviceFault(inFile(setting) ? setting : name, merged[setting]);
    const value = merged[setting];
    const text = inFile(setting) || !Array.isArray(value) ? shown(value) : value.join(",");
    return `${name} ${text}: ${issueText(issue)}${choiceHint(issue, merged)}`;
  });
  const fromFile = error.issues.some((issue) => {
    const setting = String(issue.path[0] ?? "");
    return issue.code === "unrecognized_keys" || (inFile(setting) && setting in merged);
  });
  // A profile's faults come once for all, whichever of its issues asks.
  const text = [...new Set(lines)].join("\n");
  return fromFile && path ? new InputError(`${path}: ${text}`) : new UsageError(text);
}

/** Returns what a value that is none of the choices may have meant. */
function choiceHint(issue: z.core.$ZodIssue, merged: Record<string, unknown>): string {
  if (issue.code !== "invalid_value") return "";
  const value = issue.path.reduce<unknown>(
    (inner, key) => (inner as Record<PropertyKey, unknown> | undefined)?.[key],
    merged,
  );
  const hint = didYouMean(String(value), issue.values.map(String));
  return hint === "" ? "" : `.${hint}`;
}

/** Returns why a value is no device. */
function deviceFault(name: string, device: unknown): string {
  if (typeof device === "string") {
    return `${name}: ${unknownName("device", device, DEVICE_NAMES, "lce device --list")}`;
  }
  const { error } = possibleProfileSchema.safeParse(device);
  return profileFaults(error?.issues ?? [], device).map((fault) => `${name}.${fault}`).join("\n");
}

/** Returns the JSON Schema of a plan file, for editors. */
export function planFileJsonSchema(): Record<string, unknown> {
  const { properties = {}, ...schema } = z.toJSONSchema(planFileSchema, { io: "input" });
  return {
    title: "lce plan file",
    ...schema,
    properties: Object.fromEntries(
      Object.entries(properties).map(([name, property]) => [name, withTexts(property as Property)]),
    ),
  };
}

/** What of a property's JSON Schema matters here. */
interface Property {
  readonly type?: string;
  readonly default?: unknown;
  readonly description?: string;
}

/** Texts that a number or a list may be written as. */
const TEXTS: Readonly<Record<string, object>> = {
  integer: { type: "string", pattern: "^\\d+(\\.\\d+)?[kKmM]i?$" },
  array: { type: "string" },
};

/** Returns a property that may be written as its flag takes it, too. */
function withTexts(property: Property): object {
  const text = TEXTS[property.type ?? ""];
  if (!text) return property;
  const { default: initial, description, ...own } = property;
  return {
    ...(initial === undefined ? {} : { default: initial }),
    ...(description === undefined ? {} : { description }),
    anyOf: [own, text],
  };
}

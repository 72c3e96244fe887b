/**
 * The model that a request is about: one of the catalogue, or that of a Hugging
 * Face config.
 *
 * @module
 */
import { InputError } from "../fixtures/errors.ts";
import type { Dtype } from "../planner/dtype.ts";
import { findModel, type Model, MODELS } from "../planner/models/catalogue.ts";
import type { OutputHead } from "../planner/models/head.ts";
import { ConfigError, isModelConfig, parseModelConfig } from "../planner/models/hf_config.ts";
import type { Problem } from "../planner/problem.ts";
import { UsageError } from "./exit.ts";
import { readMap } from "./map_file.ts";
import { unknownName } from "./suggest.ts";

/** What tells a config's path from a model's name. */
export const MODEL_FILE = /[/\\]|^\.{1,2}$|\.json$/i;

/** A model with what is known of its output layer. */
export interface RequestedModel extends OutputHead {
  /** Of the catalogue, or the config's model type. */
  readonly name: string;
  /** Where the figures come from: the catalogue's source, or the config's path. */
  readonly source: string;
  /** What stays unknown and could matter. */
  readonly notes: readonly string[];
}

/** What flags and the files they name say of a model, and of everything else. */
interface Requested {
  readonly model: RequestedModel | undefined;
  /** The plan file. */
  readonly path: string | undefined;
  /** The model's config, where `--config` names it. */
  readonly described: string | undefined;
  /** Of the plan file. */
  readonly settings: Record<string, unknown>;
}

/**
 * The model that a request is about, if any, and its plan file's settings. Models
 * are named by `--model`, by the plan file or by a config; two are a mistake.
 *
 * @throws {UsageError} where two models, or two plan files, are given.
 * @throws {InputError} where a file cannot be read, or has no such model.
 */
export async function requestedModel(
  configs: readonly string[],
  flags: Record<string, unknown>,
): Promise<Requested> {
  const files = await Promise.all(configs.map(readConfigFile));
  const described = files.filter(({ isModel }) => isModel);
  const plans = files.filter(({ isModel }) => !isModel);
  for (const [kind, [first, second]] of [["a model", described], ["a plan", plans]] as const) {
    if (second === undefined) continue;
    throw new UsageError(
      `--config ${second.path}: ${
        first!.path
      } describes ${kind} already; give one of each kind at most`,
    );
  }
  const plan = plans[0];
  const path = plan?.path;
  const fromPlan = plan?.settings.model;
  if (described[0] && flags.model !== undefined) {
    throw new UsageError(
      `--model ${flags.model}: ${described[0].path} describes a model already; give one`,
    );
  }
  if (described[0] && fromPlan !== undefined) {
    throw new UsageError(
      `--config ${described[0].path}: ${path} names the model ${fromPlan} already; give one`,
    );
  }
  const settings = plan?.settings ?? {};
  const sized = { ...settings, ...definedOf(flags) };
  const model = described[0]
    ? configModel(described[0].path, described[0].settings, sized)
    : flags.model !== undefined
    ? await namedModel(flags.model as string, sized)
    : fromPlan === undefined
    ? undefined
    : await namedModel(fromPlan, sized, path);
  return { model, path, described: described[0]?.path, settings };
}

function definedOf(flags: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(flags).filter(([, value]) => value !== undefined));
}

/** A file that `--config` names: a plan, or a model's config; a folder stands for its config.json. */
async function readConfigFile(path: string) {
  const isFolder = (await Deno.stat(path).catch(() => undefined))?.isDirectory;
  const file = isFolder ? `${path.replace(/[/\\]+$/, "")}/config.json` : path;
  const settings = await readMap(file, 'of settings, such as "vocab: 256000"');
  return { path: file, settings, isModel: isModelConfig(settings) };
}

/** A model by its name in the catalogue, or by the path of its config, from the plan file's folder. */
async function namedModel(
  name: unknown,
  sizes: Record<string, unknown>,
  file?: string,
): Promise<RequestedModel> {
  if (typeof name !== "string" || !MODEL_FILE.test(name)) return catalogueModel(name, file);
  const { path, settings, isModel } = await readConfigFile(besidePath(name, file));
  if (isModel) return configModel(path, settings, sizes);
  throw new InputError(
    `${path} is no model's config: it has none of model_type, architectures and vocab_size`,
  );
}

/** A path that a file gives is meant from the file's own folder. */
export function besidePath(path: string, file: string | undefined): string {
  const folder = file?.match(/^.*[/\\]/)?.[0] ?? "";
  return /^([/\\]|\w:)/.test(path) ? path : folder + path;
}

/**
 * The catalogue's model of a name. `file` says which plan file named it.
 *
 * @throws {UsageError} or {@linkcode InputError} with suggestions where there is none.
 */
function catalogueModel(name: unknown, file?: string): RequestedModel {
  const model = typeof name === "string" ? findModel(name) : undefined;
  if (model) return { ...model, notes: [] };
  const text = unknownModel(String(name));
  throw file === undefined
    ? new UsageError(`--model: ${text}`)
    : new InputError(`${file}: model: ${text}`);
}

/** Says that the catalogue has no such model. */
export function unknownModel(name: string): string {
  return unknownName("model", name, MODELS.map(({ name }) => name), "lce model");
}

/**
 * The model of a config; sizes given by flags or a plan file need not be in it.
 *
 * @throws {InputError} naming the file and the keys that it lacks.
 */
function configModel(
  path: string,
  config: Record<string, unknown>,
  sizes: Record<string, unknown>,
): RequestedModel {
  const known = Object.fromEntries(
    ["vocab", "hidden"].filter((name) => typeof sizes[name] === "number")
      .map((name) => [name, sizes[name] as number]),
  );
  try {
    const { modelType, ...head } = parseModelConfig(config, known);
    return { ...head, name: modelType ?? "model", source: path };
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    const flagsNeeded = error.missing.map((name) => `--${name}`).join(" and ");
    const fix = flagsNeeded === "" ? "" : `\n${flagsNeeded} can say it instead`;
    throw new InputError(`${path}: ${error.message}${fix}`);
  }
}

/** What a plan's JSON says of the model. */
export function modelJson({ name, source, dtype, tied, tokenizer, notes }: RequestedModel) {
  return {
    name,
    source,
    dtype: dtype ?? null,
    tied: tied ?? null,
    tokenizer: tokenizer ?? null,
    notes,
  };
}

/** One line about the model: its name, and what a plan's sizes do not show. */
export function modelLine(model: RequestedModel, problem: Problem): string {
  const { name, vocab, dtype, tied, tokenizer, softcap, logitScale, notes } = model;
  return [
    name,
    ...(dtype === undefined ? [] : [typeText(dtype, problem.dtype)]),
    ...(softcap === undefined ? [] : [`softcap ${problem.softcap ?? "none"}`]),
    ...(logitScale === undefined ? [] : [`logit scale ${problem.logitScale}`]),
    ...(tokenizer === undefined || vocab !== problem.vocab
      ? []
      : [`${vocab - tokenizer} of ${vocab} rows are padding or reserved`]),
    ...(tied === undefined ? [] : [headText(tied)]),
    ...notes,
  ].join("; ");
}

function typeText(published: Dtype, planned: Dtype): string {
  return published === planned
    ? `${published} as published`
    : `published in ${published}, planned in ${planned}`;
}

function headText(tied: boolean): string {
  return tied
    ? "tied head: the weight is the input embedding too, one copy serves both"
    : "untied head: the input embedding is a matrix of its own";
}

/** A catalogue row as text: `undefined` is unknown, and printed so. */
export function modelRow({ name, vocab, hidden, softcap, logitScale, tied }: Model): string[] {
  return [
    name,
    `${vocab}`,
    `${hidden}`,
    `${softcap ?? ""}`,
    `${logitScale ?? ""}`,
    tied === undefined ? "" : tied ? "tied" : "untied",
  ];
}

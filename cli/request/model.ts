/**
 * The model that a request is about: one of the catalogue, or that of a Hugging
 * Face config.
 *
 * @module
 */
import { InputError } from "../../fixtures/errors.ts";
import type { Dtype } from "../../planner/dtype.ts";
import { findModel, type Model, MODELS } from "../../planner/models/catalogue.ts";
import type { OutputHead } from "../../planner/models/head.ts";
import { ConfigError, isModelConfig, parseModelConfig } from "../../planner/models/hf_config.ts";
import { learnerOf, type Problem } from "../../planner/problem.ts";
import { DEVICE_FILE } from "../files/device_file.ts";
import { UsageError } from "../exit.ts";
import { readMap } from "../files/map_file.ts";
import { MODEL_FILE } from "./request.ts";
import { readTexts } from "./settings.ts";
import { unknownName } from "./suggest.ts";

/** A model with what is known of its output layer. */
export interface RequestedModel extends OutputHead {
  /** Of the catalogue, or the config's model type. */
  readonly name: string;
  /** Where the figures come from: the catalogue's source, or the config's path. */
  readonly source: string;
  /** What stays unknown and could matter. */
  readonly notes: readonly string[];
}

/** What the files that `--config` names say. */
export interface ConfigFiles {
  /** The plan file. */
  readonly path: string | undefined;
  /** Of the plan file. */
  readonly settings: Record<string, unknown>;
  /** A model's config. */
  readonly described: ConfigFile | undefined;
}

/**
 * Reads the files that `--config` names: a plan file, a model's config, or one of each.
 *
 * @throws {UsageError} where there are two of a kind.
 * @throws {InputError} where a file cannot be read.
 */
export async function readConfigs(configs: readonly string[] = []): Promise<ConfigFiles> {
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
  const [plan] = plans;
  const settings = plan ? withPathsBeside(plan) : {};
  return { path: plan?.path, settings, described: described[0] };
}

/**
 * Returns the model that a request is about, if any. Models are named by `--model`, by the plan
 * file or by a config; two are a mistake.
 *
 * @throws {UsageError} where two models are given.
 * @throws {InputError} where a file cannot be read, or has no such model.
 */
export async function requestedModel(
  { path, settings, described }: ConfigFiles,
  flags: Record<string, unknown>,
): Promise<RequestedModel | undefined> {
  const fromPlan = settings.model;
  if (described && flags.model !== undefined) {
    throw new UsageError(
      `--model ${flags.model}: ${described.path} describes a model already; give one`,
    );
  }
  if (described && fromPlan !== undefined) {
    throw new UsageError(
      `--config ${described.path}: ${path} names the model ${fromPlan} already; give one`,
    );
  }
  const sized = { ...settings, ...definedOf(flags) };
  if (described) return configModel(described.path, described.settings, sized);
  if (flags.model !== undefined) return await namedModel(flags.model as string, sized);
  return fromPlan === undefined ? undefined : await namedModel(fromPlan, sized, path);
}

function definedOf(flags: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(flags).filter(([, value]) => value !== undefined));
}

/** A file that `--config` names. */
interface ConfigFile {
  readonly path: string;
  readonly settings: Record<string, unknown>;
  /** A model's config, or else a plan. */
  readonly isModel: boolean;
}

/** Reads a plan or a model's config; a folder stands for its config.json. */
async function readConfigFile(path: string): Promise<ConfigFile> {
  const isFolder = (await Deno.stat(path).catch(() => undefined))?.isDirectory;
  const file = isFolder ? `${path.replace(/[/\\]+$/, "")}/config.json` : path;
  const settings = await readMap(file, 'of settings, such as "vocab: 256000"');
  const isModel = isModelConfig(settings);
  return { path: file, settings: isModel ? settings : readTexts(settings), isModel };
}

/**
 * Returns a model by its name in the catalogue, or by the path of its config, from the plan file's
 * folder.
 */
async function namedModel(
  name: unknown,
  sizes: Record<string, unknown>,
  file?: string,
): Promise<RequestedModel> {
  if (typeof name !== "string" || !MODEL_FILE.test(name)) return catalogueModel(name, file);
  const { path, settings, isModel } = await readConfigFile(besidePath(name, file))
    .catch((error) => {
      if (!(error instanceof InputError) || file === undefined) throw error;
      throw new InputError(`${file} names the model ${name}: ${error.message}`);
    });
  if (isModel) return configModel(path, settings, sizes);
  throw new InputError(
    `${path} is no model's config: it has none of model_type, architectures and vocab_size`,
  );
}

/** Returns the settings of a plan file, with the files that they name looked for beside it. */
function withPathsBeside({ path, settings }: ConfigFile): Record<string, unknown> {
  const isPath: Readonly<Record<string, RegExp>> = { device: DEVICE_FILE, svg: /./, timeline: /./ };
  return Object.fromEntries(
    Object.entries(settings).map(([name, value]) =>
      typeof value === "string" && Object.hasOwn(isPath, name) && isPath[name]!.test(value)
        ? [name, besidePath(value, path)]
        : [name, value]
    ),
  );
}

/** A path that a file gives is meant from the file's own folder. */
export function besidePath(path: string, file: string | undefined): string {
  const folder = file?.match(/^.*[/\\]/)?.[0] ?? "";
  return /^([/\\]|\w:)/.test(path) ? path : folder + path;
}

/**
 * Returns the catalogue's model of a name. `file` says which plan file named it.
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
 * Returns the model of a config; sizes given by flags or a plan file need not be in it.
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

/** Returns what a plan's JSON says of the model. */
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

/** Returns one line about the model: its name, and what a plan's sizes do not show. */
export function modelLine(model: RequestedModel, problem: Problem): string {
  const { name, vocab, dtype, tied, tokenizer, softcap, logitScale, notes } = model;
  return [
    name,
    typeText(dtype, learnerOf(problem).dtype),
    ...(softcap === undefined ? [] : [`softcap ${learnerOf(problem).softcap ?? "none"}`]),
    ...(logitScale === undefined ? [] : [`logit scale ${learnerOf(problem).logitScale}`]),
    ...(tokenizer === undefined || vocab !== learnerOf(problem).vocab
      ? []
      : [`${vocab - tokenizer} of ${vocab} rows are padding or reserved`]),
    ...(tied === undefined ? [] : [headText(tied)]),
    ...notes,
  ].join("; ");
}

function typeText(published: Dtype | undefined, planned: Dtype): string {
  if (published === undefined) return `no storage type published, planned in ${planned}`;
  return published === planned
    ? `${published} as published`
    : `published in ${published}, planned in ${planned}`;
}

function headText(tied: boolean): string {
  return tied
    ? "tied head: the weight is the input embedding too, one copy serves both"
    : "untied head: the input embedding is a matrix of its own";
}

/** Returns a catalogue row as text: `undefined` is unknown, and printed so. */
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

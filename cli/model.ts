/**
 * The model that a request is about: one of the catalogue, or that of a Hugging
 * Face config.
 *
 * @module
 */
import { InputError } from "../fixtures/errors.ts";
import { findModel, type Model, MODELS } from "../planner/models/catalogue.ts";
import type { OutputHead } from "../planner/models/head.ts";
import { ConfigError, parseModelConfig } from "../planner/models/hf_config.ts";
import type { Problem } from "../planner/problem.ts";
import { UsageError } from "./exit.ts";
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

/**
 * The catalogue's model of a name. `file` says which plan file named it.
 *
 * @throws {UsageError} or {@linkcode InputError} with suggestions where there is none.
 */
export function catalogueModel(name: unknown, file?: string): RequestedModel {
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
 * The model of a config; sizes given by flags need not be in it.
 *
 * @throws {InputError} naming the file and the keys that it lacks.
 */
export function configModel(
  path: string,
  config: Record<string, unknown>,
  flags: Record<string, unknown>,
): RequestedModel {
  const known = Object.fromEntries(
    ["vocab", "hidden"].filter((name) => flags[name] !== undefined)
      .map((name) => [name, flags[name] as number]),
  );
  try {
    const { modelType, ...head } = parseModelConfig(config, known);
    return { ...head, name: modelType ?? "model", source: path };
  } catch (error) {
    if (error instanceof ConfigError) throw new InputError(`${path}: ${error.message}`);
    throw error;
  }
}

/** What a plan's JSON says of the model. */
export function modelJson({ name, source, tied, tokenizer, notes }: RequestedModel) {
  return { name, source, tied: tied ?? null, tokenizer: tokenizer ?? null, notes };
}

/** One line about the model: its name, and what a plan's sizes do not show. */
export function modelLine(model: RequestedModel, problem: Problem): string {
  const { name, vocab, tied, tokenizer, softcap, logitScale, notes } = model;
  return [
    name,
    ...(softcap === undefined ? [] : [`softcap ${problem.softcap ?? "none"}`]),
    ...(logitScale === undefined ? [] : [`logit scale ${problem.logitScale}`]),
    ...(tokenizer === undefined || vocab !== problem.vocab
      ? []
      : [`${vocab - tokenizer} of ${vocab} rows are padding or reserved`]),
    ...(tied === undefined ? [] : [headText(tied)]),
    ...notes,
  ].join("; ");
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

/**
 * What a Hugging Face `config.json` says of a model's output layer.
 *
 * Families name the same quantity differently, and multimodal configs keep the
 * language model in a part of their own. The tables below and the families'
 * defaults are all that is known of it; what neither states stays unknown.
 *
 * @module
 */
import * as z from "zod";
import type { Dtype } from "../dtype.ts";
import { MAX_DIMENSION } from "../problem.ts";
import type { OutputHead } from "./head.ts";
import { type FamilyDefaults, familyDefaults } from "./hf_defaults.ts";
import { shown } from "../shown.ts";

/** An output layer as a config describes it. */
export interface ConfigHead extends OutputHead {
  /** The config's `model_type`, of the language model where it is a part. */
  readonly modelType?: string;
  /** What the config leaves open and the family's default decides. */
  readonly notes: readonly string[];
}

/** A config lacks a key that is needed, or has a value that no config can have. */
export class ConfigError extends Error {
  override name = "ConfigError";

  /** `missing` names the sizes that neither a key nor a default states. */
  constructor(message: string, readonly missing: readonly ("vocab" | "hidden")[] = []) {
    super(message);
  }
}

/** Parts that hold the language model. `vision_config` has a `hidden_size` too, and is never read. */
const PARTS = ["text_config", "llm_config", "language_config", "thinker_config"];

/**
 * Keys of each quantity, the first that is there wins. `padded_vocab_size` is
 * the rows of the head wherever it stands beside `vocab_size`.
 */
const KEYS = {
  vocab: ["padded_vocab_size", "vocab_size"],
  // An OPT may project its states down before the head.
  hidden: ["word_embed_proj_dim", "hidden_size", "n_embd", "d_model", "dim"],
  softcap: [
    "final_logit_softcapping", // Gemma-2, 3n, 4; `attn_logit_softcapping` is another matter
    "output_soft_cap_temp",
    "logits_soft_cap", // RecurrentGemma
    "output_logit_soft_cap", // xLSTM
  ],
} as const;

/** How a value of some key scales the logits. */
interface ScaleRule {
  readonly key: string;
  /** The only families that mean it so; all, where left out. */
  readonly models?: readonly string[];
  readonly factor: (value: number, hidden: number) => number;
}

const multiplies = (value: number) => value;
const divides = (value: number) => 1 / value;

/** Of the rules of one key the first that covers the model applies; keys multiply up. */
const SCALE_RULES: readonly ScaleRule[] = [
  { key: "logit_scale", factor: multiplies }, // Cohere, MPT
  { key: "logits_scaling", models: ["hyperclovax"], factor: multiplies },
  { key: "logits_scaling", factor: divides }, // Granite
  { key: "output_multiplier", factor: multiplies },
  { key: "output_multiplier_scale", factor: multiplies }, // Grok
  { key: "lm_head_multiplier", factor: multiplies }, // Falcon-H1
  { key: "mup_width_multiplier", factor: divides }, // Phi-3-small
  { key: "logits_mup_width_multiplier", factor: divides },
  { key: "dim_model_base", factor: (base, hidden) => base / hidden }, // MiniCPM
];

/** Families that scale by `1 / sqrt(hidden)` if, and only if, the head is tied. */
const SCALED_WHEN_TIED = ["t5", "mt5", "umt5", "longt5", "switch_transformers"];

/** Keys of the type that weights are stored in, and its names. */
const DTYPE_KEYS = ["dtype", "torch_dtype"];
const DTYPE_NAMES: Readonly<Record<string, Dtype>> = {
  float32: "f32",
  float: "f32",
  float16: "f16",
  half: "f16",
  bfloat16: "bf16",
};

const size = z.number("must be a positive whole number")
  .refine((value) => Number.isInteger(value) && value > 0, "must be a positive whole number")
  .refine((value) => value <= MAX_DIMENSION, `must be at most ${MAX_DIMENSION}`);
const factor = z.number().refine((value) => value !== 0, "must not be 0");
const named = (names: readonly string[], schema: z.ZodType) =>
  Object.fromEntries(names.map((name) => [name, schema.nullish()]));

const levelSchema = z.looseObject({
  ...named([...KEYS.vocab, ...KEYS.hidden], size),
  ...named(KEYS.softcap, z.number().nonnegative()),
  ...named(SCALE_RULES.map(({ key }) => key), factor),
  // MPT writes the usual value by name.
  logit_scale: z.union([factor, z.literal("inv_sqrt_d_model")]).nullish(),
  ...named(["lm_head_bias", "tie_word_embeddings"], z.boolean()),
  ...named(["model_type"], z.string()),
});

/** The language model's part of a config and what surrounds it, the innermost first. */
type Levels = readonly Readonly<Record<string, unknown>>[];

/**
 * Returns whether a parsed file is a model's config and not, say, a plan file, by what it
 * contains.
 */
export function isModelConfig(value: unknown): value is Record<string, unknown> {
  if (!isRecord(value)) return false;
  return ["model_type", "architectures", ...KEYS.vocab].some((key) => key in value) ||
    PARTS.some((part) => isRecord(value[part]));
}

/**
 * Reads a parsed `config.json`. Sizes that the caller knows better are not asked of it.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * const head = parseModelConfig({ model_type: "gpt2", vocab_size: 50257, n_embd: 768 });
 * assert.equal(head.hidden, 768);
 * assert.equal(head.tied, true); // as the family is where the config does not say
 * ```
 *
 * @throws {ConfigError} naming the keys that are missing, or the one whose value is none that it can have.
 */
export function parseModelConfig(
  config: Readonly<Record<string, unknown>>,
  known: { readonly vocab?: number; readonly hidden?: number } = {},
): ConfigHead {
  const levels = levelsOf(config, "");
  const modelType = levels.find(({ model_type }) => typeof model_type === "string")
    ?.model_type as string | undefined;
  const defaults: FamilyDefaults = familyDefaults(modelType) ?? {};
  const notes: string[] = [];
  const orDefault = (
    name: "vocab" | "hidden" | "softcap" | "logitScale",
    stated: number | undefined,
  ) => {
    if (stated === undefined && defaults[name] !== undefined) {
      notes.push(`${name} ${defaults[name]} is the default of ${modelType}, for no key states it`);
    }
    return stated ?? defaults[name];
  };
  const sizeOf = (name: "vocab" | "hidden") =>
    orDefault(name, known[name] ?? first(levels, KEYS[name]));
  const [vocab, hidden] = [sizeOf("vocab"), sizeOf("hidden")];
  if (vocab === undefined || hidden === undefined) {
    const missing = (["vocab", "hidden"] as const)
      .filter((name) => ({ vocab, hidden })[name] === undefined);
    const lines = missing.map((name) =>
      `${name} is needed: one of ${KEYS[name].join(", ")}, at the top or in ${PARTS[0]}`
    );
    throw new ConfigError(lines.join("\n"), missing);
  }
  // A key that is there and null says that there is no cap.
  const softcap = hasKey(levels, KEYS.softcap)
    ? first(levels, KEYS.softcap)
    : orDefault("softcap", undefined);
  const tied = isStated(levels, "tie_word_embeddings")
    ? agreed(levels, "tie_word_embeddings")
    : defaults.tied;
  const bias = defaults.bias ?? agreed(levels, "lm_head_bias");
  const logitScale = hasKey(levels, SCALE_RULES.map(({ key }) => key))
    ? scaleOf(levels, { modelType, tied, hidden, notes })
    : orDefault("logitScale", scaleOf(levels, { modelType, tied, hidden, notes }));
  const dtype = dtypeOf(levels, notes);
  return {
    vocab,
    hidden,
    ...(dtype === undefined ? {} : { dtype }),
    ...(softcap ? { softcap } : {}),
    ...(logitScale === undefined ? {} : { logitScale }),
    ...(bias === undefined ? {} : { bias }),
    ...(tied === undefined ? {} : { tied }),
    ...(modelType === undefined ? {} : { modelType }),
    notes,
  };
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Parts within parts that a config may have; published ones have two at most. */
const MAX_DEPTH = 8;

function levelsOf(config: Readonly<Record<string, unknown>>, path: string, depth = 0): Levels {
  if (depth > MAX_DEPTH) throw new ConfigError(`${path} lies deeper than any config's parts do`);
  const parsed = levelSchema.safeParse(config);
  if (!parsed.success) {
    const { path: [key], message } = parsed.error.issues[0]!;
    throw new ConfigError(
      `${path}${String(key)} ${shown(config[String(key)])}: ${message}`,
    );
  }
  const part = PARTS.find((name) => isRecord(config[name]));
  if (part === undefined) return [config];
  return [
    ...levelsOf(config[part] as Record<string, unknown>, `${path}${part}.`, depth + 1),
    config,
  ];
}

function first(levels: Levels, keys: readonly string[]): number | undefined {
  for (const level of levels) {
    const key = keys.find((key) => typeof level[key] === "number");
    if (key !== undefined) return level[key] as number;
  }
}

/** Returns whether one of some keys is there, if only to say that there is no value. */
function hasKey(levels: Levels, keys: readonly string[]): boolean {
  return levels.some((level) => keys.some((key) => key in level));
}

function isStated(levels: Levels, key: string): boolean {
  return levels.some((level) => level[key] != null);
}

/**
 * Returns the type that the outermost level states, for a checkpoint is loaded in it whatever its
 * parts say; one that no plan can have is noted.
 */
function dtypeOf(levels: Levels, notes: string[]): Dtype | undefined {
  const [stated] = levels.toReversed().flatMap((level) => DTYPE_KEYS.map((key) => level[key]))
    .filter((value) => value != null && value !== "auto");
  if (stated === undefined) return undefined;
  const name = String(stated).replace(/^torch\./, "");
  if (Object.hasOwn(DTYPE_NAMES, name)) return DTYPE_NAMES[name];
  notes.push(
    `its dtype ${shown(stated)} is none of ${Object.keys(DTYPE_NAMES).join(", ")}`,
  );
}

/**
 * Returns what all levels that say something say; `undefined` where none does, or they disagree.
 */
function agreed(levels: Levels, key: string): boolean | undefined {
  const said = new Set(levels.map((level) => level[key]).filter((value) => value != null));
  return said.size === 1 ? [...said][0] as boolean : undefined;
}

function scaleOf(
  levels: Levels,
  { modelType, tied, hidden, notes }: {
    modelType: string | undefined;
    tied: boolean | undefined;
    hidden: number;
    notes: string[];
  },
): number | undefined {
  const factors: number[] = [];
  for (const key of new Set(SCALE_RULES.map(({ key }) => key))) {
    const rule = SCALE_RULES.find((rule) =>
      rule.key === key && (rule.models?.includes(modelType ?? "") ?? true)
    )!;
    const value = levels.map((level) => level[key]).find((value) => value != null);
    if (value === "inv_sqrt_d_model") factors.push(hidden ** -0.5);
    else if (value !== undefined) factors.push(rule.factor(value as number, hidden));
  }
  if (SCALED_WHEN_TIED.includes(modelType ?? "")) {
    if (tied) factors.push(hidden ** -0.5);
    if (tied === undefined) {
      notes.push(
        `${modelType} scales logits by 1/sqrt(hidden) where the head is tied: unknown here`,
      );
    }
  }
  return factors.length ? factors.reduce((a, b) => a * b) : undefined;
}

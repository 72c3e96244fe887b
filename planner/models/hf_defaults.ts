/**
 * What a `config.json` leaves out because its family's default says it: Hugging
 * Face writes only what differs from the configuration class of the `model_type`.
 * Figures are those of the classes in
 * https://github.com/huggingface/transformers/tree/main/src/transformers/models.
 *
 * @module
 */

/** Defaults of a family's configuration class; what is not known here stays unknown. */
export interface FamilyDefaults {
  readonly vocab?: number;
  readonly hidden?: number;
  /** `tie_word_embeddings` where the config has none. */
  readonly tied?: boolean;
  /** Whether the head has a bias, by the family's published code; no key says so. */
  readonly bias?: true;
}

/** Sizes are here for the families that are published as a part of a config that omits them. */
const SIZED: Readonly<Record<string, FamilyDefaults>> = {
  llama: { vocab: 32000, hidden: 4096, tied: false }, // LLaVA-1.5
  mistral: { vocab: 32000, hidden: 4096, tied: false }, // LLaVA-NeXT
  qwen2: { vocab: 151936, hidden: 4096, tied: false },
  gemma: { vocab: 256000, hidden: 3072, tied: true }, // PaliGemma
  gemma2: { vocab: 256000, hidden: 2304, tied: true }, // PaliGemma-2
  gemma3_text: { vocab: 262208, hidden: 2304, tied: true }, // Gemma-3 4B and up
};

const TIED = ["bloom", "cohere", "cohere2", "falcon", "gemma3n_text", "gpt2", "gpt_bigcode"]
  .concat(["gpt_neo", "mamba", "opt", "starcoder2"]);

const UNTIED = ["deepseek_v2", "deepseek_v3", "exaone4", "glm", "glm4", "gpt_neox", "gpt_oss"]
  .concat(["granite", "granitemoe", "internlm2", "llama4_text", "mixtral", "nemotron", "olmo"])
  .concat(["olmo2", "persimmon", "phi3", "qwen2_moe", "qwen3", "qwen3_moe", "stablelm"]);

/** Heads that always have a bias. */
const BIASED = ["gptj", "codegen", "phi"];

/** What is known of a family's defaults. */
export function familyDefaults(modelType: string | undefined): FamilyDefaults {
  if (modelType === undefined) return {};
  if (Object.hasOwn(SIZED, modelType)) return SIZED[modelType]!;
  if (BIASED.includes(modelType)) return { tied: false, bias: true };
  if (TIED.includes(modelType)) return { tied: true };
  return UNTIED.includes(modelType) ? { tied: false } : {};
}

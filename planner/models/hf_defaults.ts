/**
 * What a `config.json` leaves out because its family's default says it: Hugging
 * Face writes of a part only what differs from the configuration class of its
 * `model_type`. Each figure was compared with that class.
 *
 * @module
 */

/** Defaults of a family's configuration class; what is not known here stays unknown. */
export interface FamilyDefaults {
  readonly vocab?: number;
  readonly hidden?: number;
  /** `tie_word_embeddings` where the config has none. */
  readonly tied?: boolean;
  /** Logits become `softcap * tanh(z / softcap)`. */
  readonly softcap?: number;
  /** Multiplies the logits. */
  readonly logitScale?: number;
  /** Whether the head has a bias, by the family's published code; no key says so. */
  readonly bias?: true;
}

/** A family's defaults, with the address of the class that they were compared with. */
export type KnownDefaults = FamilyDefaults & { readonly source: string };

/** Families that are published as a part of a config that omits sizes, and those that scale or cap. */
const DETAILED: Readonly<Record<string, FamilyDefaults>> = {
  llama: { vocab: 32000, hidden: 4096, tied: false }, // LLaVA-1.5
  mistral: { vocab: 32000, hidden: 4096, tied: false }, // LLaVA-NeXT
  qwen2: { vocab: 151936, hidden: 4096, tied: false },
  gemma: { vocab: 256000, hidden: 3072, tied: true }, // PaliGemma
  gemma2: { vocab: 256000, hidden: 2304, tied: true, softcap: 30 }, // PaliGemma-2
  gemma3_text: { vocab: 262208, hidden: 2304, tied: true }, // Gemma-3 4B and up
  gemma3n_text: { vocab: 262400, hidden: 2048, tied: true, softcap: 30 },
  gemma4_text: { vocab: 262144, hidden: 2304, tied: true },
  muse_glimmer_text: {
    vocab: 202048,
    hidden: 6656,
    tied: false,
    softcap: 20,
    logitScale: 0.19611613513818404,
  },
  cohere: { tied: true, logitScale: 0.0625 },
  cohere2: { tied: true, logitScale: 0.0625 },
  nanochat: { tied: false, softcap: 15 },
  recurrent_gemma: { tied: true, softcap: 30 },
  vaultgemma: { tied: true, softcap: 30 },
  xlstm: { tied: false, softcap: 30 },
  gptj: { tied: false, bias: true },
  codegen: { tied: false, bias: true },
  phi: { tied: false, bias: true },
};

const TIED = ["bloom", "ernie4_5", "falcon", "gpt2", "gpt_bigcode", "gpt_neo", "longt5", "mamba"]
  .concat(["mpt", "opt", "smollm3", "starcoder2", "switch_transformers", "t5"]);

const UNTIED = ["deepseek_v2", "deepseek_v3", "exaone4", "falcon_h1", "glm", "glm4", "glm4_moe"]
  .concat(["gpt_neox", "gpt_oss", "granite", "granitemoe", "hyperclovax", "internlm2"])
  .concat(["llama4_text", "ministral", "mixtral", "nemotron", "olmo", "olmo2", "olmo3"])
  .concat(["persimmon", "phi3", "qwen2_moe", "qwen3", "qwen3_moe", "stablelm"]);

const CLASSES = "https://github.com/huggingface/transformers/blob/v5.18.0/src/transformers/models";

/** Addresses of the classes that do not come with transformers. */
const ELSEWHERE: Readonly<Record<string, string>> = {
  // Its own repository could not be read; this is a port of its class.
  internlm2:
    "https://github.com/verylucky01/MindIE-LLM/blob/main/examples/atb_models/atb_llm/models/internlm2/config_internlm2.py",
};

/** Returns what is known of a family's defaults; `undefined` where nothing is. */
export function familyDefaults(modelType: string | undefined): KnownDefaults | undefined {
  if (modelType === undefined) return undefined;
  const known: FamilyDefaults | undefined = Object.hasOwn(DETAILED, modelType)
    ? DETAILED[modelType]
    : TIED.includes(modelType)
    ? { tied: true }
    : UNTIED.includes(modelType)
    ? { tied: false }
    : undefined;
  if (known === undefined) return undefined;
  // The part that holds the language model is of the module of the whole.
  const module = modelType.replace(/_text$/, "");
  const source = ELSEWHERE[modelType] ?? `${CLASSES}/${module}/configuration_${module}.py`;
  return { ...known, source };
}

/** Every family of which something is known. */
export const KNOWN_FAMILIES: readonly string[] = [...Object.keys(DETAILED), ...TIED, ...UNTIED];

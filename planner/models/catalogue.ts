/**
 * Output layers of published models, as data.
 *
 * Sources are repositories that publish the configuration as code. Rows whose
 * source says `copy` come from a third party's copy of the published
 * `config.json`, which nobody here has compared with the original.
 *
 * @module
 */
import type { OutputHead } from "./head.ts";

/** A published model's output layer, with where the figures come from. */
export interface Model extends OutputHead {
  /** In kebab-case: `gemma-2-2b`. */
  readonly name: string;
  /** Where the figures come from. */
  readonly source: string;
}

/** Models that share everything but their width. */
interface Family extends Omit<OutputHead, "hidden"> {
  readonly source: string;
  /** Width of the hidden states, by model. */
  readonly models: Readonly<Record<string, number>>;
}

const COPY = "copy of the published config.json";

const FAMILIES: readonly Family[] = [
  {
    source: "karpathy/llm.c README.md, train_gpt2.c (which trains with 50304 rows)",
    vocab: 50257,
    models: { "gpt2": 768 },
  },
  {
    source: "litgpt litgpt/config.py; torchtune llama2/_model_builders.py",
    vocab: 32000,
    models: { "llama-2-7b": 4096, "llama-2-13b": 5120, "llama-2-70b": 8192 },
  },
  {
    source: `litgpt litgpt/config.py; ${COPY} (3.1 8B)`,
    vocab: 128256,
    tokenizer: 128000,
    tied: false,
    models: {
      "llama-3-8b": 4096,
      "llama-3-70b": 8192,
      "llama-3.1-8b": 4096,
      "llama-3.1-70b": 8192,
      "llama-3.1-405b": 16384,
    },
  },
  {
    source: "litgpt litgpt/config.py; torchtune llama3_2",
    vocab: 128256,
    tokenizer: 128000,
    tied: true,
    models: { "llama-3.2-1b": 2048, "llama-3.2-3b": 3072 },
  },
  {
    source: `torchtune llama4/_model_builders.py; ${COPY}`,
    vocab: 202048,
    models: { "llama-4-scout": 5120, "llama-4-maverick": 5120 },
  },
  {
    source: "google/gemma_pytorch gemma/config.py",
    vocab: 256000,
    tied: true,
    models: { "gemma-2b": 2048, "gemma-7b": 3072 },
  },
  {
    source: "google/gemma_pytorch gemma/config.py",
    vocab: 256000,
    softcap: 30,
    tied: true,
    models: { "gemma-2-2b": 2304, "gemma-2-9b": 3584, "gemma-2-27b": 4608 },
  },
  {
    source: "google/gemma_pytorch gemma/config.py; litgpt litgpt/config.py",
    vocab: 262144,
    tied: true,
    models: { "gemma-3-1b": 1152 },
  },
  {
    source: `google/gemma_pytorch gemma/config.py (262144 ids); rows from a ${COPY}`,
    vocab: 262208,
    tokenizer: 262144,
    tied: true,
    models: { "gemma-3-4b": 2560, "gemma-3-12b": 3840, "gemma-3-27b": 5376 },
  },
  {
    source: COPY,
    vocab: 262400,
    softcap: 30,
    tied: true,
    models: { "gemma-3n-e2b": 2048, "gemma-3n-e4b": 2048 },
  },
  {
    source: COPY,
    vocab: 262144,
    softcap: 30,
    tied: true,
    models: { "gemma-4-12b": 3840, "gemma-4-31b": 5376 },
  },
  {
    source: "litgpt litgpt/config.py; torchtune qwen2_5/_model_builders.py",
    vocab: 151936,
    tied: true,
    models: { "qwen2.5-0.5b": 896, "qwen2.5-1.5b": 1536, "qwen2.5-3b": 2048 },
  },
  {
    source: "litgpt litgpt/config.py; torchtune qwen2_5/_model_builders.py",
    vocab: 152064,
    tied: false,
    models: {
      "qwen2.5-7b": 3584,
      "qwen2.5-14b": 5120,
      "qwen2.5-32b": 5120,
      "qwen2.5-72b": 8192,
    },
  },
  {
    source: "litgpt litgpt/config.py",
    vocab: 151936,
    tokenizer: 151643,
    models: {
      "qwen3-0.6b": 1024,
      "qwen3-1.7b": 2048,
      "qwen3-4b": 2560,
      "qwen3-8b": 4096,
      "qwen3-14b": 5120,
      "qwen3-32b": 5120,
      "qwen3-30b-a3b": 2048,
      "qwen3-235b-a22b": 4096,
    },
  },
  {
    source: "torchtune mistral/_model_builders.py",
    vocab: 32000,
    models: { "mistral-7b-v0.1": 4096 },
  },
  { source: COPY, vocab: 32768, models: { "mistral-7b-v0.3": 4096 } },
  {
    source: "kevinstephano/thunder_model_blocks mistral/mistral_config.py",
    vocab: 131072,
    tied: false,
    models: { "mistral-nemo-12b": 5120 },
  },
  { source: COPY, vocab: 131072, models: { "ministral-8b": 4096 } },
  {
    source: "litgpt litgpt/config.py; torchtune phi3/_model_builders.py",
    vocab: 32064,
    models: { "phi-3-mini": 3072, "phi-3.5-mini": 3072 },
  },
  {
    source: "litgpt litgpt/config.py; torchtune phi4/_model_builders.py",
    vocab: 100352,
    models: { "phi-4": 5120 },
  },
  {
    source: "litgpt litgpt/config.py",
    vocab: 200064,
    tokenizer: 200019,
    models: { "phi-4-mini": 3072 },
  },
  {
    source: "deepseek-ai/DeepSeek-V3 inference/configs/config_671B.json",
    vocab: 129280,
    models: { "deepseek-v3": 7168, "deepseek-r1": 7168 },
  },
  {
    source: "litgpt litgpt/config.py",
    vocab: 49152,
    models: { "smollm2-135m": 576, "smollm2-360m": 960, "smollm2-1.7b": 2048 },
  },
  {
    source: "litgpt litgpt/config.py",
    vocab: 100352,
    tokenizer: 100278,
    models: { "olmo-2-7b": 4096, "olmo-2-13b": 5120 },
  },
  {
    source: "litgpt litgpt/config.py",
    vocab: 131072,
    models: { "falcon-3-3b": 3072, "falcon-3-7b": 3072, "falcon-3-10b": 3072 },
  },
  {
    source: COPY,
    vocab: 256000,
    logitScale: 0.0625,
    tied: true,
    models: { "command-r": 8192, "command-r-plus": 12288 },
  },
  {
    source: "openai/gpt-oss gpt_oss/torch/model.py",
    vocab: 201088,
    tied: false,
    models: { "gpt-oss-20b": 2880, "gpt-oss-120b": 2880 },
  },
  { source: COPY, vocab: 163840, models: { "kimi-k2": 7168, "kimi-k2.5": 7168, "kimi-k3": 7168 } },
  {
    source: COPY,
    vocab: 151552,
    tied: false,
    models: { "glm-4-9b": 4096, "glm-4.5-air": 4096 },
  },
  {
    source: `${COPY}: logits_scaling 16, which divides`,
    vocab: 49159,
    logitScale: 1 / 16,
    tied: true,
    models: { "granite-3-8b": 4096 },
  },
  {
    source: `${COPY}: logits_scaling 16, which divides`,
    vocab: 100352,
    logitScale: 1 / 16,
    tied: true,
    models: { "granite-4.1": 4096 },
  },
  {
    source: `${COPY}: output_multiplier 0.196`,
    vocab: 202048,
    logitScale: 0.196,
    softcap: 20,
    models: { "muse-glimmer": 6656 },
  },
  {
    source: "litgpt litgpt/config.py",
    vocab: 256000,
    models: { "salamandra-2b": 2048, "salamandra-7b": 4096 },
  },
];

/** Every model of the catalogue, a family after the other. */
export const MODELS: readonly Model[] = FAMILIES.flatMap(({ models, source, ...shared }) =>
  Object.entries(models).map(([name, hidden]) => ({ name, hidden, ...shared, source }))
);

/**
 * A model of the catalogue by its name, or `undefined`.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * assert.equal(findModel("gemma-2-2b")?.softcap, 30);
 * assert.equal(findModel("gemma-2-3b"), undefined);
 * ```
 */
export function findModel(name: string): Model | undefined {
  return MODELS.find((model) => model.name === name);
}

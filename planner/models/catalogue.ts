/**
 * Output layers of published models, as data.
 *
 * A row's `source` is the address of the published `config.json`; `checked` says
 * which public copy of it, or which code with the same figures, the row was
 * compared with, and what was not found. Type and tie are those that a copy states
 * of the family; where none does, they are left out.
 *
 * @module
 */
import type { OutputHead } from "./head.ts";

/** A published model's output layer, with where the figures come from. */
export interface Model extends OutputHead {
  /** In kebab-case: `gemma-2-2b`. */
  readonly name: string;
  /** Address of the published config. */
  readonly source: string;
  /** What the row was compared with. */
  readonly checked: string;
}

/** Models that share everything but their width. */
interface Family extends Omit<OutputHead, "hidden"> {
  readonly checked: string;
  /** Width of the hidden states and Hugging Face repository, by model. */
  readonly models: Readonly<Record<string, readonly [hidden: number, repository: string]>>;
}

const COPY = "a public copy of the config";
const LITGPT = "litgpt litgpt/config.py";
const MLC = "mlc-llm python/mlc_llm/model/model_preset.py";
const TORCHTUNE = "torchtune's model builders";
const GEMMA = "google/gemma_pytorch gemma/config.py";

const FAMILIES: readonly Family[] = [
  {
    checked: `${MLC}; karpathy/llm.c train_gpt2.c`,
    vocab: 50257,
    tied: true,
    models: {
      "gpt2": [768, "openai-community/gpt2"],
    },
  },
  {
    checked: `${MLC}; ${LITGPT}`,
    vocab: 32000,
    dtype: "f16",
    tied: false,
    models: {
      "llama-2-7b": [4096, "meta-llama/Llama-2-7b-hf"],
      "llama-2-13b": [5120, "meta-llama/Llama-2-13b-hf"],
      "llama-2-70b": [8192, "meta-llama/Llama-2-70b-hf"],
    },
  },
  {
    checked: `${MLC}; ${LITGPT}`,
    vocab: 128256,
    tokenizer: 128000,
    dtype: "bf16",
    tied: false,
    models: {
      "llama-3-8b": [4096, "meta-llama/Meta-Llama-3-8B"],
      "llama-3-70b": [8192, "meta-llama/Meta-Llama-3-70B"],
      "llama-3.1-8b": [4096, "meta-llama/Llama-3.1-8B"],
      "llama-3.1-70b": [8192, "meta-llama/Llama-3.1-70B"],
      "llama-3.1-405b": [16384, "meta-llama/Llama-3.1-405B"],
    },
  },
  {
    checked: `${MLC}; ${LITGPT}`,
    vocab: 128256,
    tokenizer: 128000,
    dtype: "bf16",
    tied: true,
    models: {
      "llama-3.2-1b": [2048, "meta-llama/Llama-3.2-1B"],
      "llama-3.2-3b": [3072, "meta-llama/Llama-3.2-3B"],
    },
  },
  {
    checked: `${COPY}; ${TORCHTUNE}`,
    vocab: 202048,
    dtype: "bf16",
    tied: false,
    models: {
      "llama-4-scout": [5120, "meta-llama/Llama-4-Scout-17B-16E"],
      "llama-4-maverick": [5120, "meta-llama/Llama-4-Maverick-17B-128E"],
    },
  },
  {
    checked: `${MLC}; ${GEMMA}`,
    vocab: 256000,
    dtype: "bf16",
    tied: true,
    models: {
      "gemma-2b": [2048, "google/gemma-2b"],
      "gemma-7b": [3072, "google/gemma-7b"],
    },
  },
  {
    checked: `${MLC}; ${GEMMA}`,
    vocab: 256000,
    dtype: "bf16",
    softcap: 30,
    tied: true,
    models: {
      "gemma-2-2b": [2304, "google/gemma-2-2b-it"],
      "gemma-2-9b": [3584, "google/gemma-2-9b-it"],
      "gemma-2-27b": [4608, "google/gemma-2-27b-it"],
    },
  },
  {
    checked: `${MLC}; ${GEMMA}`,
    vocab: 262144,
    dtype: "bf16",
    tied: true,
    models: {
      "gemma-3-1b": [1152, "google/gemma-3-1b-it"],
    },
  },
  {
    checked: `${COPY}; ${GEMMA}`,
    vocab: 262208,
    tokenizer: 262144,
    dtype: "bf16",
    tied: true,
    models: {
      "gemma-3-4b": [2560, "google/gemma-3-4b-it"],
      "gemma-3-12b": [3840, "google/gemma-3-12b-it"],
      "gemma-3-27b": [5376, "google/gemma-3-27b-it"],
    },
  },
  {
    checked: COPY,
    vocab: 262400,
    softcap: 30,
    tied: true,
    models: {
      "gemma-3n-e2b": [2048, "google/gemma-3n-E2B-it"],
      "gemma-3n-e4b": [2048, "google/gemma-3n-E4B-it"],
    },
  },
  {
    checked: COPY,
    vocab: 262144,
    softcap: 30,
    tied: true,
    models: {
      "gemma-4-12b": [3840, "google/gemma-4-12B-it"],
      "gemma-4-31b": [5376, "google/gemma-4-31B-it"],
    },
  },
  {
    checked: `${MLC}; ${LITGPT}`,
    vocab: 151936,
    dtype: "bf16",
    tied: true,
    models: {
      "qwen2.5-0.5b": [896, "Qwen/Qwen2.5-0.5B"],
      "qwen2.5-1.5b": [1536, "Qwen/Qwen2.5-1.5B"],
      "qwen2.5-3b": [2048, "Qwen/Qwen2.5-3B"],
    },
  },
  {
    checked: `${COPY}; ${LITGPT}`,
    vocab: 152064,
    dtype: "bf16",
    tied: false,
    models: {
      "qwen2.5-7b": [3584, "Qwen/Qwen2.5-7B"],
      "qwen2.5-14b": [5120, "Qwen/Qwen2.5-14B"],
      "qwen2.5-32b": [5120, "Qwen/Qwen2.5-32B"],
      "qwen2.5-72b": [8192, "Qwen/Qwen2.5-72B"],
    },
  },
  {
    checked: `${MLC}; ${LITGPT}`,
    vocab: 151936,
    tokenizer: 151643,
    dtype: "bf16",
    tied: true,
    models: {
      "qwen3-0.6b": [1024, "Qwen/Qwen3-0.6B"],
      "qwen3-1.7b": [2048, "Qwen/Qwen3-1.7B"],
      "qwen3-4b": [2560, "Qwen/Qwen3-4B"],
    },
  },
  {
    checked: `${MLC}; ${LITGPT}`,
    vocab: 151936,
    tokenizer: 151643,
    dtype: "bf16",
    tied: false,
    models: {
      "qwen3-8b": [4096, "Qwen/Qwen3-8B"],
      "qwen3-30b-a3b": [2048, "Qwen/Qwen3-30B-A3B"],
    },
  },
  {
    checked: LITGPT,
    vocab: 151936,
    tokenizer: 151643,
    dtype: "bf16",
    models: {
      "qwen3-14b": [5120, "Qwen/Qwen3-14B"],
      "qwen3-32b": [5120, "Qwen/Qwen3-32B"],
      "qwen3-235b-a22b": [4096, "Qwen/Qwen3-235B-A22B"],
    },
  },
  {
    checked: `${MLC}; ${TORCHTUNE}`,
    vocab: 32000,
    dtype: "bf16",
    tied: false,
    models: {
      "mistral-7b-v0.1": [4096, "mistralai/Mistral-7B-v0.1"],
    },
  },
  {
    checked: `${MLC}; ${LITGPT}`,
    vocab: 32768,
    dtype: "bf16",
    tied: false,
    models: {
      "mistral-7b-v0.3": [4096, "mistralai/Mistral-7B-v0.3"],
    },
  },
  {
    checked: "kevinstephano/thunder_model_blocks mistral/mistral_config.py",
    vocab: 131072,
    dtype: "bf16",
    tied: false,
    models: {
      "mistral-nemo-12b": [5120, "mistralai/Mistral-Nemo-Base-2407"],
    },
  },
  {
    checked:
      "the architecture of the published model card, whose count of parameters has a head of its own; its config was not found",
    vocab: 131072,
    tied: false,
    models: {
      "ministral-8b": [4096, "mistralai/Ministral-8B-Instruct-2410"],
    },
  },
  {
    checked: `${COPY}; ${LITGPT}`,
    vocab: 32064,
    dtype: "bf16",
    tied: false,
    models: {
      "phi-3-mini": [3072, "microsoft/Phi-3-mini-4k-instruct"],
      "phi-3.5-mini": [3072, "microsoft/Phi-3.5-mini-instruct"],
    },
  },
  {
    checked: `${COPY}; ${LITGPT}`,
    vocab: 100352,
    dtype: "bf16",
    tied: false,
    models: {
      "phi-4": [5120, "microsoft/phi-4"],
    },
  },
  {
    checked: `${COPY}; ${LITGPT}`,
    vocab: 200064,
    tokenizer: 200019,
    dtype: "bf16",
    bias: false,
    tied: true,
    models: {
      "phi-4-mini": [3072, "microsoft/Phi-4-mini-instruct"],
    },
  },
  {
    checked: `${COPY}; deepseek-ai/DeepSeek-V3 inference/configs/config_671B.json`,
    vocab: 129280,
    dtype: "bf16",
    tied: false,
    models: {
      "deepseek-v3": [7168, "deepseek-ai/DeepSeek-V3"],
      "deepseek-r1": [7168, "deepseek-ai/DeepSeek-R1"],
    },
  },
  {
    checked: `${MLC}; ${LITGPT}`,
    vocab: 49152,
    dtype: "bf16",
    tied: true,
    models: {
      "smollm2-135m": [576, "HuggingFaceTB/SmolLM2-135M"],
      "smollm2-360m": [960, "HuggingFaceTB/SmolLM2-360M"],
      "smollm2-1.7b": [2048, "HuggingFaceTB/SmolLM2-1.7B"],
    },
  },
  {
    checked: LITGPT,
    vocab: 100352,
    tokenizer: 100278,
    models: {
      "olmo-2-7b": [4096, "allenai/OLMo-2-1124-7B"],
      "olmo-2-13b": [5120, "allenai/OLMo-2-1124-13B"],
    },
  },
  {
    checked: `${COPY}; ${LITGPT}`,
    vocab: 131072,
    dtype: "bf16",
    tied: false,
    models: {
      "falcon-3-3b": [3072, "tiiuae/Falcon3-3B-Base"],
      "falcon-3-7b": [3072, "tiiuae/Falcon3-7B-Base"],
      "falcon-3-10b": [3072, "tiiuae/Falcon3-10B-Base"],
    },
  },
  {
    checked: COPY,
    vocab: 256000,
    logitScale: 0.0625,
    tied: true,
    models: {
      "command-r": [8192, "CohereForAI/c4ai-command-r-v01"],
    },
  },
  {
    checked: COPY,
    vocab: 256000,
    logitScale: 0.8333333333333334,
    tied: true,
    models: {
      "command-r-plus": [12288, "CohereForAI/c4ai-command-r-plus"],
    },
  },
  {
    checked: `${COPY}; openai/gpt-oss gpt_oss/torch/model.py`,
    vocab: 201088,
    dtype: "bf16",
    tied: false,
    models: {
      "gpt-oss-20b": [2880, "openai/gpt-oss-20b"],
      "gpt-oss-120b": [2880, "openai/gpt-oss-120b"],
    },
  },
  {
    // Its type and tie were found in no copy.
    checked: `${COPY}'s sizes; the published model card`,
    vocab: 163840,
    models: {
      "kimi-k2": [7168, "moonshotai/Kimi-K2-Instruct"],
    },
  },
  {
    checked: "the config in TensorRT-LLM's test of Kimi-K2.5; the published model card",
    vocab: 163840,
    dtype: "bf16",
    tied: false,
    models: {
      "kimi-k2.5": [7168, "moonshotai/Kimi-K2.5"],
    },
  },
  {
    checked: "the config in NeMo Automodel's test of Kimi-K3",
    vocab: 163840,
    tied: false,
    models: {
      "kimi-k3": [7168, "moonshotai/Kimi-K3"],
    },
  },
  {
    checked: COPY,
    vocab: 151552,
    dtype: "bf16",
    tied: false,
    models: {
      "glm-4-9b": [4096, "THUDM/glm-4-9b"],
    },
  },
  {
    checked: "TileRT's ModelArgsGLM4P5Air; Glm4MoeConfig of transformers 5.18.0 (the tie)",
    vocab: 151552,
    dtype: "bf16",
    tied: false,
    models: {
      "glm-4.5-air": [4096, "zai-org/GLM-4.5-Air"],
    },
  },
  {
    checked: `${COPY}: logits_scaling 16, which divides`,
    vocab: 49159,
    dtype: "bf16",
    logitScale: 1 / 16,
    tied: true,
    models: {
      "granite-3.3-8b": [4096, "ibm-granite/granite-3.3-8b-instruct"],
    },
  },
  {
    checked: `${COPY}: logits_scaling 16, which divides`,
    vocab: 100352,
    logitScale: 1 / 16,
    tied: true,
    models: {
      "granite-4.1-8b": [4096, "ibm-granite/granite-4.1-8b"],
    },
  },
  {
    checked: COPY,
    vocab: 202048,
    dtype: "bf16",
    softcap: 20,
    logitScale: 0.19611613513818404,
    tied: false,
    models: {
      "muse-glimmer": [6656, "meta-models/Muse-Glimmer-30B"],
    },
  },
  {
    checked: LITGPT,
    vocab: 256000,
    models: {
      "salamandra-2b": [2048, "BSC-LT/salamandra-2b"],
      "salamandra-7b": [4096, "BSC-LT/salamandra-7b"],
    },
  },
];

/** Every model of the catalogue, a family after the other. */
export const MODELS: readonly Model[] = FAMILIES.flatMap(({ models, checked, ...shared }) =>
  Object.entries(models).map(([name, [hidden, repository]]) => ({
    name,
    hidden,
    ...shared,
    source: `https://huggingface.co/${repository}/blob/main/config.json`,
    checked,
  }))
);

/**
 * Returns a model of the catalogue by its name, or `undefined`.
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

import assert from "node:assert/strict";
import { headOf } from "../problem.ts";
import { parseProblem } from "../problem_schema.ts";
import { findModel, MODELS } from "./catalogue.ts";
import { headSettings } from "./head.ts";
import { parseModelConfig } from "./hf_config.ts";

Deno.test("names are kebab-case, and every row has the address of a config of its own", () => {
  const distinct = (values: string[]) => assert.equal(new Set(values).size, values.length);
  distinct(MODELS.map(({ name }) => name));
  distinct(MODELS.map(({ source }) => source));
  for (const { name, source, checked } of MODELS) {
    assert.match(name, /^[a-z0-9.]+(-[a-z0-9.]+)*$/);
    const [, repository] = source
      .match(/^https:\/\/huggingface\.co\/[\w-]+\/([\w.-]+)\/blob\/main\/config\.json$/)!;
    // Each word of the name is in the repository's; that of the Nemo lacks the size.
    const words = name.split("-").filter((word) => name !== "mistral-nemo-12b" || word !== "12b");
    for (const word of words) assert(repository!.toLowerCase().includes(word), source);
    assert(checked.length > 0, name);
  }
  assert(MODELS.length >= 40);
});

/** Sizes published elsewhere: weight in bf16, MiB; f32 logits of 8192 tokens, GiB. */
const SIZES: readonly [string, number, string][] = [
  ["gpt2", 74, "1.5"],
  ["qwen3-0.6b", 297, "4.6"],
  ["llama-3.1-8b", 1002, "3.9"],
  ["gemma-2-2b", 1125, "7.8"],
  ["deepseek-v3", 1768, "3.9"],
  ["kimi-k2", 2240, "5.0"],
  ["gemma-3-27b", 2689, "8.0"],
];
for (const [name, mebibytes, logits] of SIZES) {
  Deno.test(`${name} weighs ${mebibytes} MiB in bf16, and its logits ${logits} GiB`, () => {
    const { vocab, hidden } = findModel(name)!;
    assert.equal(Math.round((2 * vocab * hidden) / 2 ** 20), mebibytes);
    assert.equal(((4 * 8192 * vocab) / 2 ** 30).toFixed(1), logits);
  });
}

/** Figures of published configs, written down apart from the catalogue. */
const ROWS: readonly [string, number, number, Record<string, unknown>][] = [
  ["llama-2-70b", 32000, 8192, {}],
  ["llama-3.1-405b", 128256, 16384, { tied: false, tokenizer: 128000 }],
  ["llama-3.2-1b", 128256, 2048, { tied: true }],
  ["llama-4-scout", 202048, 5120, {}],
  ["gemma-7b", 256000, 3072, { tied: true, softcap: undefined }],
  ["gemma-2-9b", 256000, 3584, { tied: true, softcap: 30 }],
  ["gemma-3-1b", 262144, 1152, { softcap: undefined }],
  ["gemma-3-12b", 262208, 3840, { softcap: undefined, tokenizer: 262144 }],
  ["gemma-3n-e4b", 262400, 2048, { softcap: 30 }],
  ["qwen2.5-0.5b", 151936, 896, { tied: true }],
  ["qwen2.5-72b", 152064, 8192, { tied: false }],
  ["qwen3-32b", 151936, 5120, { tied: undefined, tokenizer: 151643 }],
  ["mistral-7b-v0.3", 32768, 4096, {}],
  ["mistral-nemo-12b", 131072, 5120, { tied: false }],
  ["phi-3.5-mini", 32064, 3072, {}],
  ["phi-4-mini", 200064, 3072, { tokenizer: 200019 }],
  ["smollm2-135m", 49152, 576, {}],
  ["olmo-2-13b", 100352, 5120, { tokenizer: 100278 }],
  ["command-r", 256000, 8192, { logitScale: 0.0625, tied: true }],
  ["command-r-plus", 256000, 12288, { logitScale: 0.8333333333333334, tied: true }],
  ["gpt-oss-20b", 201088, 2880, { tied: false }],
  ["glm-4-9b", 151552, 4096, { tied: false }],
  ["granite-3.3-8b", 49159, 4096, { logitScale: 0.0625, tied: true }],
  ["ministral-8b", 131072, 4096, { tied: false, dtype: undefined }],
  ["kimi-k2", 163840, 7168, { tied: undefined, dtype: undefined }],
  ["kimi-k2.5", 163840, 7168, { tied: false, dtype: "bf16" }],
  ["kimi-k3", 163840, 7168, { tied: false }],
  ["glm-4.5-air", 151552, 4096, { tied: false, dtype: "bf16" }],
  ["muse-glimmer", 202048, 6656, { logitScale: 0.19611613513818404, softcap: 20, tied: false }],
];
for (const [name, vocab, hidden, extra] of ROWS) {
  Deno.test(`${name} is ${vocab} x ${hidden}`, () => {
    const model = findModel(name)!;
    assert.deepEqual([model.vocab, model.hidden], [vocab, hidden]);
    for (const [key, value] of Object.entries(extra)) {
      assert.equal(model[key as keyof typeof model], value, key);
    }
  });
}

Deno.test("ministral-8b has as many parameters as its card says, with a head of its own", () => {
  const { vocab, hidden, tied } = findModel("ministral-8b")!;
  // 36 layers, 32 heads of 128, 8 of them keys', 12288 within; 8,019,808,256 by the card.
  const [layers, head, inner] = [36, 128, 12288];
  const attention = 2 * hidden * 32 * head + 2 * hidden * 8 * head;
  const layer = attention + 3 * hidden * inner + 2 * hidden;
  const tables = (tied ? 1 : 2) * vocab * hidden;
  assert.equal(layers * layer + hidden + tables, 8_019_808_256);
});

/** Published configs as copies have them, cut to what bears on the head. */
const CONFIGS: Readonly<Record<string, Record<string, unknown>>> = {
  "llama-2-13b": {
    model_type: "llama",
    hidden_size: 5120,
    tie_word_embeddings: false,
    torch_dtype: "float16",
    vocab_size: 32000,
  },
  "llama-3.1-70b": {
    model_type: "llama",
    hidden_size: 8192,
    tie_word_embeddings: false,
    torch_dtype: "bfloat16",
    vocab_size: 128256,
  },
  "gemma-2-27b": {
    model_type: "gemma2",
    attn_logit_softcapping: 50.0,
    final_logit_softcapping: 30.0,
    hidden_size: 4608,
    torch_dtype: "bfloat16",
    vocab_size: 256000,
  },
  "gemma-3-4b": {
    model_type: "gemma3",
    text_config: { hidden_size: 2560, model_type: "gemma3_text" },
    torch_dtype: "bfloat16",
  },
  "qwen3-0.6b": {
    model_type: "qwen3",
    hidden_size: 1024,
    tie_word_embeddings: true,
    torch_dtype: "bfloat16",
    vocab_size: 151936,
  },
  "qwen2.5-7b": {
    model_type: "qwen2",
    hidden_size: 3584,
    tie_word_embeddings: false,
    torch_dtype: "bfloat16",
    vocab_size: 152064,
  },
  "mistral-nemo-12b": {
    model_type: "mistral",
    hidden_size: 5120,
    tie_word_embeddings: false,
    torch_dtype: "bfloat16",
    vocab_size: 131072,
  },
  "phi-4-mini": {
    model_type: "phi3",
    hidden_size: 3072,
    lm_head_bias: false,
    tie_word_embeddings: true,
    torch_dtype: "bfloat16",
    vocab_size: 200064,
  },
  "deepseek-v3": {
    model_type: "deepseek_v3",
    hidden_size: 7168,
    tie_word_embeddings: false,
    torch_dtype: "bfloat16",
    vocab_size: 129280,
  },
  "kimi-k2.5": {
    model_type: "kimi_k25",
    tie_word_embeddings: false,
    torch_dtype: "bfloat16",
    text_config: {
      model_type: "deepseek_v3",
      hidden_size: 7168,
      torch_dtype: "bfloat16",
      vocab_size: 163840,
    },
  },
  "smollm2-360m": {
    model_type: "llama",
    hidden_size: 960,
    tie_word_embeddings: true,
    torch_dtype: "bfloat16",
    vocab_size: 49152,
  },
  "granite-3.3-8b": {
    model_type: "granite",
    embedding_multiplier: 12.0,
    hidden_size: 4096,
    logits_scaling: 16.0,
    tie_word_embeddings: true,
    torch_dtype: "bfloat16",
    vocab_size: 49159,
  },
  "muse-glimmer": {
    model_type: "muse_glimmer",
    dtype: "bfloat16",
    text_config: {
      model_type: "muse_glimmer_text",
      hidden_size: 6656,
      final_logit_softcapping: 20.0,
      output_multiplier: 0.19611613513818404,
      tie_word_embeddings: false,
      vocab_size: 202048,
    },
  },
};
for (const [name, config] of Object.entries(CONFIGS)) {
  Deno.test(`${name} is as its config says`, () => {
    const { modelType: _, notes: _n, ...head } = parseModelConfig(config);
    const { name: _r, source: _s, checked: _c, tokenizer: _t, ...row } = findModel(name)!;
    assert.deepEqual(row, head);
  });
}

Deno.test("every row makes a problem, and says nothing that it does not know", () => {
  for (const model of MODELS) {
    const settings = headSettings(model);
    const problem = parseProblem(settings as { vocab: number; hidden: number });
    assert.equal(headOf(problem).softcap, model.softcap);
    assert.equal(headOf(problem).dtype, model.dtype ?? "f32");
    assert.equal(headOf(problem).logitScale, model.logitScale ?? 1);
    assert(!("tied" in settings) && !("tokenizer" in settings));
    assert(model.tokenizer === undefined || model.tokenizer < model.vocab, model.name);
  }
});

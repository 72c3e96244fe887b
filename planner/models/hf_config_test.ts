import assert from "node:assert/strict";
import { ConfigError, isModelConfig, parseModelConfig } from "./hf_config.ts";

/** Configs in the shape that each family publishes, cut to what bears on the head or could mislead. */
const GEMMA_2 = {
  architectures: ["Gemma2ForCausalLM"],
  attn_logit_softcapping: 50.0,
  final_logit_softcapping: 30.0,
  head_dim: 256,
  hidden_size: 2304,
  intermediate_size: 9216,
  model_type: "gemma2",
  num_hidden_layers: 26,
  torch_dtype: "float32",
  vocab_size: 256000,
};
const LLAMA_3_1 = {
  architectures: ["LlamaForCausalLM"],
  hidden_size: 4096,
  model_type: "llama",
  tie_word_embeddings: false,
  torch_dtype: "bfloat16",
  vocab_size: 128256,
};
const GEMMA_3_4B = {
  architectures: ["Gemma3ForConditionalGeneration"],
  model_type: "gemma3",
  text_config: { hidden_size: 2560, model_type: "gemma3_text", vocab_size: 262208 },
  vision_config: { hidden_size: 1152, model_type: "siglip_vision_model" },
};

Deno.test("gemma-2's cap is the final one, its type as stated, and its tie its family's", () => {
  assert.deepEqual(parseModelConfig(GEMMA_2), {
    vocab: 256000,
    hidden: 2304,
    dtype: "f32",
    softcap: 30,
    tied: true,
    modelType: "gemma2",
    notes: [],
  });
});

Deno.test("a stated tie is read, and so is a stated lack of it", () => {
  assert.equal(parseModelConfig(LLAMA_3_1).tied, false);
  assert.equal(parseModelConfig({ ...LLAMA_3_1, tie_word_embeddings: true }).tied, true);
  const nested = { ...GEMMA_3_4B, tie_word_embeddings: true };
  assert.equal(parseModelConfig(nested).tied, true);
  const split = {
    ...nested,
    text_config: { ...GEMMA_3_4B.text_config, tie_word_embeddings: false },
  };
  assert.equal(parseModelConfig(split).tied, undefined, "two levels that disagree");
});

Deno.test("a multimodal config gives its language model, never its vision model", () => {
  const head = parseModelConfig(GEMMA_3_4B);
  assert.deepEqual([head.vocab, head.hidden, head.modelType], [262208, 2560, "gemma3_text"]);
  const { hidden_size: _, model_type: _m, ...text } = GEMMA_3_4B.text_config;
  assert.throws(
    () => parseModelConfig({ ...GEMMA_3_4B, text_config: text }),
    /hidden is needed: one of word_embed_proj_dim, hidden_size, n_embd, d_model, dim/,
  );
});

Deno.test("every place of the language model is read", () => {
  const text = { vocab_size: 151936, hidden_size: 3584 };
  for (
    const config of [
      { text_config: text }, // Llama-4, Gemma-3, GLM-4.5V
      { llm_config: text }, // InternVL
      { language_config: text }, // DeepSeek-VL2
      { thinker_config: { text_config: text } }, // Qwen2.5-Omni
      { text_config: { hidden_size: 3584 }, vocab_size: 151936 },
    ]
  ) {
    const { vocab, hidden } = parseModelConfig(config);
    assert.deepEqual([vocab, hidden], [151936, 3584], JSON.stringify(config));
  }
});

const SIZES: readonly [string, Record<string, unknown>, [number, number]][] = [
  ["gpt-2", { model_type: "gpt2", n_embd: 768, vocab_size: 50257 }, [50257, 768]],
  ["mpt", { model_type: "mpt", d_model: 4096, vocab_size: 50432 }, [50432, 4096]],
  ["deepseek's own", { vocab_size: 129280, dim: 7168, inter_dim: 18432 }, [129280, 7168]],
  ["chatglm", { model_type: "chatglm", padded_vocab_size: 65024, hidden_size: 4096 }, [
    65024,
    4096,
  ]],
  ["litgpt", { vocab_size: 50254, padded_vocab_size: 50304, n_embd: 512 }, [50304, 512]],
];
for (const [name, config, sizes] of SIZES) {
  Deno.test(`vocab and hidden by the keys of ${name}`, () => {
    assert(isModelConfig(config));
    const { vocab, hidden } = parseModelConfig(config);
    assert.deepEqual([vocab, hidden], sizes);
  });
}

/** Logit scales with the arithmetic of each family's published code done by hand. */
const SCALES: readonly [string, Record<string, unknown>, number | undefined][] = [
  ["cohere multiplies", { model_type: "cohere", logit_scale: 0.0625 }, 0.0625],
  ["granite divides", { model_type: "granite", logits_scaling: 16.0 }, 0.0625],
  [
    "hyperclova x multiplies by granite's key",
    { model_type: "hyperclovax", logits_scaling: 0.125 },
    0.125,
  ],
  ["muse multiplies", { model_type: "muse_glimmer", output_multiplier: 0.196 }, 0.196],
  ["grok multiplies", { model_type: "grok-1", output_multiplier_scale: 0.5 }, 0.5],
  ["falcon-h1 multiplies", { model_type: "falcon_h1", lm_head_multiplier: 0.0390625 }, 0.0390625],
  ["phi-3-small divides", { model_type: "phi3small", mup_width_multiplier: 8.0 }, 0.125],
  [
    "a nested width multiplier divides",
    { text_config: { logits_mup_width_multiplier: 24 } },
    1 / 24,
  ],
  ["minicpm divides by hidden over base", { model_type: "minicpm", dim_model_base: 256 }, 0.25],
  ["mpt by name", { model_type: "mpt", logit_scale: "inv_sqrt_d_model" }, 1 / 32],
  ["mpt without", { model_type: "mpt", logit_scale: null }, undefined],
  ["both keys multiply up", { logit_scale: 2, logits_scaling: 16 }, 0.125],
  ["t5 with a tied head", { model_type: "t5", tie_word_embeddings: true }, 1 / 32],
  ["t5 whose class ties it", { model_type: "t5" }, 1 / 32],
  ["cohere's default", { model_type: "cohere" }, 0.0625],
  ["cohere's own", { model_type: "cohere", logit_scale: 0.8333333333333334 }, 0.8333333333333334],
  ["t5 with a head of its own", { model_type: "t5", tie_word_embeddings: false }, undefined],
  ["embedding multipliers are no business of the head's", { embedding_multiplier: 12 }, undefined],
];
for (const [name, config, scale] of SCALES) {
  Deno.test(`logit scale: ${name}`, () => {
    const head = parseModelConfig({ vocab_size: 32000, hidden_size: 1024, ...config });
    assert.equal(head.logitScale, scale);
  });
}

Deno.test("mt5 whose tie is not stated has an unknown scale, and says so", () => {
  const head = parseModelConfig({ model_type: "mt5", vocab_size: 250112, d_model: 512 });
  assert.equal(head.logitScale, undefined);
  assert.match(head.notes[0]!, /1\/sqrt\(hidden\).*unknown/);
});

const CAPS: readonly [string, number | null, number | undefined][] = [
  ["final_logit_softcapping", 30, 30],
  ["final_logit_softcapping", null, undefined],
  ["output_soft_cap_temp", 20, 20],
  ["logits_soft_cap", 30, 30],
  ["output_logit_soft_cap", 30, 30],
  ["output_logit_soft_cap", 0, undefined],
  ["attn_logit_softcapping", 50, undefined],
];
for (const [key, value, cap] of CAPS) {
  Deno.test(`softcap: ${key} ${value} is ${cap}`, () => {
    const head = parseModelConfig({ vocab_size: 10, hidden_size: 4, [key]: value });
    assert.equal(head.softcap, cap);
  });
}

Deno.test("a bias is known from its key or from the family's code, else unknown", () => {
  const sizes = { vocab_size: 51200, hidden_size: 2560 };
  assert.equal(parseModelConfig({ ...sizes, model_type: "phi" }).bias, true);
  assert.equal(parseModelConfig({ ...sizes, lm_head_bias: true }).bias, true);
  assert.equal(parseModelConfig({ ...sizes, lm_head_bias: false }).bias, false);
  assert.equal(parseModelConfig({ ...sizes, model_type: "llama" }).bias, undefined);
});

Deno.test("missing keys are all named, but not those that the caller knows", () => {
  const bare = { model_type: "new", architectures: ["NewForCausalLM"] };
  assert.throws(
    () => parseModelConfig(bare),
    (error) =>
      error instanceof ConfigError && error.missing.join() === "vocab,hidden" &&
      /vocab is needed: one of padded_vocab_size, vocab_size/.test(error.message) &&
      /hidden is needed: one of word_embed_proj_dim, hidden_size, n_embd, d_model, dim/.test(
        error.message,
      ),
  );
  assert.throws(() => parseModelConfig(bare, { vocab: 100 }), /^ConfigError: hidden is needed/);
  assert.equal(parseModelConfig(bare, { vocab: 100, hidden: 8 }).vocab, 100);
});

Deno.test("values that no config can have are refused by key and value", () => {
  const cases: [Record<string, unknown>, RegExp][] = [
    [{ vocab_size: "many", hidden_size: 4 }, /vocab_size "many": must be a positive whole number/],
    [
      { vocab_size: 1e18, hidden_size: 4 },
      /vocab_size 1000000000000000000: must be at most 2147483647/,
    ],
    [{ vocab_size: 9, hidden_size: 2 ** 31 }, /hidden_size 2147483648: must be at most 2147483647/],
    [{ vocab_size: 0, hidden_size: 4 }, /vocab_size 0: must be a positive whole number/],
    [{ text_config: { vocab_size: 1.5 } }, /text_config\.vocab_size 1\.5: /],
    [{ vocab_size: 5, hidden_size: 4, logits_scaling: 0 }, /logits_scaling 0: must not be 0/],
    [{ vocab_size: 5, hidden_size: 4, logit_scale: "half" }, /logit_scale "half": /],
  ];
  for (const [config, message] of cases) {
    assert.throws(() => parseModelConfig(config), message);
  }
});

Deno.test("parts that nest without end are refused", () => {
  let config: Record<string, unknown> = { vocab_size: 10, hidden_size: 4 };
  for (let depth = 0; depth < 100_000; depth++) config = { text_config: config };
  assert.throws(() => parseModelConfig(config), /deeper than any config's parts do/);
});

Deno.test("plan files are no model configs", () => {
  for (const plan of [{ vocab: 10, hidden: 4 }, { model: "gemma-2-2b" }, {}, [], null, "x"]) {
    assert(!isModelConfig(plan), JSON.stringify(plan));
  }
});

/** As published: only what differs from the families' defaults is written. */
const GEMMA_3_4B_IT = {
  architectures: ["Gemma3ForConditionalGeneration"],
  model_type: "gemma3",
  text_config: {
    hidden_size: 2560,
    intermediate_size: 10240,
    model_type: "gemma3_text",
    num_hidden_layers: 34,
    rope_scaling: { factor: 8.0, rope_type: "linear" },
    sliding_window: 1024,
  },
  torch_dtype: "bfloat16",
  vision_config: { hidden_size: 1152, model_type: "siglip_vision_model" },
};
const LLAVA_1_5 = {
  architectures: ["LlavaForConditionalGeneration"],
  model_type: "llava",
  text_config: {
    architectures: ["LlamaForCausalLM"],
    model_type: "llama",
    torch_dtype: "float16",
    vocab_size: 32064,
  },
  tie_word_embeddings: false,
  torch_dtype: "float16",
  vision_config: { hidden_size: 1024, model_type: "clip_vision_model", vocab_size: 32000 },
};

Deno.test("sizes that a published config leaves out are its family's, and said to be", () => {
  const gemma = parseModelConfig(GEMMA_3_4B_IT);
  assert.deepEqual([gemma.vocab, gemma.hidden, gemma.dtype, gemma.tied], [
    262208,
    2560,
    "bf16",
    true,
  ]);
  assert.match(gemma.notes.join(), /vocab 262208 is the default of gemma3_text/);
  const llava = parseModelConfig(LLAVA_1_5);
  assert.deepEqual([llava.vocab, llava.hidden, llava.dtype, llava.tied], [
    32064,
    4096,
    "f16",
    false,
  ]);
  assert.match(llava.notes.join(), /hidden 4096 is the default of llama/);
  assert.deepEqual(parseModelConfig(LLAVA_1_5, { hidden: 5120 }).notes, []);
});

Deno.test("the head of an OPT that projects its states is as wide as the projection", () => {
  const opt = { model_type: "opt", hidden_size: 1024, word_embed_proj_dim: 512, vocab_size: 50272 };
  const { hidden, tied } = parseModelConfig(opt);
  assert.deepEqual([hidden, tied], [512, true]);
});

const DTYPES: readonly [Record<string, unknown>, string | undefined][] = [
  [{ torch_dtype: "bfloat16" }, "bf16"],
  [{ dtype: "float16" }, "f16"],
  [{ torch_dtype: "torch.float32" }, "f32"],
  [{ torch_dtype: "bfloat16", text_config: { torch_dtype: "float32" } }, "bf16"],
  [{ text_config: { dtype: "float16" } }, "f16"],
  [{ torch_dtype: "float16", text_config: {} }, "f16"],
  [{ torch_dtype: "auto" }, undefined],
  [{ torch_dtype: null }, undefined],
  [{ torch_dtype: "constructor" }, undefined],
  [{ torch_dtype: "float8_e4m3fn" }, undefined],
];
for (const [config, dtype] of DTYPES) {
  Deno.test(`the type of ${JSON.stringify(config)} is ${dtype}`, () => {
    const head = parseModelConfig({ vocab_size: 10, hidden_size: 4, ...config });
    assert.equal(head.dtype, dtype);
    assert.equal(head.notes.length, /float8|constructor/.test(String(config.torch_dtype)) ? 1 : 0);
  });
}

Deno.test("where no level states a tie, the family's default does; of two that disagree, none", () => {
  const tied = (config: Record<string, unknown>) =>
    parseModelConfig({ vocab_size: 10, hidden_size: 4, ...config }).tied;
  assert.equal(tied({ model_type: "llama" }), false);
  assert.equal(tied({ model_type: "llama", tie_word_embeddings: true }), true);
  assert.equal(tied({ model_type: "gpt2" }), true);
  assert.equal(tied({ model_type: "phi" }), false);
  assert.equal(tied({ model_type: "constructor" }), undefined);
  const split = { model_type: "llama", tie_word_embeddings: true };
  assert.equal(tied({ ...split, text_config: { tie_word_embeddings: false } }), undefined);
});

Deno.test("a part that leaves out a cap or a scale has its family's, and one that denies it has none", () => {
  // As PaliGemma-2 has it: what equals the class's default is not written.
  const part = { model_type: "gemma2", hidden_size: 2304, vocab_size: 257216 };
  const capped = parseModelConfig({ model_type: "paligemma", text_config: part });
  assert.equal(capped.softcap, 30);
  assert.match(capped.notes.join(), /softcap 30 is the default of gemma2/);
  const denied = { ...part, final_logit_softcapping: null };
  assert.equal(parseModelConfig({ text_config: denied }).softcap, undefined);
  const muse = parseModelConfig({ text_config: { model_type: "muse_glimmer_text" } });
  const { softcap, logitScale, tied, vocab, hidden } = muse;
  assert.deepEqual([softcap, logitScale, tied, vocab, hidden], [
    20,
    0.19611613513818404,
    false,
    202048,
    6656,
  ]);
});

import assert from "node:assert/strict";
import { parseProblem } from "../problem.ts";
import { findModel, MODELS } from "./catalogue.ts";
import { headSettings } from "./head.ts";

Deno.test("names are kebab-case and unique, and every row has a source", () => {
  const names = MODELS.map(({ name }) => name);
  assert.equal(new Set(names).size, names.length);
  for (const { name, source } of MODELS) {
    assert.match(name, /^[a-z0-9.]+(-[a-z0-9.]+)*$/);
    assert(source.length > 0, name);
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
  ["command-r-plus", 256000, 12288, { logitScale: 0.0625, tied: true }],
  ["gpt-oss-20b", 201088, 2880, { tied: false }],
  ["glm-4-9b", 151552, 4096, { tied: false }],
  ["granite-3-8b", 49159, 4096, { logitScale: 0.0625, tied: true }],
  ["muse-glimmer", 202048, 6656, { logitScale: 0.196, softcap: 20 }],
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

Deno.test("every row makes a problem, and says nothing that it does not know", () => {
  for (const model of MODELS) {
    const settings = headSettings(model);
    const problem = parseProblem(settings as { vocab: number; hidden: number });
    assert.equal(problem.softcap, model.softcap);
    assert.equal(problem.logitScale, model.logitScale ?? 1);
    assert(!("tied" in settings) && !("tokenizer" in settings));
    assert(model.tokenizer === undefined || model.tokenizer < model.vocab, model.name);
  }
});

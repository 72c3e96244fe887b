import assert from "node:assert/strict";
import { familyDefaults, KNOWN_FAMILIES } from "./hf_defaults.ts";

/** `tie_word_embeddings` of the classes of transformers 5.18.0, written down apart from the table. */
const TIES: Readonly<Record<string, boolean>> = {
  ...{ bloom: true, codegen: false, cohere: true, cohere2: true, deepseek_v2: false },
  ...{ deepseek_v3: false, ernie4_5: true, exaone4: false, falcon: true, falcon_h1: false },
  ...{ gemma: true, gemma2: true, gemma3_text: true, gemma3n_text: true, gemma4_text: true },
  ...{ glm: false, glm4: false, glm4_moe: false, gpt2: true, gpt_bigcode: true, gpt_neo: true },
  ...{ gpt_neox: false, gpt_oss: false, gptj: false, granite: false, granitemoe: false },
  ...{ hyperclovax: false, internlm2: false, llama: false, llama4_text: false, longt5: true },
  ...{ mamba: true, ministral: false, mistral: false, mixtral: false, mpt: true },
  ...{ muse_glimmer_text: false, nanochat: false, nemotron: false, olmo: false, olmo2: false },
  ...{ olmo3: false, opt: true, persimmon: false, phi: false, phi3: false, qwen2: false },
  ...{ qwen2_moe: false, qwen3: false, qwen3_moe: false, recurrent_gemma: true, smollm3: true },
  ...{ stablelm: false, starcoder2: true, switch_transformers: true, t5: true },
  ...{ vaultgemma: true, xlstm: false },
};

Deno.test("each family's tie is that of its class, and it has the class's address", () => {
  assert.deepEqual(KNOWN_FAMILIES.toSorted(), Object.keys(TIES).toSorted());
  for (const [family, tied] of Object.entries(TIES)) {
    const defaults = familyDefaults(family)!;
    assert.equal(defaults.tied, tied, family);
    assert.match(defaults.source, /^https:\/\/github\.com\/.*\/config(uration)?_\w+\.py$/);
  }
  assert.match(familyDefaults("llama4_text")!.source, /\/llama4\/configuration_llama4\.py$/);
  assert.equal(familyDefaults("constructor"), undefined);
});

/** Sizes, caps and scales of the same classes. */
const FIGURES: readonly [string, Record<string, number | undefined>][] = [
  ["llama", { vocab: 32000, hidden: 4096, softcap: undefined }],
  ["mistral", { vocab: 32000, hidden: 4096 }],
  ["qwen2", { vocab: 151936, hidden: 4096 }],
  ["gemma", { vocab: 256000, hidden: 3072, softcap: undefined }],
  ["gemma2", { vocab: 256000, hidden: 2304, softcap: 30 }],
  ["gemma3_text", { vocab: 262208, hidden: 2304, softcap: undefined }],
  ["gemma3n_text", { vocab: 262400, hidden: 2048, softcap: 30 }],
  ["gemma4_text", { vocab: 262144, hidden: 2304, softcap: undefined }],
  ["cohere", { logitScale: 0.0625 }],
  ["cohere2", { logitScale: 0.0625 }],
  ["nanochat", { softcap: 15 }],
  ["recurrent_gemma", { softcap: 30 }],
  ["vaultgemma", { softcap: 30 }],
  ["xlstm", { softcap: 30 }],
];
for (const [family, figures] of FIGURES) {
  Deno.test(`${family}'s class says ${JSON.stringify(figures)}`, () => {
    const defaults = familyDefaults(family)!;
    for (const [name, value] of Object.entries(figures)) {
      assert.equal(defaults[name as keyof typeof defaults], value, name);
    }
  });
}

Deno.test("only the families whose code gives the head a bias have one", () => {
  const biased = KNOWN_FAMILIES.filter((family) => familyDefaults(family)!.bias);
  assert.deepEqual(biased.toSorted(), ["codegen", "gptj", "phi"]);
});

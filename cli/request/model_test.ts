import assert from "node:assert/strict";
import { MODELS } from "../../planner/models/catalogue.ts";
import { EXIT } from "../exit.ts";
import { lce, withFile } from "../testing.ts";

async function planned(...args: string[]) {
  const { code, out, err } = await lce("plan", "--json", ...args);
  assert.equal(code, EXIT.ok, err);
  return JSON.parse(out);
}

Deno.test("--model fills in what the model says, and the plan names it", async () => {
  const { model, problem } = await planned("--model", "gemma-2-2b");
  assert.deepEqual([problem.vocab, problem.hidden, problem.softcap], [256000, 2304, 30]);
  assert.equal(model.name, "gemma-2-2b");
  assert.equal(model.tied, true);
  const command = await planned("--model", "command-r");
  assert.equal(command.problem.logitScale, 0.0625);
  const { out: untyped } = await lce("plan", "--model", "command-r");
  assert.match(untyped, /^command-r; no storage type published, planned in f32; /);
  const { out } = await lce("plan", "--model", "qwen3-0.6b");
  assert.match(
    out,
    /^qwen3-0.6b; bf16 as published; 293 of 151936 rows are padding or reserved; tied head/,
  );
  const { out: tied } = await lce("plan", "--model", "gemma-2-2b");
  assert.match(
    tied,
    /^gemma-2-2b; bf16 as published; softcap 30; tied head: the weight is the input embedding too/,
  );
});

Deno.test("a plan without a model says nothing of one", async () => {
  assert(!("model" in await planned("--vocab", "1000", "--hidden", "64")));
});

Deno.test("flags win over a plan file, and a plan file over the model", async () => {
  await withFile("model: gemma-2-2b\nhidden: 512\nvocab: 9000\n", async (path) => {
    const file = (await planned("--config", path)).problem;
    assert.deepEqual([file.vocab, file.hidden, file.softcap], [9000, 512, 30]);
    const flag = (await planned("--config", path, "--vocab", "7000", "--softcap", "5")).problem;
    assert.deepEqual([flag.vocab, flag.hidden, flag.softcap], [7000, 512, 5]);
    const other = await planned("--config", path, "--model", "command-r");
    assert.equal(other.model.name, "command-r");
    assert.deepEqual([other.problem.hidden, other.problem.logitScale], [512, 0.0625]);
  });
});

Deno.test("padding is of the model's rows, and not said of others", async () => {
  const { out } = await lce("plan", "--model", "qwen3-0.6b", "--vocab", "151643");
  assert.doesNotMatch(out, /padding/);
});

Deno.test("a model that is not known is met with suggestions", async () => {
  const flag = await lce("plan", "--model", "gemma-2-2bb");
  assert.equal(flag.code, EXIT.usage);
  assert.match(flag.err, /--model: there is no model "gemma-2-2bb". Did you mean gemma-2-2b/);
  await withFile("model: lama-3.1-8b\n", async (path) => {
    const { code, err } = await lce("plan", "--config", path);
    assert.equal(code, EXIT.input);
    assert(
      err.includes(`${path}: model: there is no model "lama-3.1-8b". Did you mean llama-3`),
      err,
    );
  });
  const shown = await lce("model", "phi4");
  assert.equal(shown.code, EXIT.usage);
  assert.match(shown.err, /Did you mean phi-4/);
});

const CONFIG = {
  architectures: ["GraniteForCausalLM"],
  model_type: "granite",
  vocab_size: 49155,
  hidden_size: 4096,
  logits_scaling: 16.0,
  tie_word_embeddings: true,
};

Deno.test("--config takes a model's config.json by its content, whatever its name", async () => {
  for (const suffix of [".json", ".yaml", ""]) {
    await withFile(JSON.stringify(CONFIG), async (path) => {
      const { model, problem } = await planned("--config", path, "--tokens", "64");
      assert.deepEqual(
        [problem.tokens, problem.vocab, problem.hidden, problem.logitScale],
        [64, 49155, 4096, 0.0625],
      );
      assert.deepEqual([model.name, model.source, model.tied], ["granite", path, true]);
    }, suffix);
  }
});

Deno.test("a config without the needed keys is an input error, unless flags have them", async () => {
  const { vocab_size: _, hidden_size: _h, ...bare } = CONFIG;
  await withFile(JSON.stringify(bare), async (path) => {
    const { code, err } = await lce("plan", "--config", path);
    assert.equal(code, EXIT.input);
    assert(err.includes(path), err);
    assert.match(err, /vocab is needed: one of padded_vocab_size, vocab_size/);
    assert.match(err, /hidden is needed: one of word_embed_proj_dim, hidden_size, n_embd/);
    assert.match(err, /--vocab and --hidden can say it instead/);
    const { problem } = await planned("--config", path, "--vocab", "100", "--hidden", "8");
    assert.deepEqual([problem.vocab, problem.logitScale], [100, 0.0625]);
  });
  await withFile(JSON.stringify({ ...CONFIG, vocab_size: -3 }), async (path) => {
    const { code, err } = await lce("plan", "--config", path);
    assert.equal(code, EXIT.input);
    assert(err.includes(`${path}: vocab_size -3: must be a positive whole number`), err);
  });
  await withFile(JSON.stringify({ ...CONFIG, vocab_size: 2 ** 40 }), async (path) => {
    const { code, err } = await lce("plan", "--config", path);
    assert.equal(code, EXIT.input);
    assert(err.includes(`${path}: vocab_size 1099511627776: must be at most 2147483647`), err);
  });
});

Deno.test("two models at once are a usage error", async () => {
  await withFile(JSON.stringify(CONFIG), async (path) => {
    const { code, err } = await lce("plan", "--config", path, "--model", "gpt2");
    assert.equal(code, EXIT.usage);
    assert.match(err, /--model gpt2: .* describes a model already/);
    const twice = await lce("plan", "--config", path, "--config", path);
    assert.equal(twice.code, EXIT.usage);
    assert.match(twice.err, /--config .*: .* describes a model already; give one of each kind/);
    await withFile("model: gpt2\n", async (plan) => {
      const both = await lce("plan", "--config", path, "--config", plan);
      assert.equal(both.code, EXIT.usage);
      assert.match(both.err, /names the model gpt2 already/);
      const plans = await lce("plan", "--config", plan, "--config", plan);
      assert.equal(plans.code, EXIT.usage);
      assert.match(plans.err, /describes a plan already/);
    });
  });
});

Deno.test("a plan file and a model's config go together, in every way of naming the config", async () => {
  const folder = await Deno.makeTempDir();
  try {
    await Deno.writeTextFile(`${folder}/config.json`, JSON.stringify(CONFIG));
    await Deno.writeTextFile(`${folder}/plan.yaml`, "tokens: 32\nsoftcap: 7\n");
    await Deno.writeTextFile(
      `${folder}/named.yaml`,
      "tokens: 32\nsoftcap: 7\nmodel: ./config.json\n",
    );
    const [config, plan] = [`${folder}/config.json`, `${folder}/plan.yaml`];
    for (
      const args of [
        ["--config", config, "--config", plan],
        ["--config", plan, "--config", config],
        ["--config", plan, "--config", folder],
        ["--config", plan, "--model", config],
        ["--config", plan, "--model", `${folder}/`],
        ["--config", `${folder}/named.yaml`],
      ]
    ) {
      const { model, problem } = await planned(...args);
      assert.deepEqual(
        [problem.tokens, problem.vocab, problem.softcap, problem.logitScale, model.name],
        [32, 49155, 7, 0.0625, "granite"],
        args.join(" "),
      );
    }
    const none = await lce("plan", "--model", plan);
    assert.equal(none.code, EXIT.input);
    assert.match(none.err, /plan.yaml is no model's config/);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("a model is planned in its published type, unless a flag or a file says otherwise", async () => {
  await withFile(JSON.stringify({ ...CONFIG, torch_dtype: "bfloat16" }), async (path) => {
    const { problem, model } = await planned("--config", path);
    assert.deepEqual([problem.dtype, model.dtype], ["bf16", "bf16"]);
    assert.match((await lce("plan", "--config", path)).out, /^granite; bf16 as published; /);
    assert.equal((await planned("--config", path, "--dtype", "f32")).problem.dtype, "f32");
    const { out } = await lce("plan", "--config", path, "--dtype", "f16");
    assert.match(out, /^granite; published in bf16, planned in f16; /);
    await withFile("dtype: f16\n", async (plan) => {
      assert.equal((await planned("--config", path, "--config", plan)).problem.dtype, "f16");
    });
  }, ".json");
});

Deno.test("files that are nearly a map are refused for what they are", async () => {
  const cases: [string, string, RegExp][] = [
    ["a: 1\n---\nb: 2\n", ".yaml", /holds 2 YAML documents, divided by lines of ---/],
    [`{\n  // sizes\n  "vocab": 5, "hidden": 4 /* wide */\n}`, ".json", /JSON with comments/],
    [`{\n  // sizes\n  "vocab": 5 }`, ".yaml", /JSON with comments/],
    [`{"vocab": 5,}`, ".json", /is not JSON: /],
    [`{"vocab": 5, "vocab": 6}`, ".json", /has "vocab" twice/],
    ["vocab: 5\nvocab: 6\n", ".yaml", /neither YAML nor JSON/],
    ["[1]", ".json", /must be a map/],
    ["", ".yaml", /must be a map/],
  ];
  for (const [text, suffix, message] of cases) {
    await withFile(text, async (path) => {
      const { code, err } = await lce("plan", "--config", path);
      assert.equal(code, EXIT.input, text);
      assert.match(err, message);
      assert(err.includes(path));
    }, suffix);
  }
  for (const value of ["[".repeat(5e4) + "]".repeat(5e4), "1e999", "&a [*a]"]) {
    await withFile(`{"vocab": ${value}, "hidden": 4}`, async (path) => {
      const { code, err } = await lce("plan", "--config", path);
      assert.equal(code, EXIT.input, err);
      assert.match(err, /vocab (\[{80}\.\.\.|Infinity|a value that holds itself): /);
      assert(err.length < 300, err);
    });
  }
  await withFile(`{vocab: 500, hidden: "8 wide"}`, async (path) => {
    assert.match((await lce("plan", "--config", path)).err, /hidden "8 wide": must be a number/);
  });
  await withFile(`{"vocab": 500, "hidden": 8, "device": "a//b.json"}`, async (path) => {
    assert.doesNotMatch((await lce("plan", "--config", path)).err, /comments/);
  }, ".json");
});

Deno.test("lce model lists the catalogue and shows a row with its source", async () => {
  const { code, out } = await lce("model");
  assert.equal(code, EXIT.ok);
  assert.equal(out.trim().split("\n").length, MODELS.length + 1);
  assert.match(out, /^command-r +256000 +8192 +0.0625 +tied$/m);
  assert.deepEqual(JSON.parse((await lce("model", "--json")).out), MODELS);
  const { out: row } = await lce("model", "gemma-2-2b");
  assert.match(
    row,
    /softcap +30\n[\s\S]*weight +1.10 GiB in bf16\nsource +https:\/\/huggingface.co\/google\/gemma-2-2b-it\//,
  );
  const json = JSON.parse((await lce("model", "gemma-2-2b", "--json")).out);
  assert.equal(json.hidden, 2304);
});

Deno.test("a plan file that names a model's file that is not there is named itself", () =>
  withFile("model: /nowhere/config.json\n", async (path) => {
    const { code, err } = await lce("plan", "--config", path);
    assert.equal(code, EXIT.input);
    assert(err.includes(`${path} names the model /nowhere/config.json: `), err);
  }));

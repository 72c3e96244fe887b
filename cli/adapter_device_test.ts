/** Adapters from PEFT's folders, beside the gradients of the whole head in float64. */
import assert from "node:assert/strict";
import { decodeElements, encodeElements } from "../fixtures/elements.ts";
import { openCheckpoint } from "../fixtures/files/checkpoint.ts";
import { floats, SafetensorsFile, writeSafetensors } from "../fixtures/files/safetensors.ts";
import { held } from "../fixtures/fixture.ts";
import { Random } from "../fixtures/random.ts";
import { computeReference } from "../fixtures/reference/reference.ts";
import { STORED } from "../fixtures/safetensors_header.ts";
import { withFolder } from "../fixtures/testing.ts";
import { headOf } from "../planner/problem.ts";
import { EXIT } from "./exit.ts";
import { lce } from "./testing.ts";

const [TOKENS, HIDDEN, VOCAB, RANK] = [19, 12, 101, 3];
const NAMES = ["lora_A", "lora_B"].map((which) => `base_model.model.lm_head.${which}.weight`);

/** Writes an adapter as PEFT does; returns what it adds to the weight, in float64, and its parts. */
async function adapterFolder(
  folder: string,
  config: Readonly<Record<string, unknown>>,
  scale: number,
  dtype: "f32" | "bf16" = "f32",
) {
  const random = new Random(5);
  const of = (rows: number, columns: number, by: number) => {
    const values = Float32Array.from({ length: rows * columns }, () => by * random.normal());
    const bytes = encodeElements(dtype, values);
    return {
      values: decodeElements(dtype, bytes),
      stored: { dtype: STORED[dtype], shape: [rows, columns], bytes },
    };
  };
  const [a, b] = [of(RANK, HIDDEN, HIDDEN ** -0.5), of(VOCAB, RANK, 0.3)];
  await Deno.mkdir(folder);
  await Deno.writeTextFile(`${folder}/adapter_config.json`, JSON.stringify(config));
  await writeSafetensors(`${folder}/adapter_model.safetensors`, {
    [NAMES[0]!]: a.stored,
    [NAMES[1]!]: b.stored,
    "base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight": a.stored,
  });
  const added = (id: number, d: number) => {
    let sum = 0;
    for (let r = 0; r < RANK; r++) sum += b.values[id * RANK + r]! * a.values[r * HIDDEN + d]!;
    return scale * sum;
  };
  return { a: a.values, b: b.values, added };
}

const CONFIG = { peft_type: "LORA", r: RANK, lora_alpha: 6, target_modules: ["lm_head"] };

Deno.test("lce run trains PEFT's adapter of a head alone, and writes the gradients of A and B", () =>
  withFolder(async (folder) => {
    const model = `${folder}/model`;
    const sizes = ["--tokens", `${TOKENS}`, "--hidden", `${HIDDEN}`, "--vocab", `${VOCAB}`];
    await lce(
      ...["fixture", "make", model, ...sizes, "--dtype", "f32", "--bias"],
      ...["--tensor-name", "lm_head.weight"],
    );
    const variants = [
      [CONFIG, 2],
      [{ ...CONFIG, r: 8, rank_pattern: { lm_head: RANK }, use_rslora: true }, 6 / Math.sqrt(RANK)],
    ] as const;
    for (const [index, [config, scale]] of variants.entries()) {
      const path = `${folder}/adapter${index}`;
      const { a, b, added } = await adapterFolder(path, config, scale);
      const output = `${folder}/found${index}.safetensors`;
      const { code, out, err } = await lce(
        ...["run", model, "--adapter", path, "--pass", "train", "--output", output, "--json"],
        ...(index === 1 ? ["--weights", "streamed"] : []),
      );
      assert.equal(code, EXIT.ok, err + out);
      const [run] = JSON.parse(out);
      assert(run.memory.ok && run.host.ok && run.agreement.coverage.complete);
      const names = run.agreement.checks.map(({ name }: { name: string }) => name);
      for (const name of ["gradHidden", "gradWeight", "gradLoraA"]) assert(names.includes(name));
      assert(!names.includes("gradBias"));

      // By the chain rule from the gradient of the whole weight, W + s B A.
      const whole = await held(await openCheckpoint(model));
      const weight = decodeElements("f32", whole.tensors.weight)
        .map((value, at) => value + added(Math.floor(at / HIDDEN), at % HIDDEN));
      const { gradWeight, loss } = await computeReference({
        ...whole,
        problem: { ...whole.problem, pass: "train" },
        tensors: { ...whole.tensors, weight: encodeElements("f32", weight) },
      });
      assert(Math.abs(run.loss - loss!) < 1e-5);
      const [gradA, gradB] = [new Float64Array(RANK * HIDDEN), new Float64Array(VOCAB * RANK)];
      gradWeight!.forEach((by, at) => {
        const [id, d] = [Math.floor(at / HIDDEN), at % HIDDEN];
        for (let r = 0; r < RANK; r++) {
          gradA[r * HIDDEN + d]! += scale * b[id * RANK + r]! * by;
          gradB[id * RANK + r]! += scale * a[r * HIDDEN + d]! * by;
        }
      });
      const file = await SafetensorsFile.open(output);
      const wanted = { grad_lora_A: gradA, grad_lora_B: gradB };
      for (const [name, expected] of Object.entries(wanted)) {
        const tensor = await file.read(name);
        assert.deepEqual(
          tensor.shape,
          { grad_lora_A: [RANK, HIDDEN], grad_lora_B: [VOCAB, RANK] }[name],
        );
        const found = floats(tensor, name);
        const off = Math.hypot(...expected.map((value, at) => value - found[at]!));
        assert(off < 1e-5 * Math.hypot(...expected), `${name}: ${off}`);
      }
      for (const gone of ["grad_hidden", "grad_weight", "grad_bias"]) assert(!file.has(gone));
    }
  }));

Deno.test("an adapter keeps a head's 16 bits where it is stored in them, and else widens all", () =>
  withFolder(async (folder) => {
    const model = `${folder}/model`;
    const sizes = ["--tokens", `${TOKENS}`, "--hidden", `${HIDDEN}`, "--vocab", `${VOCAB}`];
    await lce("fixture", "make", model, ...sizes, "--dtype", "bf16");
    for (const dtype of ["bf16", "f32"] as const) {
      await adapterFolder(`${folder}/${dtype}`, CONFIG, 2, dtype);
      const { code, out, err } = await lce(
        "run",
        model,
        "--adapter",
        `${folder}/${dtype}`,
        "--json",
      );
      assert.equal(code, EXIT.ok, err);
      assert.equal(JSON.parse(out)[0].problem.heads[0].dtype, dtype);
      assert.match(err, dtype === "bf16" ? /are rounded to bf16/ : /widened to f32/);
    }
    const plain = headOf((await openCheckpoint(model)).problem);
    assert.equal(plain.dtype, "bf16");
  }));

const BAD: readonly [string, Readonly<Record<string, unknown>>, RegExp][] = [
  ["is a DoRA", { ...CONFIG, use_dora: true }, /use_dora: only an adapter that is B A/],
  ["is no LoRA", { ...CONFIG, peft_type: "IA3" }, /peft_type IA3: only an adapter/],
  ["says another rank", { ...CONFIG, r: 4 }, /has 3 rows, but .* says rank 4/],
  ["says no rank", { ...CONFIG, r: "x" }, /adapter_config\.json: r /],
  ["is scaled beyond f32", { ...CONFIG, lora_alpha: 1e300 }, /lora_alpha.* more than f32 holds/],
];
for (const [what, config, message] of BAD) {
  Deno.test(`an adapter that ${what} is refused with exit code 4`, () =>
    withFolder(async (folder) => {
      await adapterFolder(`${folder}/adapter`, config, 2);
      const { code, err } = await lce("run", "--adapter", `${folder}/adapter`);
      assert.equal(code, EXIT.input, err);
      assert.match(err, message);
    }));
}

Deno.test("an adapter that is not there is named as it was given", async () => {
  const { code, err } = await lce("run", "--adapter", "no/where.safetensors");
  assert.equal(code, EXIT.input, err);
  assert.equal(err, "lce: no/where.safetensors does not exist\n");
});

Deno.test("an adapter of another head, and one of other layers alone, are refused", () =>
  withFolder(async (folder) => {
    await adapterFolder(`${folder}/adapter`, CONFIG, 2);
    const other = await lce("run", "--adapter", `${folder}/adapter`);
    assert.equal(other.code, EXIT.input, other.err);
    assert.match(other.err, /is of 101 ids and 12 columns, the head has 5003 and 128/);
    await writeSafetensors(`${folder}/adapter/adapter_model.safetensors`, {
      "base_model.model.model.embed_tokens.lora_embedding_A": {
        dtype: "F32",
        shape: [1, 1],
        bytes: new Uint8Array(4),
      },
    });
    const none = await lce("run", "--adapter", `${folder}/adapter`);
    assert.equal(none.code, EXIT.input, none.err);
    assert.match(none.err, /has no adapter of the head, such as base_model.model.lm_head.lora_A/);
  }));

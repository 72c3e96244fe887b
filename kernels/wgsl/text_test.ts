import assert from "node:assert/strict";
import { coefficients, crossEntropy } from "../../planner/objective.ts";
import { WGSL } from "./arithmetic.ts";
import { comment, kernel, literal, minus, modulo, over, plus, scaled } from "./text.ts";

Deno.test("literal() writes f32 values that WGSL reads back exactly", () => {
  assert.equal(literal(2), "2f");
  assert.equal(literal(-0.5), "(-0.5f)");
  assert.equal(literal(0.1), "0.10000000149011612f");
  assert.equal(literal(1e-9), "9.999999717180685e-10f");
});

Deno.test("WGSL drops terms that are zero", () => {
  assert.equal(WGSL.add("0f", "x"), "x");
  assert.equal(WGSL.sub("x", "0f"), "x");
  assert.equal(WGSL.sub("0f", "x"), "-x");
  assert.equal(WGSL.mul("x", "0f"), "0f");
  assert.equal(WGSL.mul("1f", "x"), "x");
});

Deno.test("WGSL keeps the order of sums and products, and folds signs", () => {
  const { add, sub, mul } = WGSL;
  const m = WGSL.literal(-0.5);
  assert.equal(mul(m, "x"), "-0.5f * x");
  assert.equal(add("y", mul(m, "x")), "y - 0.5f * x");
  assert.equal(sub("y", mul(m, "x")), "y + 0.5f * x");
  assert.equal(mul(mul(m, "x"), m), "0.5f * x * 0.5f");
  assert.equal(mul("x", mul("y", "z")), "x * (y * z)");
  assert.equal(mul(add("x", "y"), sub("0f", "z[i - 1u]")), "-(x + y) * z[i - 1u]");
  assert.equal(add("x", sub("y", "z")), "x + (y - z)");
  assert.equal(sub("x", add("y", "z")), "x - (y + z)");
  assert.equal(sub("0f", add("y", "z")), "-(y + z)");
  assert.equal(sub("0f", sub(m, "z")), "-(-0.5f - z)");
  assert.equal(mul("1f / bitcast<f32>(w[1u])", m), "-1f / bitcast<f32>(w[1u]) * 0.5f");
});

Deno.test("plain cross-entropy becomes plain shader text", () => {
  const { loss, derivatives } = crossEntropy(
    WGSL,
    { logprob: "logprob", lse: "lse", entropy: "h", smoothed: "s", targetWeight: "1f" },
    { nllScale: "1f", zScale: "1f", upstream: "g" },
    { labelSmoothing: 0, zLoss: 0, vocab: 5 },
  );
  assert.equal(loss, "-logprob");
  assert.deepEqual(
    coefficients(WGSL, { lse: "lse", entropy: "h" }, derivatives, "u"),
    { a: "g", b: "-g", c: "0f", d: "0f" },
  );
});

Deno.test("indices are written without the arithmetic of zeros and ones", () => {
  assert.equal(plus("x", 0), "x");
  assert.equal(plus(3, "x", 4, "y"), "x + y + 7u");
  assert.equal(plus(0), "0u");
  assert.equal(plus("x", "0u"), "x");
  assert.equal(minus("x", 0), "x");
  assert.equal(minus("x", 2), "x - 2u");
  assert.equal(scaled("x", 1), "x");
  assert.equal(scaled("x", 0), "0u");
  assert.equal(scaled(3, 4), "12u");
  assert.equal(over("x", 1), "x");
  assert.equal(over(13, 4), "3u");
  assert.equal(modulo("x", 1), "0u");
  assert.equal(modulo(13, 4), "1u");
  assert.equal(over("8u * x + 7u", 4), "x * 2u + 1u");
  assert.equal(over("4u * x", 4), "x");
  assert.equal(over("4u * x", 8), "(4u * x) / 8u");
  assert.equal(modulo("8u * x + 7u", 4), "3u");
  assert.equal(modulo("4u * x", 4), "0u");
});

Deno.test("indices keep their meaning in products: sums get parentheses, calls and elements none", () => {
  assert.equal(scaled("x + 1u", 4), "(x + 1u) * 4u");
  assert.equal(over("min(x, y + 1u)", 4), "min(x, y + 1u) / 4u");
  assert.equal(modulo("kept[x + 1u]", 4), "kept[x + 1u] % 4u");
});

Deno.test("comment() breaks what is longer than a line, and loses no word", () => {
  const words = Array.from({ length: 60 }, (_, index) => `word${index}`).join(" ");
  const lines = comment(words).split("\n");
  assert(lines.length > 1 && lines.every((line) => line.length <= 100 && line.startsWith("// ")));
  assert.equal(lines.map((line) => line.slice(3)).join(" "), words);
});

Deno.test("kernel() has one header for all, and none without a type for each slot", () => {
  const dispatch = {
    kind: "dispatch",
    kernel: "reduce",
    grid: [1, 1],
    bindings: [{ slot: "loss", access: "read_write", slice: { buffer: "b", offset: 0, bytes: 4 } }],
    params: 0,
    flops: 0,
    workgroupFlops: 0,
    traffic: 8,
  } as const;
  const parts = { title: "t.", workgroup: 4, builtins: ["lane"], body: ["return;"] } as const;
  const text = kernel(dispatch, { ...parts, enables: ["f16"] });
  assert.match(text, /^\/\/ reduce: t\.\n\nenable f16;\n\nstruct Params \{/);
  assert.match(text, /@binding\(1\) var<storage, read_write> loss: array<f32>;/);
  assert.match(text, /@compute @workgroup_size\(4\)\nfn main\(\n {2}@builtin\(local_invocation/);
  for (const slot of ["weight", "unheard_of"]) {
    // How many elements of a weight a word holds is for the kernel to say.
    const other = { ...dispatch, bindings: [{ ...dispatch.bindings[0], slot }] };
    assert.throws(() => kernel(other, parts), new RegExp(`no type for its slot ${slot}`));
    assert.match(kernel(other, { ...parts, types: { [slot]: "u32" } }), /: array<u32>;/);
  }
});

import assert from "node:assert/strict";
import { parseProblem } from "../problem_schema.ts";
import { type DistillInput, DIVERGENCES, mirrored, withoutEnds } from "./distill.ts";

function distillOf(distill: DistillInput) {
  const heads = [
    { name: "student", hidden: 8, vocab: 40 },
    { name: "teacher", hidden: 16, vocab: 40 },
  ];
  return parseProblem({ tokens: 5, heads, distill }).distill!;
}

Deno.test("a mixture ends where Liger and TRL end it, and is of both halves by default", () => {
  assert.deepEqual(
    distillOf({ divergence: "jsd", beta: 0 }),
    distillOf({ divergence: "forward-kl" }),
  );
  assert.deepEqual(
    distillOf({ divergence: "jsd", beta: 1 }),
    distillOf({ divergence: "reverse-kl" }),
  );
  assert.equal(distillOf({ divergence: "jsd" }).beta, 0.5);
  assert.equal(distillOf({ divergence: "jsd", beta: 0.25 }).beta, 0.25);
  for (const beta of [-0.1, 1.5, NaN]) {
    assert.throws(() => distillOf({ divergence: "jsd", beta }), /beta/);
  }
  assert.throws(
    () => distillOf({ divergence: "forward-kl", beta: 0.5 }),
    /has a beta of 0.5, which only jsd has, not forward-kl/,
  );
});

Deno.test("the mirror of a mirror is the divergence itself", () => {
  for (const divergence of DIVERGENCES) {
    const distill = distillOf({ divergence, ...(divergence === "jsd" ? { beta: 0.25 } : {}) });
    assert.deepEqual(mirrored(mirrored(distill)), withoutEnds(distill));
  }
  assert.equal(mirrored(distillOf({ divergence: "jsd", beta: 0.25 })).beta, 0.75);
});

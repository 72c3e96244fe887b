import assert from "node:assert/strict";
import fc from "fast-check";
import { FLOAT64 } from "../objective.ts";
import { DISTRIBUTIONS, INDICES, mismatch, type Moments, STRENGTHS } from "./fusion.ts";

function softmax(z: readonly number[]): number[] {
  const top = Math.max(...z);
  const shares = z.map((value) => Math.exp(value - top));
  const sum = shares.reduce((a, b) => a + b);
  return shares.map((share) => share / sum);
}

/** `sum p log(p / q)`, straight from its definition. */
function kl(p: readonly number[], q: readonly number[]): number {
  return p.reduce((sum, share, id) => sum + share * Math.log(share / q[id]!), 0);
}

function moments(z: readonly number[], d: readonly number[]): Moments<number> {
  const top = Math.max(...z);
  const lse = top + Math.log(z.reduce((sum, value) => sum + Math.exp(value - top), 0));
  return { lse, mean: softmax(z).reduce((sum, share, id) => sum + share * d[id]!, 0) };
}

Deno.test("the mismatch of a strength is the paper's, of divergences by their definitions", () => {
  const logit = fc.double({ min: -8, max: 8, noNaN: true });
  fc.assert(
    fc.property(
      fc.array(fc.tuple(logit, logit, logit), { minLength: 2, maxLength: 12 }),
      fc.nat(STRENGTHS.length - 1),
      (rows, step) => {
        const [large, expert, base] = [0, 1, 2].map((head) => rows.map((row) => row[head]!)) as [
          number[],
          number[],
          number[],
        ];
        const d = expert.map((value, id) => value - base[id]!);
        const strength = STRENGTHS[step]!;
        const fused = large.map((value, id) => value + strength * d[id]!);
        const [p, q, qt, pt] = [large, base, expert, fused].map(softmax) as number[][];
        const wanted = (kl(pt!, p!) - kl(qt!, q!)) ** 2 + (kl(p!, pt!) - kl(q!, qt!)) ** 2;
        const found = mismatch(FLOAT64, strength, {
          fused: moments(fused, d),
          large: moments(large, d),
          expert: moments(expert, d),
          base: moments(base, d),
        });
        assert(Math.abs(found - wanted) <= 1e-10 * (1 + wanted), `${found}, ${wanted}`);
      },
    ),
    { seed: 5 },
  );
});

Deno.test("the distributions of a search are every fused softmax, the expert's and its base's", () => {
  const [large, expert, base] = [3, 7, 2];
  const logits = DISTRIBUTIONS.map((of) =>
    of.large * large + of.difference * (expert - base) + of.base * base
  );
  assert.equal(logits[INDICES.large], large);
  assert.equal(logits[INDICES.expert], expert);
  assert.equal(logits[INDICES.base], base);
  assert.equal(logits[10], large + expert - base);
  assert.deepEqual([STRENGTHS[0], STRENGTHS[7], STRENGTHS.at(-1)], [0, 0.7, 2]);
});

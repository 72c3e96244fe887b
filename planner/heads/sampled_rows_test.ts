import assert from "node:assert/strict";
import { Random } from "../../fixtures/random.ts";
import { logitGradientNorm, sampleRows } from "./sampled_rows.ts";

const [TOKENS, HIDDEN, VOCAB] = [37, 3, 11];

/** Rows of normal numbers, some of them large. */
function rows(random: Random, count: number, columns: number): number[][] {
  return Array.from({ length: count }, () => {
    const scale = Math.exp(1.5 * random.normal());
    return Array.from({ length: columns }, () => scale * random.normal());
  });
}

const norm = (values: readonly number[]) => Math.hypot(...values);
const logSumExp = (z: readonly number[]) => {
  const top = Math.max(...z);
  return top + Math.log(z.reduce((sum, value) => sum + Math.exp(value - top), 0));
};

const random = new Random(11);
const hidden = rows(random, TOKENS, HIDDEN);
const logits = rows(random, TOKENS, VOCAB);
const tokens = logits.map((z, token) => {
  const target = token % VOCAB;
  const lse = logSumExp(z);
  const dz = z.map((value, id) => Math.exp(value - lse) - (id === target ? 1 : 0));
  const loss = lse - z[target]!;
  return {
    dz,
    loss,
    lse: { once: lse, twice: logSumExp(z.map((value) => 2 * value)) },
    /** The term of this token, `[vocab * hidden]`. */
    term: dz.flatMap((d) => hidden[token]!.map((h) => d * h)),
  };
});
const whole = tokens[0]!.term.map((_, at) => tokens.reduce((sum, { term }) => sum + term[at]!, 0));

Deno.test("a token's norm follows from its loss and two log-sum-exps, and is bounded by its loss", () => {
  for (const { dz, loss, lse } of tokens) {
    const wanted = norm(dz);
    // Rounding of `lse.twice - 2 lse.once` is relative to `Σ p²`, which is below 1.
    assert(Math.abs(logitGradientNorm(loss, lse) ** 2 - wanted ** 2) < 1e-13 * (1 + lse.once ** 2));
    const bound = logitGradientNorm(loss);
    assert(bound >= wanted * (1 - 1e-12) && bound <= Math.SQRT2 * wanted * (1 + 1e-12));
  }
});

for (const exactNorms of [true, false]) {
  Deno.test(`a sampled weight gradient is unbiased, its error what is derived, by ${exactNorms ? "exact norms" : "the bound"}`, () => {
    const norms = tokens.map(({ loss, lse }, token) =>
      logitGradientNorm(loss, exactNorms ? lse : undefined) * norm(hidden[token]!)
    );
    for (const count of [1, 5, 12, 30]) {
      const SEEDS = 4000;
      const mean = whole.map(() => 0);
      let squares = 0;
      let [exact, bound] = [0, 0];
      for (let seed = 0; seed < SEEDS; seed++) {
        const sample = sampleRows(norms, { count, seed });
        assert(sample.rows.length <= count);
        ({ exact, errorBound: bound } = sample);
        const estimate = whole.map(() => 0);
        sample.rows.forEach((token, i) => {
          tokens[token]!.term.forEach((value, at) => estimate[at]! += sample.weights[i]! * value);
        });
        estimate.forEach((value, at) => mean[at]! += value / SEEDS);
        squares += norm(estimate.map((value, at) => value - whole[at]!)) ** 2 / SEEDS;
      }
      // The variance in closed form: that of a draw over the number of draws.
      const order = norms.map((_, token) => token).sort((a, b) => norms[b]! - norms[a]!);
      const rest = order.slice(exact);
      const sum = rest.reduce((total, token) => total + norms[token]!, 0);
      const left = whole.map((_, at) => rest.reduce((s, token) => s + tokens[token]!.term[at]!, 0));
      const second = rest.reduce((s, t) => s + sum * norm(tokens[t]!.term) ** 2 / norms[t]!, 0);
      const variance = (second - norm(left) ** 2) / (count - exact);
      assert(variance <= bound ** 2 * (1 + 1e-12), `${variance} > ${bound ** 2}`);
      // Five standard errors of a mean of SEEDS. A squared error is at most (2 S)²: so is the mean's.
      const off = norm(mean.map((value, at) => value - whole[at]!));
      assert(off < 5 * Math.sqrt(variance / SEEDS), `${count}: mean off by ${off}`);
      const spread = 2 * sum * Math.sqrt(variance / SEEDS);
      assert(Math.abs(squares - variance) < 5 * spread, `${count}: ${squares}, not ${variance}`);
    }
  });
}

Deno.test("what is drawn is as often drawn as its norm says, and what has none never", () => {
  const norms = [0, 3, 1, 0, 2, 4, 0];
  const DRAWS = 20000;
  const found = norms.map(() => 0);
  for (let seed = 0; seed < DRAWS; seed++) {
    const { rows, exact } = sampleRows(norms, { count: 1, seed });
    assert.equal(exact, 0);
    found[rows[0]!]! += 1;
  }
  found.forEach((times, token) => {
    const p = norms[token]! / 10;
    assert(Math.abs(times - p * DRAWS) <= 5 * Math.sqrt(DRAWS * p * (1 - p)), `${token}: ${times}`);
  });
});

Deno.test("few terms are all taken, and what cannot be sampled is refused", () => {
  const all = sampleRows([0, 2, 1], { count: 2, seed: 1 });
  assert.deepEqual([[...all.rows], [...all.weights], all.errorBound], [[1, 2], [1, 1], 0]);
  assert.equal(sampleRows([0, 0], { count: 1, seed: 1 }).rows.length, 0);
  assert.throws(() => sampleRows([1], { count: 0, seed: 1 }), /Cannot choose 0 tokens/);
  assert.throws(() => sampleRows([1, NaN], { count: 1, seed: 1 }), /Token 1 cannot have the norm/);
});

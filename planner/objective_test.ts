import assert from "node:assert/strict";
import fc from "fast-check";
import { coefficients, crossEntropy, FLOAT64, type TokenStatistics } from "./objective.ts";

const SEED = { seed: 11, numRuns: 50 };

/** Returns the statistics of a token straight from their definitions. */
function statisticsOf(z: number[], u: number[], y: number): TokenStatistics<number> {
  const lse = Math.log(z.reduce((sum, value) => sum + Math.exp(value), 0));
  const logp = z.map((value) => value - lse);
  return {
    lse,
    logprob: logp[y]!,
    entropy: -logp.reduce((sum, value) => sum + Math.exp(value) * value, 0),
    smoothed: logp.reduce((sum, value, v) => sum + u[v]! * value, 0),
    targetWeight: u[y]!,
  };
}

/** `p (a + c z) + b [v = y] + d u`, as the kernels evaluate it. */
function gradient(
  z: number[],
  u: number[],
  y: number,
  four: ReturnType<typeof coefficients<number>>,
) {
  const { lse } = statisticsOf(z, u, y);
  const { a, b, c, d } = four;
  return z.map((value, v) =>
    Math.exp(value - lse) * (a + c * value) + (v === y ? b : 0) + d * u[v]!
  );
}

function assertMatchesDifferences(f: (z: number[]) => number, z: number[], ours: number[]) {
  const step = 1e-5;
  z.forEach((value, v) => {
    const at = (moved: number) => f(z.with(v, moved));
    const difference = (at(value + step) - at(value - step)) / (2 * step);
    assert(
      Math.abs(difference - ours[v]!) < 1e-7 * (1 + Math.abs(difference)),
      `dz[${v}]: ${ours[v]} by formula, ${difference} by differences`,
    );
  });
}

const token = fc.record({
  z: fc.array(fc.double({ min: -4, max: 4, noNaN: true }), { minLength: 2, maxLength: 9 }),
  pick: fc.nat(),
  smoothing: fc.constantFrom(0, 0.1, 0.7),
  zLoss: fc.constantFrom(0, 1e-3, 0.5),
  nllScale: fc.constantFrom(1, 1 / 7),
  zScale: fc.constantFrom(1, 1 / 5),
  weighted: fc.boolean(),
  upstream: fc.double({ min: -2, max: 2, noNaN: true }),
});

Deno.test("crossEntropy() has the gradient that finite differences find", () => {
  fc.assert(
    fc.property(token, ({ z, pick, smoothing, zLoss, nllScale, zScale, weighted, upstream }) => {
      const y = pick % z.length;
      const u = z.map((_, v) => weighted ? 0.3 + 0.2 * v : 1);
      const options = { labelSmoothing: smoothing, zLoss, vocab: z.length };
      const reduction = { nllScale, zScale, upstream };
      const evaluate = (logits: number[]) =>
        crossEntropy(FLOAT64, statisticsOf(logits, u, y), reduction, options);
      const total = u.reduce((sum, value) => sum + value, 0);
      const four = coefficients(
        FLOAT64,
        statisticsOf(z, u, y),
        evaluate(z).derivatives,
        total,
      );
      assertMatchesDifferences(
        (logits) => upstream * evaluate(logits).share,
        z,
        gradient(z, u, y, four),
      );
    }),
    SEED,
  );
});

Deno.test("crossEntropy() equals PyTorch's definition", () => {
  // cross_entropy([[1, 2, 3]], [0], weight=[1, 2, 4], label_smoothing=0.3, reduction="none"),
  // from the formula in PyTorch's documentation, evaluated by hand in float64.
  const z = [1, 2, 3];
  const lse = Math.log(Math.E + Math.E ** 2 + Math.E ** 3);
  const expected = 0.7 * (lse - 1) + 0.1 * ((lse - 1) + 2 * (lse - 2) + 4 * (lse - 3));
  const { loss } = crossEntropy(
    FLOAT64,
    statisticsOf(z, [1, 2, 4], 0),
    { nllScale: 1, zScale: 1, upstream: 1 },
    { labelSmoothing: 0.3, zLoss: 0, vocab: 3 },
  );
  assert(Math.abs(loss - expected) < 1e-14);
});

Deno.test("coefficients() differentiates any function of logprob, lse and entropy", () => {
  fc.assert(
    fc.property(
      token,
      fc.array(fc.double({ min: -2, max: 2, noNaN: true }), {
        minLength: 3,
        maxLength: 3,
      }),
      ({ z, pick }, [byLogprob, byLse, byEntropy]) => {
        const y = pick % z.length;
        const u = z.map(() => 1);
        const f = (logits: number[]) => {
          const { logprob, lse, entropy } = statisticsOf(logits, u, y);
          return byLogprob! * logprob + byLse! * lse + byEntropy! * entropy;
        };
        const four = coefficients(
          FLOAT64,
          statisticsOf(z, u, y),
          { logprob: byLogprob!, lse: byLse!, entropy: byEntropy!, smoothed: 0 },
          z.length,
        );
        assertMatchesDifferences(f, z, gradient(z, u, y, four));
      },
    ),
    SEED,
  );
});

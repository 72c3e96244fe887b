import assert from "node:assert/strict";
import fc from "fast-check";
import { alignGradients } from "./alignment.ts";

const SEED = { seed: 12 };

/** Elements of two gradients. */
const element = fc.integer({ min: -400, max: 400 }).map((value) => value / 100);
const pairs = fc.array(fc.tuple(element, element), { minLength: 2, maxLength: 20 });

function inner(a: readonly number[], b: readonly number[]): number {
  return a.reduce((sum, value, index) => sum + value * b[index]!, 0);
}

Deno.test("what is against the first gradient is taken from the second alone, by its definition", () => {
  fc.assert(
    fc.property(pairs, (both) => {
      const [g0, g1] = [both.map(([a]) => a), both.map(([, b]) => b)];
      const split = (values: number[]) => [values.slice(0, 1), values.slice(1)];
      const { gradients, inner: found, share } = alignGradients(split(g0), split(g1));
      // DHKD's lines, as they are written there.
      const against = inner(g1, g0);
      const norm = Math.sqrt(inner(g0, g0));
      const rest = against < 0 && norm > 0
        ? g1.map((g, index) => g - against * g0[index]! / norm ** 2)
        : g1;
      const expected = g0.map((g, index) => g + rest[index]!);
      const size = 1 + Math.max(...g0.map(Math.abs), ...g1.map(Math.abs));
      assert(Math.abs(found - against) < 1e-12 * size ** 2);
      gradients.flatMap((values) => [...values]).forEach((value, index) =>
        assert(Math.abs(value - expected[index]!) <= 1e-9 * size, `${value} ${expected[index]}`)
      );
      // What is left of the second no longer points against the first.
      const left = gradients.flatMap((values) => [...values]).map((value, i) => value - g0[i]!);
      assert(inner(left, g0) >= -1e-9 * size ** 2);
      assert.equal(share > 0, against < 0);
    }),
    SEED,
  );
});

Deno.test("gradients of nothing, and of other tensors", () => {
  assert.deepEqual([...alignGradients([[0, 0]], [[-1, 2]]).gradients[0]!], [-1, 2]);
  assert.deepEqual([...alignGradients([[1e-200]], [[-1]]).gradients[0]!], [-1]);
  assert.throws(() => alignGradients([[1]], []), /0 gradients with 1/);
  assert.throws(() => alignGradients([[1, 2]], [[1]]), /of 1 elements, with one of 2/);
});

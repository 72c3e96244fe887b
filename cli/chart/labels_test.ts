import assert from "node:assert/strict";
import fc from "fast-check";
import { spread } from "./labels.ts";

const GAP = 15;
const places = fc.array(fc.integer({ min: 0, max: 600 }), { maxLength: 30 });

Deno.test("labels keep their order, stay apart and stay within bounds", () => {
  fc.assert(fc.property(places, (wanted) => {
    const placed = spread(wanted, GAP, [0, 600]);
    const order = wanted.map((_, index) => index).sort((a, b) => placed[a]! - placed[b]!);
    order.forEach((index, rank) => {
      assert(placed[index]! >= 0 && placed[index]! <= 600);
      const before = order[rank - 1];
      if (before === undefined) return;
      assert(placed[index]! - placed[before]! >= GAP - 1e-9);
      assert(wanted[index]! >= wanted[before]!);
    });
  }));
});

Deno.test("labels that are apart stay where they are, and two at one place part evenly", () => {
  assert.deepEqual(spread([100, 20, 60], GAP, [0, 600]), [100, 20, 60]);
  assert.deepEqual(spread([100, 100], GAP, [0, 600]), [92.5, 107.5]);
  assert.deepEqual(spread([2, 1], GAP, [0, 600]), [15, 0]);
});

Deno.test("no other arrangement is nearer to what was wanted", () => {
  // Brute force over whole pixels, where the best of three labels is easily found.
  const small = fc.tuple(...Array.from({ length: 3 }, () => fc.integer({ min: 0, max: 20 })));
  fc.assert(
    fc.property(small, (wanted) => {
      const distance = (placed: readonly number[]) =>
        placed.reduce((sum, y, index) => sum + (y - wanted[index]!) ** 2, 0);
      const order = [0, 1, 2].sort((a, b) => wanted[a]! - wanted[b]!);
      let least = Infinity;
      for (let a = 0; a <= 30; a++) {
        for (let b = a + 5; b <= 30; b++) {
          for (let c = b + 5; c <= 30; c++) {
            const placed = [0, 0, 0];
            order.forEach((index, rank) => placed[index] = [a, b, c][rank]!);
            least = Math.min(least, distance(placed));
          }
        }
      }
      assert(distance(spread(wanted, 5, [0, 30])) <= least + 1e-9);
    }),
    { numRuns: 30 },
  );
});

import assert from "node:assert/strict";
import { withDevice } from "../../testing/device.ts";
import { Random } from "../../fixtures/random.ts";
import { kMeans, type Rows } from "./k_means.ts";

/** Gives a test a device. */
function rowsOf(values: Float32Array, columns: number): Rows {
  return {
    count: values.length / columns,
    columns,
    read: (first, count) =>
      Promise.resolve(values.slice(first * columns, (first + count) * columns)),
  };
}

/** The nearest code of each row, in float64, and how much further the second is. */
function nearestOf(values: Float32Array, codes: Float32Array, columns: number) {
  return Array.from({ length: values.length / columns }, (_, row) => {
    const distances = Array.from({ length: codes.length / columns }, (_, code) => {
      let sum = 0;
      for (let d = 0; d < columns; d++) {
        sum += (values[row * columns + d]! - codes[code * columns + d]!) ** 2;
      }
      return sum;
    });
    const sorted = distances.toSorted((a, b) => a - b);
    return { distances, gap: (sorted[1] ?? Infinity) - sorted[0]!, least: sorted[0]! };
  });
}

Deno.test("k-means ends where every row is at its nearest code and every code at its rows' mean", async () => {
  const [count, columns, k] = [503, 17, 13];
  const random = new Random(4);
  const values = Float32Array.from({ length: count * columns }, () => random.normal());
  const first = Array.from({ length: k }, (_, code) => code * 31);
  await withDevice(async (acquired) => {
    const rows = rowsOf(values, columns);
    const found = await kMeans(acquired, rows, first, { rounds: 200 });
    assert(found.settled && found.rounds > 2);
    let squaredError = 0;
    nearestOf(values, found.codes, columns).forEach(({ distances, gap, least }, row) => {
      const own = distances[found.map[row]!]!;
      squaredError += own;
      // Of two that f32 cannot tell apart, either will do: x.c - |c|^2 / 2 is of order 10.
      assert(own - least <= 10 * 16 * 2 ** -23, `row ${row}: ${own}, ${least}, gap ${gap}`);
    });
    assert(Math.abs(found.squaredError - squaredError) < 1e-9 * squaredError);
    for (let code = 0; code < k; code++) {
      const own = [...found.map.keys()].filter((row) => found.map[row] === code);
      for (let d = 0; d < columns; d++) {
        const mean = own.reduce((sum, row) => sum + values[row * columns + d]!, 0) / own.length;
        assert.equal(found.codes[code * columns + d], Math.fround(mean));
      }
    }
    const again = await kMeans(acquired, rows, first, { rounds: 200 });
    assert.deepEqual([...again.map], [...found.map], "the same again");
    assert.deepEqual([...again.codes], [...found.codes], "the same again");
    const cut = await kMeans(acquired, rows, first, { rounds: 2 });
    assert(!cut.settled && cut.rounds === 2 && cut.squaredError > found.squaredError);
  });
});

Deno.test("a code that no row is nearest to goes to the row that is furthest from its own", async () => {
  // Two heaps far apart, and two codes that are the same row of one of them.
  const random = new Random(8);
  const [columns, each] = [5, 40];
  const values = Float32Array.from(
    { length: 2 * each * columns },
    (_, at) => (at < each * columns ? 0 : 30) + 0.01 * random.normal(),
  );
  await withDevice(async (acquired) => {
    const found = await kMeans(acquired, rowsOf(values, columns), [3, 3], { rounds: 50 });
    assert.equal(found.reseeded, 1);
    for (const heap of [0, 1]) {
      const own = new Set(found.map.subarray(heap * each, (heap + 1) * each));
      assert.deepEqual([...own], [heap]);
    }
  });
});

Deno.test("fewer different rows than codes leave codes without rows, and no error", async () => {
  const columns = 3;
  const values = Float32Array.from({ length: 20 * columns }, (_, at) => Math.floor(at / 30));
  await withDevice(async (acquired) => {
    const found = await kMeans(acquired, rowsOf(values, columns), [0, 1, 2, 3, 4], { rounds: 9 });
    assert.equal(found.squaredError, 0);
    assert.equal(new Set(found.map).size, 2);
    assert(found.settled);
  });
});

Deno.test("rows go by codes as they will be stored", async () => {
  const columns = 2;
  const random = new Random(5);
  const values = Float32Array.from({ length: 90 * columns }, () => random.normal());
  const stored = (codes: Float32Array) => codes.map((value) => Math.round(4 * value) / 4);
  await withDevice(async (acquired) => {
    const rows = rowsOf(values, columns);
    const { codes, map } = await kMeans(acquired, rows, [0, 9, 20, 55], { rounds: 50, stored });
    assert.deepEqual([...stored(codes)], [...codes]);
    nearestOf(values, codes, columns).forEach(({ distances, least }, row) =>
      assert(distances[map[row]!]! - least < 1e-5)
    );
  });
});

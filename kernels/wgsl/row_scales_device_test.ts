import assert from "node:assert/strict";
import { EMULATED, fromBits, keptBuffer, noise, runAlone, stale } from "../testing/alone.ts";
import { onDevice } from "../../testing/device.ts";

const [TOKENS, HIDDEN, VOCAB] = [5, 24, 11];
const PROBLEM = { tokens: TOKENS, hidden: HIDDEN, vocab: VOCAB, dtype: "bf16" } as const;

/** The number that a bf16 stands for. */
const valueOf = (bits: number) => fromBits((bits << 16) >>> 0);

/** Returns rows of bf16 by their exponents, some of which reach further than halves do. */
function rowsOf(count: number, seed: number): Uint16Array<ArrayBuffer> {
  const shares = noise(count * HIDDEN, seed);
  const reach = [0, 4, 40, 90];
  return Uint16Array.from(shares, (share, at) => {
    const row = Math.floor(at / HIDDEN);
    const size = share * 2 ** (Math.round(reach[row % 4]! * shares[(at * 7) % shares.length]!));
    return new Uint32Array(Float32Array.of(row === 3 ? 0 : size).buffer)[0]! >>> 16;
  });
}

/** What halves are to hold of a row, and how: its power of two, how many values they round, and by how much. */
function expected(row: Uint16Array) {
  const values = Array.from(row, valueOf);
  const largest = Math.max(...values.map(Math.abs));
  const scale = 2 ** (15 - Math.floor(Math.log2(largest)));
  const off = values.map((value) => Math.abs(Math.f16round(value * scale) - value * scale) / scale);
  return {
    scale,
    largest,
    rounded: off.filter((each) => each > 0).length,
    error: off.reduce((sum, each) => sum + each, 0),
  };
}

Deno.test("each row has the power of two that takes it to the top of a half's range", () =>
  onDevice(async (device) => {
    const weight = rowsOf(VOCAB, 1);
    const of = (row: number) => expected(weight.subarray(row * HIDDEN, (row + 1) * HIDDEN));
    // A window of seven rows from the third on, behind the scales of tokens.
    const { scales, halves } = await runAlone(device, {
      kernel: "row-scales",
      problem: PROBLEM,
      dispatch: { tile: EMULATED },
      params: { vocabStart: 2, vocab: 7 },
      grid: [7, 1],
      read: { weight: new Uint32Array(weight.slice(2 * HIDDEN, 9 * HIDDEN).buffer) },
      written: { scales: stale(TOKENS + VOCAB), halves: new Uint32Array(6) },
    });
    let [rounded, error, largest] = [0, 0, 0];
    for (let row = 2; row < 9; row++) {
      if (row === 3) continue;
      assert.equal(scales[TOKENS + row], of(row).scale, `row ${row}`);
      rounded += of(row).rounded;
      error = Math.max(error, of(row).error);
      largest = Math.max(largest, of(row).largest);
    }
    assert(scales.every((scale, at) => scale === 777 || at >= TOKENS + 2 && at < TOKENS + 9));
    assert(rounded > 5 && rounded < 100, `${rounded}`);
    assert.deepEqual([...halves.subarray(0, 4)], [0, 0, 0, rounded]);
    assert.equal(fromBits(halves[5]!), largest);
    const ours = fromBits(halves[4]!);
    assert(Math.abs(ours - error) <= 1e-6 * error, `${ours}, not ${error}`);
  }));

Deno.test("hidden states have scales by the places of kept tokens, and nobody looks at the others", () =>
  onDevice(async (device) => {
    const hidden = rowsOf(TOKENS, 2);
    hidden.fill(0x7fc0, 0, HIDDEN); // the first token is ignored, and is no number
    const kept = [1, 2, 4];
    const of = (row: number) => expected(hidden.subarray(row * HIDDEN, (row + 1) * HIDDEN));
    const { scales, halves } = await runAlone(device, {
      kernel: "row-scales",
      problem: PROBLEM,
      dispatch: { tile: EMULATED },
      grid: [TOKENS, 1],
      read: { kept: keptBuffer(kept, TOKENS), hidden: new Uint32Array(hidden.buffer) },
      written: { scales: stale(TOKENS + VOCAB), halves: new Uint32Array(6) },
    });
    assert.deepEqual([...scales.subarray(0, 4)], [...kept.map((row) => of(row).scale), 777]);
    assert.equal(halves[0], kept.reduce((sum, row) => sum + of(row).rounded, 0));
    assert.deepEqual([...halves.subarray(3)], [0, 0, 0]);
  }));

Deno.test("what is no number, or infinite, is off by more than any number", () =>
  onDevice(async (device) => {
    for (const odd of [0x7fc0, 0x7f80, 0xff80]) {
      const weight = rowsOf(VOCAB, 3).fill(0x3f80, 0, HIDDEN);
      weight[5] = odd;
      const { scales, halves } = await runAlone(device, {
        kernel: "row-scales",
        problem: PROBLEM,
        dispatch: { tile: EMULATED },
        params: { vocab: 1 },
        grid: [1, 1],
        read: { weight: new Uint32Array(weight.buffer) },
        written: { scales: stale(TOKENS + VOCAB), halves: new Uint32Array(6) },
      });
      assert.equal(scales[TOKENS], 2 ** 15);
      assert.deepEqual([halves[3], fromBits(halves[5]!)], [1, 1]);
      assert(fromBits(halves[4]!) > 1e33);
    }
  }));

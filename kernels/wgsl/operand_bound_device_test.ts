/** The largest elements of operands, looked for alone. */
import assert from "node:assert/strict";
import { ROWS_OF_BOUND } from "../../planner/schedule/forward.ts";
import { bits, boundOf, keptBuffer, noise, runAlone } from "../testing/alone.ts";
import { onDevice } from "../../testing/device.ts";

// More rows than one workgroup takes, and not a multiple of them.
const TOKENS = 2 * ROWS_OF_BOUND + 5;
const HIDDEN = 24;
const VOCAB = ROWS_OF_BOUND + 3;
const problem = { tokens: TOKENS, hidden: HIDDEN, vocab: VOCAB } as const;
const KEPT = Array.from({ length: TOKENS }, (_, row) => row).filter((row) => row % 7 !== 3);
const inRows = (row: number) => row * HIDDEN;

/** Returns noise with something else at some places. */
function noiseWith(rows: number, others: Readonly<Record<number, number>>) {
  const values = noise(rows * HIDDEN, 5);
  for (const [place, value] of Object.entries(others)) values[Number(place)] = value;
  return values;
}

Deno.test("operand-bound finds the largest hidden state of the tokens that count", async () => {
  await onDevice(async (device) => {
    // Token 10 does not count; the last that does has the largest, which is negative.
    const last = KEPT.at(-1)!;
    const hidden = noiseWith(TOKENS, {
      [inRows(10) + 5]: 1e30,
      [inRows(17)]: NaN,
      [inRows(last) + HIDDEN - 1]: -12.5,
    });
    assert(!KEPT.includes(10) && !KEPT.includes(17));
    const { operand_bounds: bounds } = await runAlone(device, {
      problem,
      kernel: "operand-bound",
      grid: [Math.ceil(TOKENS / ROWS_OF_BOUND), 1],
      read: { kept: keptBuffer(KEPT, TOKENS), hidden },
      written: { operand_bounds: Uint32Array.of(0, 77) },
    });
    assert.deepEqual([...bounds], [bits(12.5), 77]);
  });
});

Deno.test("operand-bound adds a window of the weight to those before", async () => {
  await onDevice(async (device) => {
    // What lies behind the window is not looked at.
    const weight = noiseWith(VOCAB, { [inRows(VOCAB - 2)]: 1e3 });
    const window = VOCAB - 2;
    const largest = boundOf(weight.subarray(0, inRows(window)));
    for (const [before, after] of [[0, largest], [bits(3), bits(3)]] as const) {
      const { operand_bounds: bounds } = await runAlone(device, {
        problem,
        kernel: "operand-bound",
        params: { vocab: window },
        grid: [Math.ceil(window / ROWS_OF_BOUND), 1],
        read: { weight },
        written: { operand_bounds: Uint32Array.of(5, before) },
      });
      assert.deepEqual([...bounds], [5, after]);
    }
  });
});

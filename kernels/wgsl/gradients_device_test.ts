/** The gradients' kernels, each alone, beside a few lines of float64. */
import assert from "node:assert/strict";
import {
  bits,
  boundOf,
  close,
  EMULATED,
  halves,
  keptBuffer,
  noise,
  noiseOfHalves,
  runAlone,
  SPLIT,
  stale,
  TINY,
} from "../testing/alone.ts";
import { onDevice } from "../../testing/device.ts";
import { SPLIT_LONGEST_SUM } from "../../planner/tuning.ts";
import { inSubgroups, takesHalves, tierOf } from "../../planner/schedule/tile.ts";
import { inHalves, throughMemory } from "../testing/bodies.ts";

// Three tiles of tokens, ids and hidden, none of them full; rows of logits that start past a column.
const [TOKENS, HIDDEN, VOCAB, STRIDE, COLUMN] = [78, 72, 75, 88, 8];
const KEPT = Array.from({ length: TOKENS }, (_, row) => row).filter((row) => row % 9 !== 4);
const kept = keptBuffer(KEPT, TOKENS);
const hidden = noiseOfHalves(TOKENS * HIDDEN, 1);
const weight = noiseOfHalves(VOCAB * HIDDEN, 2);
// Past the last id comes what a window of whole vectors has there: zeros.
const logits = noiseOfHalves(KEPT.length * STRIDE, 3).map((value, i) =>
  i % STRIDE < COLUMN + VOCAB ? value : i % STRIDE < COLUMN + VOCAB + 5 ? 0 : NaN
);
const problem = {
  tokens: TOKENS,
  hidden: HIDDEN,
  vocab: VOCAB,
  pass: "train",
  bias: true,
} as const;
const schedule = { logitStride: STRIDE };
const dz = (position: number, id: number) => logits[position * STRIDE + COLUMN + id]!;
const ids = Array.from({ length: VOCAB }, (_, id) => id);
const BEFORE = 3;

/** Tiles of the projection that are left out: a kept position and an id in one adds nothing. */
const IDLE = new Set(["0 1", "2 0"]);
const flags = Uint32Array.from(
  { length: 9 },
  (_, index) => IDLE.has(`${index % 3} ${Math.floor(index / 3)}`) ? 2 : 1,
);
const busy = (position: number, id: number) =>
  !IDLE.has(`${Math.floor(position / 32)} ${Math.floor(id / 32)}`);
const filtered = { ...problem, gradientFilter: 0.1 } as const;

const VARIANTS = {
  "": {},
  ", filtered": { filters: true },
  ", in two rounds of columns": { body: inHalves },
  ", through memory, in rounds": { body: throughMemory },
  ", in matrices": { tile: EMULATED },
  ", in matrices, filtered": { tile: EMULATED, filters: true },
  ", in matrices, of operands split in two": { tile: SPLIT },
  ", in matrices, of operands split in two, filtered": { tile: SPLIT, filters: true },
} as const;

/** A bound of which halves are scaled by 2^10. */
const BOUND = 16;

for (const [name, variant] of Object.entries(VARIANTS)) {
  const filters = "filters" in variant;
  const tile = "tile" in variant ? variant.tile : TINY;
  const stored = takesHalves(tile);
  const asked = filters ? filtered : problem;
  const common = {
    problem: stored ? { ...asked, dtype: "f16" } as const : asked,
    schedule,
    dispatch: { tile },
    ...("body" in variant ? { body: variant.body } : {}),
  };
  const counted = (position: number, id: number) =>
    filters && !busy(position, id) ? 0 : dz(position, id);
  const read = {
    kept,
    logits: stored ? halves(logits.map((value) => 2 ** 10 * value)) : logits,
    ...(inSubgroups(tile) ? { gradient_bound: Uint32Array.of(bits(BOUND)) } : {}),
    ...(tierOf(tile) === "split"
      ? { operand_bounds: Uint32Array.of(boundOf(hidden), boundOf(weight)) }
      : {}),
    ...(filters ? { tile_flags: flags } : {}),
  };
  const operand = stored ? { hidden: halves(hidden), weight: halves(weight) } : { hidden, weight };

  for (const first of [1, 0] as const) {
    const what = first ? "overwrites what is stale" : "adds to earlier blocks";
    Deno.test(`weight-gradient ${what}${name}`, async () => {
      await onDevice(async (device) => {
        const { grad_weight: gradient } = await runAlone(device, {
          ...common,
          kernel: "weight-gradient",
          grid: [3, 3],
          params: { column: COLUMN, first },
          read: { ...read, hidden: operand.hidden },
          written: { grad_weight: new Float32Array(VOCAB * HIDDEN).fill(BEFORE) },
        });
        for (const id of ids) {
          for (let d = 0; d < HIDDEN; d++) {
            const expected = KEPT.reduce(
              (sum, row, position) => sum + counted(position, id) * hidden[row * HIDDEN + d]!,
              first ? 0 : BEFORE,
            );
            close(gradient[id * HIDDEN + d]!, expected, `${id}, ${d}`, 10);
          }
        }
      });
    });
  }

  const hiddenGradient = (position: number, d: number, from = 0, to = VOCAB) =>
    ids.slice(from, to).reduce(
      (sum, id) => sum + counted(position, id) * weight[id * HIDDEN + d]!,
      0,
    );

  Deno.test(`hidden-gradient adds to the rows of kept tokens${name}`, async () => {
    await onDevice(async (device) => {
      const { grad_hidden: gradient } = await runAlone(device, {
        ...common,
        kernel: "hidden-gradient",
        grid: [3, 3],
        params: { column: COLUMN },
        read: { ...read, weight: operand.weight },
        written: { grad_hidden: new Float32Array(TOKENS * HIDDEN).fill(BEFORE) },
      });
      for (let row = 0; row < TOKENS; row++) {
        const position = KEPT.indexOf(row);
        for (let d = 0; d < HIDDEN; d++) {
          const added = position < 0 ? 0 : hiddenGradient(position, d);
          close(gradient[row * HIDDEN + d]!, BEFORE + added, `${row}, ${d}`, 10);
        }
      }
    });
  });

  Deno.test(`hidden-gradient sums parts of a window by themselves${name}`, async () => {
    await onDevice(async (device) => {
      const span = 32;
      const { hidden_parts: parts } = await runAlone(device, {
        ...common,
        kernel: "hidden-gradient",
        grid: [3, 9],
        dispatch: { ...common.dispatch, span },
        params: { column: COLUMN },
        read: { ...read, weight: operand.weight },
        written: { hidden_parts: stale(3 * TOKENS * HIDDEN) },
      });
      for (let part = 0; part < 3; part++) {
        for (let position = 0; position < KEPT.length; position++) {
          for (let d = 0; d < HIDDEN; d++) {
            const expected = hiddenGradient(position, d, part * span, (part + 1) * span);
            const actual = parts[(part * TOKENS + position) * HIDDEN + d]!;
            close(actual, expected, `${part}, ${position}, ${d}`, 10);
          }
        }
      }
    });
  });

  if ("body" in variant) continue;

  for (const first of [1, 0] as const) {
    const what = first ? "overwrites what is stale" : "adds to earlier blocks";
    Deno.test(`bias-gradient ${what}${name}`, async () => {
      await onDevice(async (device) => {
        const { grad_bias: gradient } = await runAlone(device, {
          ...common,
          kernel: "bias-gradient",
          grid: [2, 1],
          params: { column: COLUMN, first },
          read,
          written: { grad_bias: new Float32Array(VOCAB).fill(BEFORE) },
        });
        for (const id of ids) {
          const expected = KEPT.reduce(
            (sum, _, position) => sum + counted(position, id),
            first ? 0 : BEFORE,
          );
          close(gradient[id]!, expected, `${id}`, 10);
        }
      });
    });
  }
}

Deno.test("hidden-sum adds the parts of a window to the rows of kept tokens", async () => {
  await onDevice(async (device) => {
    const parts = noise(3 * TOKENS * HIDDEN, 7);
    const { grad_hidden: gradient } = await runAlone(device, {
      kernel: "hidden-sum",
      problem,
      grid: [2, TOKENS],
      dispatch: { span: 32 },
      read: { kept, hidden_parts: parts },
      written: { grad_hidden: new Float32Array(TOKENS * HIDDEN).fill(BEFORE) },
    });
    for (let row = 0; row < TOKENS; row++) {
      const position = KEPT.indexOf(row);
      for (let d = 0; d < HIDDEN; d++) {
        const at = (part: number) => parts[(part * TOKENS + position) * HIDDEN + d]!;
        const added = position < 0 ? 0 : at(0) + at(1) + at(2);
        close(gradient[row * HIDDEN + d]!, BEFORE + added, `${row}, ${d}`);
      }
    }
  });
});

Deno.test("the tile of these tests cuts every product", () => {
  for (const extent of [KEPT.length, HIDDEN, VOCAB]) {
    assert(extent > 2 * TINY.rows && extent % TINY.rows !== 0);
  }
});

Deno.test("weight-gradient adds sums over stretches of the tokens, of operands split in two", async () => {
  await onDevice(async (device) => {
    // One token more than two sums.
    const [tokens, width] = [2 * SPLIT_LONGEST_SUM + 1, 32];
    const states = noise(tokens * width, 6);
    const gradients = noise(tokens * width, 7);
    const { grad_weight: gradient } = await runAlone(device, {
      problem: { tokens, hidden: width, vocab: width, pass: "train" },
      dispatch: { tile: SPLIT },
      kernel: "weight-gradient",
      grid: [1, 1],
      read: {
        kept: keptBuffer(Array.from({ length: tokens }, (_, row) => row), tokens),
        hidden: states,
        logits: gradients,
        gradient_bound: Uint32Array.of(bits(1)),
        operand_bounds: Uint32Array.of(boundOf(states), 0),
      },
      written: { grad_weight: stale(width * width) },
    });
    for (let id = 0; id < width; id++) {
      for (let d = 0; d < width; d++) {
        let [expected, size] = [0, 0];
        for (let token = 0; token < tokens; token++) {
          const term = gradients[token * width + id]! * states[token * width + d]!;
          expected += term;
          size += Math.abs(term);
        }
        // A term is off by 2^-22 of itself, and sums round.
        const error = Math.abs(gradient[id * width + d]! - expected);
        assert(error <= 2 ** -20 * size, `${id}, ${d}: off by ${error} of ${size}`);
      }
    }
  });
});

/** The kernels around the projection, each alone, beside a few lines of float64. */
import assert from "node:assert/strict";
import type { ProblemInput } from "../../planner/problem.ts";
import type { Dispatch } from "../../planner/schedule/schedule.ts";
import { statisticsOf } from "../../planner/schedule/statistics.ts";
import { parseProblem } from "../../planner/problem_schema.ts";
import {
  inSubgroups,
  registerTile,
  type SubgroupBody,
  takesHalves,
  tierOf,
  type Tile,
} from "../../planner/schedule/tile.ts";
import type { BodyMaker } from "./product.ts";
import { bodyOf } from "./bodies.ts";
import {
  bits,
  boundOf,
  close,
  EMULATED,
  fromBits,
  fromHalves,
  halves,
  keptBuffer,
  noise,
  noiseOfHalves,
  runAlone,
  SPLIT,
  stale,
  staleWords,
  TINY,
} from "../testing/alone.ts";
import { onDevice } from "../../testing/device.ts";
import { inHalves, throughMemory } from "../testing/bodies.ts";

const [TOKENS, HIDDEN, VOCAB] = [80, 40, 75];
/** Rows that are kept, in three tiles of which the last is not full. */
const KEPT = Array.from({ length: TOKENS }, (_, row) => row).filter((row) => row % 9 !== 4);
const hidden = noiseOfHalves(TOKENS * HIDDEN, 1);
const weight = noiseOfHalves(VOCAB * HIDDEN, 2).map((value) => value / 2);
const bias = noise(VOCAB, 3).map((value) => 3 * value);
const classWeight = noise(VOCAB, 4).map((value) => 1.5 + value);
const targets = Uint32Array.from({ length: TOKENS }, (_, row) => (row * 31) % VOCAB);
const problem = {
  tokens: TOKENS,
  hidden: HIDDEN,
  vocab: VOCAB,
  bias: true,
  classWeight: true,
  labelSmoothing: 0.1,
  logitScale: 2,
  softcap: 9,
  statistics: ["entropy", "predicted"],
  pass: "train",
} as const satisfies ProblemInput;

function logit(row: number, id: number): number {
  let sum = bias[id]!;
  for (let d = 0; d < HIDDEN; d++) sum += hidden[row * HIDDEN + d]! * weight[id * HIDDEN + d]!;
  return 9 * Math.tanh((2 * sum) / 9);
}

/** What a kernel reads of the operands of a product, in the type that its tile takes. */
function operandsOf(tile: Tile, rows: Float32Array = weight) {
  const stored = (values: Float32Array) =>
    takesHalves(tile) ? halves(values) : Float32Array.from(values);
  const bounds = tierOf(tile) === "split"
    ? { operand_bounds: Uint32Array.of(boundOf(hidden), boundOf(rows)) }
    : {};
  const operands = { hidden: stored(hidden), weight: stored(rows), bias };
  return { kept: keptBuffer(KEPT, TOKENS), ...operands, ...bounds };
}

/** Returns the statistics of some logits, straight from their definitions. */
function statistics(row: number, ids: readonly number[]): Record<string, number> {
  const logits = ids.map((id) => logit(row, id));
  const max = Math.max(...logits);
  const shares = logits.map((z) => Math.exp(z - max));
  const sum = (values: number[]) => values.reduce((total, value) => total + value, 0);
  return {
    max,
    sum: sum(shares),
    target: ids.includes(targets[row]!) ? logit(row, targets[row]!) : 0,
    smoothed: sum(ids.map((id, i) => classWeight[id]! * logits[i]!)),
    // What a sum of terms of both signs rounds by.
    terms: sum(ids.map((id, i) => Math.abs(classWeight[id]! * logits[i]!))),
    rest: sum(shares.filter((share) => share < 1)),
    weighted: sum(shares.map((share, i) => share * (logits[i]! - max))),
    argmax: ids[logits.indexOf(max)]!,
  };
}

/** More than any gradient of these tests: halves are scaled by it. */
const BOUND = 100;
declare const BUFFER: Float32Array<ArrayBuffer> | Uint32Array<ArrayBuffer>;

const range = (from: number, to: number) => Array.from({ length: to - from }, (_, i) => from + i);

function emulated(
  [rows, cols, depth]: readonly [number, number, number],
  [down, across]: readonly [number, number],
  fragment: SubgroupBody["fragment"],
): Tile {
  const subgroups = { rows: down, cols: across, size: 32 };
  return { rows, cols, depth, body: { kind: "matrix", subgroups, fragment, emulated: true } };
}

interface Variant {
  readonly tile?: Tile;
  readonly dispatch?: Partial<Dispatch>;
  readonly body?: BodyMaker;
  /** Whether nothing but the statistics depends on what is special. */
  readonly statisticsOnly?: boolean;
}

const VARIANTS: Readonly<Record<string, Variant>> = {
  "in registers": {},
  "in bands, of which the last is lower": { dispatch: { order: { band: 2 } } },
  "in two rounds of columns": { body: inHalves },
  "through memory, in rounds": { body: throughMemory },
  "in matrices": { tile: EMULATED },
  "in matrices, of operands split in two": { tile: SPLIT },
  "in matrices, by runs of tiles": {
    tile: emulated([32, 16, 32], [2, 1], { m: 16, n: 16, k: 16 }),
    dispatch: { order: { band: 2, run: 2 } },
    statisticsOnly: true,
  },
  "in matrices of 8 x 8, more of them to a subgroup": {
    tile: emulated([64, 32, 32], [2, 1], { m: 8, n: 8, k: 8 }),
    statisticsOnly: true,
  },
  "in matrices of 8 x 16, more columns than rows": {
    tile: emulated([32, 64, 16], [1, 1], { m: 8, n: 16, k: 16 }),
    statisticsOnly: true,
  },
  "with more rows than invocations": {
    tile: registerTile([128, 32, 16], [8, 8]),
    statisticsOnly: true,
  },
  "with many invocations to a row, little memory": {
    tile: registerTile([32, 128, 8], [4, 4]),
    statisticsOnly: true,
  },
};

for (const [name, variant] of Object.entries(VARIANTS)) {
  const { tile = TINY, dispatch = {}, body = bodyOf, statisticsOnly = false } = variant;
  const inHalvesOnly = takesHalves(tile);
  const alone = {
    problem: inHalvesOnly ? { ...problem, dtype: "f16" } as const : problem,
    dispatch: { tile, ...dispatch },
    body,
    grid: [Math.ceil(TOKENS / tile.rows), Math.ceil(VOCAB / tile.cols)] as const,
  };

  Deno.test(`forward keeps the statistics of each window's tile, ${name}`, async () => {
    await onDevice(async (device) => {
      // Two windows, of which the second ends within a tile and leaves the last place alone.
      const windows = [range(0, 45), range(45, VOCAB)];
      const width = (dispatch.order?.run ?? 1) * tile.cols;
      const splits = Math.ceil(45 / width);
      const rows = statisticsOf(parseProblem(problem));
      const stride = 128;
      let partials = staleWords(splits * rows.length * stride);
      for (const [index, ids] of windows.entries()) {
        const written = await runAlone(device, {
          ...alone,
          kernel: "forward",
          grid: [alone.grid[0], Math.ceil(ids.length / width)],
          schedule: { splits },
          params: { vocabStart: ids[0]!, vocab: ids.length, first: index === 0 ? 1 : 0 },
          read: {
            ...operandsOf(tile, weight.slice(ids[0]! * HIDDEN, (ids.at(-1)! + 1) * HIDDEN)),
            kept_targets: targets,
            class_weight: classWeight,
          },
          written: { partials },
        });
        partials = written.partials;
      }
      for (const [position, row] of KEPT.entries()) {
        for (let split = 0; split < splits; split++) {
          const inTile = (ids: number[]) => ids.slice(split * width, (split + 1) * width);
          const expected = statistics(row, windows.flatMap(inTile));
          for (const { name, type, row: at } of rows) {
            const word = partials[(split * rows.length + at) * stride + position]!;
            const value = type === "u32" ? word : fromBits(word);
            const size = name === "smoothed" ? expected.terms : expected[name];
            close(value, expected[name]!, `${name} of ${row}, ${split}`, size);
          }
        }
      }
    });
  });

  if (statisticsOnly) continue;

  Deno.test(`project stores logits, ${name}`, async () => {
    await onDevice(async (device) => {
      const stride = 76;
      const { logits } = await runAlone(device, {
        ...alone,
        kernel: "project",
        read: operandsOf(tile),
        written: { logits: stale(KEPT.length * stride) },
      });
      for (const [position, row] of KEPT.entries()) {
        for (let id = 0; id < VOCAB; id++) {
          close(logits[position * stride + id]!, logit(row, id), `${row}, ${id}`);
        }
        // In subgroup matrices four are stored at a time.
        const past = logits[position * stride + VOCAB];
        assert.equal(past, inSubgroups(tile) ? 0 : 777, "nothing is stored past the window");
      }
    });
  });

  Deno.test(`logit-gradient stores gradients, and flags by tile, ${name}`, async () => {
    await onDevice(async (device) => {
      const stride = inHalvesOnly ? 80 : 76;
      const rows = Array.from({ length: 5 }, (_, index) => noise(128, 10 + index));
      rows[4] = Float32Array.from(rows[4]!, (value) => 9 + value);
      const coefficients = new Uint32Array(6 * 128);
      rows.forEach((values, row) => coefficients.set(Array.from(values, bits), row * 128));
      KEPT.forEach((row, position) => coefficients[5 * 128 + position] = targets[row]!);
      const run = (threshold: number) =>
        runAlone(device, {
          ...alone,
          kernel: "logit-gradient",
          problem: {
            ...alone.problem,
            ...(threshold ? { gradientFilter: threshold, labelSmoothing: 0 } : {}),
          },
          schedule: { logitStride: stride },
          read: {
            ...operandsOf(tile),
            ...(threshold ? {} : { class_weight: classWeight }),
            coefficients,
            ...(inHalvesOnly ? { gradient_bound: Uint32Array.of(bits(BOUND)) } : {}),
          },
          written: {
            logits: inHalvesOnly
              ? staleWords(KEPT.length * stride / 2)
              : stale(KEPT.length * stride),
            ...(threshold ? { tile_flags: staleWords(alone.grid[0] * alone.grid[1]) } : {}),
          } as { logits: typeof BUFFER; tile_flags: Uint32Array<ArrayBuffer> },
        });
      const written = (await run(0)).logits;
      // Halves are scaled by 2^14 over the power of two that the bound begins with.
      const logits = written instanceof Float32Array
        ? written
        : fromHalves(written).map((value) => value * 64 / 2 ** 14);
      for (const [position, row] of KEPT.entries()) {
        const [a, b, c, d, lse] = rows.map((values) => values[position]!);
        for (let id = 0; id < VOCAB; id++) {
          const z = logit(row, id);
          const p = Math.exp(z - lse!);
          const dz = p * (a! + c! * z) + (id === targets[row] ? b! : 0) + d! * classWeight[id]!;
          const expected = dz * 2 * (1 - (z / 9) ** 2);
          const actual = logits[position * stride + id]!;
          if (!inHalvesOnly) close(actual, expected, `${row}, ${id}`);
          else {
            // Half of a unit in the last place of an f16, and f32's own error.
            const allowed = 2 ** -11 * Math.abs(expected) + 1e-5;
            assert(Math.abs(actual - expected) <= allowed, `${row}, ${id}: ${actual}, ${expected}`);
          }
        }
        // Who reads whole vectors finds zeros past the window.
        if (inHalvesOnly) {
          for (let id = VOCAB; id < 80; id++) assert.equal(logits[position * stride + id], 0);
        }
      }
      // A threshold that about half of the tiles stay below.
      const deviations = Array.from(
        { length: alone.grid[1] },
        (_, vocabTile) =>
          Array.from(
            { length: alone.grid[0] },
            (_, tokenTile) =>
              KEPT.slice(tokenTile * tile.rows, (tokenTile + 1) * tile.rows).flatMap((row, i) =>
                range(vocabTile * tile.cols, Math.min(VOCAB, (vocabTile + 1) * tile.cols)).map((
                  id,
                ) =>
                  Math.abs(
                    Math.exp(logit(row, id) - rows[4]![tokenTile * tile.rows + i]!) -
                      (id === targets[row] ? 1 : 0),
                  )
                )
              ).reduce((most, each) => Math.max(most, each), 0),
          ),
      );
      const all = deviations.flat().sort((x, y) => x - y);
      const threshold = (all[0]! + all.at(-1)!) / 2;
      const { tile_flags: flags } = await run(threshold);
      for (const [vocabTile, each] of deviations.entries()) {
        for (const [tokenTile, most] of each.entries()) {
          const flag = flags[vocabTile * alone.grid[0] + tokenTile];
          const written = tokenTile * tile.rows < KEPT.length;
          assert.equal(
            flag,
            written ? (most >= threshold ? 1 : 2) : 777,
            `${vocabTile}, ${tokenTile}`,
          );
        }
      }
    });
  });
}

Deno.test("a masked id's logit stays finite under any scale, and its gradient is none", async () => {
  await onDevice(async (device) => {
    const masked = bias.map((value, id) => id % 7 === 3 ? -3.4028234663852886e38 : value);
    const coefficients = new Uint32Array(6 * 128);
    // An upstream gradient of the entropy by 2: c z would overflow.
    for (let row = 0; row < 5; row++) coefficients.fill(bits(2), row * 128, (row + 1) * 128);
    const { logits } = await runAlone(device, {
      kernel: "logit-gradient",
      problem: {
        tokens: TOKENS,
        hidden: HIDDEN,
        vocab: VOCAB,
        bias: true,
        logitScale: 2,
        statistics: ["entropy"],
        pass: "train",
      },
      grid: [3, 3],
      read: { ...operandsOf(TINY), bias: masked, coefficients },
      written: { logits: stale(KEPT.length * 76) },
    });
    const { partials } = await runAlone(device, {
      kernel: "forward",
      problem: {
        tokens: TOKENS,
        hidden: HIDDEN,
        vocab: VOCAB,
        bias: true,
        logitScale: 2,
        statistics: ["entropy"],
      },
      grid: [3, 3],
      schedule: { splits: 3 },
      read: { ...operandsOf(TINY), bias: masked, kept_targets: targets },
      written: { partials: staleWords(3 * 5 * 128) },
    });
    for (let row = 0; row < 15; row++) {
      const values = Array.from(KEPT, (_, position) => fromBits(partials[row * 128 + position]!));
      assert(values.every(Number.isFinite), `row ${row} of the statistics`);
    }
    KEPT.forEach((_, position) => {
      for (let id = 3; id < VOCAB; id += 7) {
        assert.equal(logits[position * 76 + id], 0, `${position}, ${id}`);
      }
      assert(logits.subarray(position * 76, position * 76 + VOCAB).every(Number.isFinite));
    });
  });
});

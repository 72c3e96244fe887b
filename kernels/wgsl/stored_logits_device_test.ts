/** The kernels over stored logits and statistics, each alone, beside a few lines of float64. */
import assert from "node:assert/strict";
import type { ProblemInput } from "../../planner/problem.ts";
import { parseProblem } from "../../planner/problem_schema.ts";
import { statisticsOf } from "../../planner/schedule/statistics.ts";
import {
  bits,
  close,
  fromBits,
  keptBuffer,
  noise,
  runAlone,
  staleWords,
} from "../testing/alone.ts";
import { onDevice } from "../../testing/device.ts";

const [TOKENS, VOCAB, STRIDE] = [40, 301, 304];
const KEPT = Array.from({ length: TOKENS }, (_, row) => row).filter((row) => row % 5 !== 2);
const kept = keptBuffer(KEPT, TOKENS);
const targets = Uint32Array.from({ length: TOKENS }, (_, row) => (row * 37) % VOCAB);
/** A row of logits for each kept token, padded with what is to be ignored; no peak in the last ids. */
const logits = noise(KEPT.length * STRIDE, 5).map((value, index) => {
  const [position, id] = [Math.floor(index / STRIDE), index % STRIDE];
  if (id >= VOCAB) return 1e6;
  return 4 * value + (id === (position * 13) % 200 ? position : 0);
});
const classWeight = noise(VOCAB, 6).map((value) => 1.5 + value);
const problem = {
  tokens: TOKENS,
  hidden: 8,
  vocab: VOCAB,
  classWeight: true,
  labelSmoothing: 0.1,
  statistics: ["entropy", "predicted"],
  pass: "train",
} as const satisfies ProblemInput;
const TABLE = statisticsOf(parseProblem(problem));

/** Returns values of one set by the names of its statistics, at a place of a buffer of sets. */
function readSet(words: Uint32Array, set: number, place: number): Record<string, number> {
  return Object.fromEntries(TABLE.map(({ name, type, row }) => {
    const word = words[(set * TABLE.length + row) * 64 + place]!;
    return [name, type === "u32" ? word : fromBits(word)];
  }));
}

function writeSet(
  words: Uint32Array,
  set: number,
  place: number,
  values: Readonly<Record<string, number>>,
): void {
  for (const { name, type, row } of TABLE) {
    const value = values[name]!;
    words[(set * TABLE.length + row) * 64 + place] = type === "u32" ? value : bits(value);
  }
}

/** The statistics of some logits of a row, straight from their definitions, relative to a max. */
function statistics(position: number, ids: readonly number[], top?: number) {
  const z = ids.map((id) => logits[position * STRIDE + id]!);
  const max = Math.max(...z);
  const relativeTo = top ?? max;
  const share = z.map((value) => Math.exp(value - relativeTo));
  const sum = (values: number[]) => values.reduce((total, value) => total + value, 0);
  const target = targets[KEPT[position]!]!;
  return {
    max: relativeTo,
    sum: sum(share),
    target: ids.includes(target) ? logits[position * STRIDE + target]! : 0,
    smoothed: sum(ids.map((id, i) => classWeight[id]! * z[i]!)),
    rest: sum(share.filter((_, i) => z[i]! < relativeTo)),
    weighted: sum(share.map((each, i) => each * (z[i]! - relativeTo))),
    argmax: max < relativeTo ? 0xffffffff : ids[z.indexOf(max)]!,
    terms: sum(ids.map((id, i) => Math.abs(classWeight[id]! * z[i]!))),
  };
}

function assertSet(
  actual: Readonly<Record<string, number>>,
  expected: Readonly<Record<string, number>>,
  what: string,
): void {
  for (const { name } of TABLE) {
    const size = name === "smoothed" ? expected.terms : expected[name];
    close(actual[name]!, expected[name]!, `${name} of ${what}`, size);
  }
}

const ALL = Array.from({ length: VOCAB }, (_, id) => id);
/** Ten sets of ids that leave none out: more than are read at once, and not a multiple of it. */
const SPLITS = Array.from(
  { length: 10 },
  (_, split) => ALL.filter((id) => Math.floor(id / 31) === split),
);

Deno.test("row-statistics keeps the statistics of whole rows", async () => {
  await onDevice(async (device) => {
    const { partials } = await runAlone(device, {
      kernel: "row-statistics",
      problem,
      grid: [TOKENS, 1],
      schedule: { logitStride: STRIDE },
      read: { kept, kept_targets: targets, logits, class_weight: classWeight },
      written: { partials: staleWords(TABLE.length * 64) },
    });
    KEPT.forEach((_, position) =>
      assertSet(readSet(partials, 0, position), statistics(position, ALL), `${position}`)
    );
  });
});

/** Returns the splits' statistics of every kept token. */
function partials(): Uint32Array<ArrayBuffer> {
  const words = staleWords(SPLITS.length * TABLE.length * 64);
  KEPT.forEach((_, position) =>
    SPLITS.forEach((ids, split) => writeSet(words, split, position, statistics(position, ids)))
  );
  return words;
}

Deno.test("local-max finds the largest logit of a rank's splits", async () => {
  await onDevice(async (device) => {
    const { statistics: words } = await runAlone(device, {
      kernel: "local-max",
      problem,
      grid: [1, 1],
      schedule: { splits: SPLITS.length },
      read: { kept, partials: partials() },
      written: { statistics: staleWords(TABLE.length * 64) },
    });
    KEPT.forEach((_, position) => {
      const { max } = statistics(position, ALL);
      assert.equal(readSet(words, 0, position).max, max);
    });
  });
});

Deno.test("fold-partials makes statistics relative to the max of all ranks", async () => {
  await onDevice(async (device) => {
    // Every other token's largest logit is another rank's.
    const words = staleWords(TABLE.length * 64);
    const topOf = (position: number) =>
      Math.fround(statistics(position, ALL).max + (position % 2 ? 1.5 : 0));
    KEPT.forEach((_, position) => words[position] = bits(topOf(position)));
    const { statistics: folded } = await runAlone(device, {
      kernel: "fold-partials",
      problem,
      grid: [1, 1],
      schedule: { splits: SPLITS.length },
      read: { kept, partials: partials() },
      written: { statistics: words },
    });
    KEPT.forEach((_, position) =>
      assertSet(
        readSet(folded, 0, position),
        statistics(position, ALL, topOf(position)),
        `${position}`,
      )
    );
  });
});

Deno.test("merge folds splits into results, and ignored tokens into zeros", async () => {
  await onDevice(async (device) => {
    const [keptWeight, totalWeight] = [29.5, 450.25];
    const { tokens } = await runAlone(device, {
      kernel: "merge",
      problem: { ...problem, zLoss: 1e-2 },
      grid: [1, 1],
      schedule: { splits: SPLITS.length },
      read: {
        kept,
        partials: partials(),
        totals: Uint32Array.of(KEPT.length, bits(keptWeight), bits(totalWeight), 0),
        kept_targets: targets,
        class_weight: classWeight,
      },
      written: { tokens: staleWords(6 * 64) },
    });
    const at = (row: number, token: number) => fromBits(tokens[row * 64 + token]!);
    for (let row = 0; row < TOKENS; row++) {
      const position = KEPT.indexOf(row);
      if (position < 0) {
        for (let result = 0; result < 6; result++) assert.equal(tokens[result * 64 + row], 0);
        continue;
      }
      const all = statistics(position, ALL);
      const lse = all.max + Math.log(all.sum);
      const target = targets[row]!;
      const nll = 0.9 * classWeight[target]! * (lse - all.target) -
        (0.1 / VOCAB) * (all.smoothed - totalWeight * lse);
      const z = 1e-2 * lse ** 2;
      close(at(0, row), nll + z, `loss of ${row}`);
      close(at(1, row), nll / keptWeight + z / KEPT.length, `share of ${row}`);
      close(at(2, row), lse, `lse of ${row}`);
      close(at(3, row), all.target - lse, `logprob of ${row}`);
      close(at(4, row), Math.log(all.sum) - all.weighted / all.sum, `entropy of ${row}`);
      assert.equal(tokens[5 * 64 + row], all.argmax);
    }
  });
});

Deno.test("an entropy is as exact as f32 can be, however small", async () => {
  // One logit stands out by 1 to 60: entropies from 1 down to 1e-24.
  const gaps = Array.from({ length: TOKENS }, (_, row) => 1 + (59 * row) / (TOKENS - 1));
  const rows = Array.from({ length: TOKENS }, (_, row) => row);
  const others = noise(VOCAB, 9);
  const near = Float32Array.from({ length: TOKENS * STRIDE }, (_, index) => {
    const [row, id] = [Math.floor(index / STRIDE), index % STRIDE];
    return id === 17 ? gaps[row]! : others[id % VOCAB]!;
  });
  // The same everywhere: entropy log n, of n equal largest.
  near.fill(3, (TOKENS - 1) * STRIDE, TOKENS * STRIDE);
  await onDevice(async (device) => {
    const plain: ProblemInput = {
      tokens: TOKENS,
      hidden: 8,
      vocab: VOCAB,
      statistics: ["entropy", "predicted"],
    };
    const { partials } = await runAlone(device, {
      kernel: "row-statistics",
      problem: plain,
      grid: [TOKENS, 1],
      schedule: { logitStride: STRIDE },
      read: { kept: keptBuffer(rows, TOKENS), kept_targets: targets, logits: near },
      written: { partials: staleWords(6 * 64) },
    });
    const { tokens } = await runAlone(device, {
      kernel: "merge",
      problem: plain,
      grid: [1, 1],
      read: {
        kept: keptBuffer(rows, TOKENS),
        partials,
        totals: Uint32Array.of(TOKENS, bits(TOKENS), bits(VOCAB), 0),
      },
      written: { tokens: staleWords(6 * 64) },
    });
    for (const row of rows) {
      const z = Array.from(near.subarray(row * STRIDE, row * STRIDE + VOCAB));
      const top = Math.max(...z);
      const below = z.map((value) => value - top);
      const peaks = below.filter((value) => value === 0).length;
      const rest = below.reduce((sum, d) => d < 0 ? sum + Math.exp(d) : sum, 0);
      const mean = below.reduce((sum, d) => sum + Math.exp(d) * d, 0) / (peaks + rest);
      const entropy = Math.log(peaks) + Math.log1p(rest / peaks) - mean;
      const actual = fromBits(tokens[4 * 64 + row]!);
      assert.equal(tokens[5 * 64 + row], below.indexOf(0), "the smallest id among equals");
      // exp2 of an argument up to 90, itself rounded: 90 x 2^-24.
      assert(Math.abs(actual - entropy) <= 8e-6 * entropy, `${row}: ${actual}, not ${entropy}`);
    }
  });
});

Deno.test("stored-logit-gradient turns logits into gradients in place, and flags idle tiles", async () => {
  await onDevice(async (device) => {
    const rows = Array.from({ length: 5 }, (_, index) => noise(64, 20 + index));
    rows[4] = Float32Array.from(KEPT, (_, position) => {
      const { max, sum } = statistics(position, ALL);
      return max + Math.log(sum);
    });
    const coefficients = new Uint32Array(6 * 64);
    rows.forEach((values, row) => coefficients.set(Array.from(values, bits), row * 64));
    KEPT.forEach((row, position) => coefficients[5 * 64 + position] = targets[row]!);
    const grid = [2, 10] as const;
    const common = {
      kernel: "stored-logit-gradient",
      grid,
      schedule: { logitStride: STRIDE },
    } as const;
    // In two windows, one after the other, of which the first ends within a tile.
    let gradient = logits.slice();
    for (const [vocabStart, vocab] of [[0, 150], [150, VOCAB - 150]] as const) {
      const { logits: written } = await runAlone(device, {
        ...common,
        problem,
        params: { vocabStart, vocab, column: vocabStart },
        read: { kept, class_weight: classWeight, coefficients },
        written: { logits: gradient },
      });
      gradient = written;
    }
    const softmax = (position: number, id: number) =>
      Math.exp(logits[position * STRIDE + id]! - rows[4]![position]!);
    KEPT.forEach((row, position) => {
      const [a, b, c, d] = rows.map((values) => values[position]!);
      for (const id of ALL) {
        const z = logits[position * STRIDE + id]!;
        const dz = softmax(position, id) * (a! + c! * z) + (id === targets[row] ? b! : 0) +
          d! * classWeight[id]!;
        close(gradient[position * STRIDE + id]!, dz, `${position}, ${id}`, 1 + Math.abs(z));
      }
    });
    // The same tokens as the second of two blocks.
    const keptSecond = new Uint32Array(64 + 2 * TOKENS);
    keptSecond[1] = KEPT.length;
    keptSecond.set(KEPT, 64 + TOKENS);
    const shifted = new Uint32Array(6 * 128);
    for (let row = 0; row < 6; row++) {
      // Targets are among the first ids.
      if (row === 5) KEPT.forEach((_, position) => coefficients[5 * 64 + position] = position % 20);
      shifted.set(coefficients.subarray(row * 64, row * 64 + KEPT.length), row * 128 + TOKENS);
    }
    const { tile_flags: flags } = await runAlone(device, {
      ...common,
      problem: { ...problem, tokens: 2 * TOKENS, labelSmoothing: 0, gradientFilter: 0.3 },
      schedule: { logitStride: STRIDE, block: { tokens: TOKENS, count: 2 } },
      params: { tokenStart: TOKENS, tokens: TOKENS, block: 1 },
      read: { kept: keptSecond, coefficients: shifted },
      written: { logits: logits.slice(), tile_flags: staleWords(40) },
    });
    for (let vocabTile = 0; vocabTile < 10; vocabTile++) {
      for (let tokenTile = 0; tokenTile < 2; tokenTile++) {
        const busy = KEPT.slice(tokenTile * 32, (tokenTile + 1) * 32).some((_, i) =>
          ALL.slice(vocabTile * 32, (vocabTile + 1) * 32).some((id) => {
            const p = softmax(tokenTile * 32 + i, id);
            return Math.abs(p - (id === (tokenTile * 32 + i) % 20 ? 1 : 0)) >= 0.3;
          })
        );
        const reached = tokenTile * 32 < KEPT.length;
        const what = `${vocabTile}, ${tokenTile}`;
        assert.equal(flags[vocabTile * 4 + tokenTile], 777, `${what} of the first block`);
        const flag = flags[vocabTile * 4 + 2 + tokenTile];
        assert.equal(flag, !reached ? 777 : busy ? 1 : 2, what);
      }
    }
    assert(new Set(flags).size > 2, "some tiles are busy, some idle");
  });
});

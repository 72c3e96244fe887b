/** The kernels over tokens, each alone, beside a few lines of float64. */
import assert from "node:assert/strict";
import {
  bits,
  close,
  fromBits,
  keptBuffer,
  noise,
  runAlone,
  stale,
  staleWords,
} from "../testing/alone.ts";
import { onDevice } from "../../testing/device.ts";

Deno.test("select-tokens lists kept rows first in each block, and where their targets are", async () => {
  // Blocks longer than the workgroup looks at in one go, the last one shorter.
  const [tokens, block, vocab, header] = [2900, 1100, 37, 64];
  const targets = Int32Array.from(
    { length: tokens },
    (_, token) =>
      token % 7 === 3 ? -5 : token === 2501 ? vocab : token === 1300 ? -1 : (token * 11) % vocab,
  );
  const classWeight = noise(vocab, 2).map((value) => 1.5 + value);
  const isKept = (token: number) => targets[token]! >= 0 && targets[token]! < vocab;
  await onDevice(async (device) => {
    for (const weighted of [true, false]) {
      const { kept, kept_targets: rows, totals } = await runAlone(device, {
        kernel: "select-tokens",
        problem: { tokens, hidden: 4, vocab, ignoreIndex: -5, classWeight: weighted },
        grid: [1, 1],
        schedule: { block: { tokens: block, count: 3 } },
        read: { targets, ...(weighted ? { class_weight: classWeight } : {}) },
        written: {
          kept: staleWords(header + tokens),
          kept_targets: staleWords(tokens),
          totals: staleWords(4),
        },
      });
      let all = 0;
      let weight = 0;
      for (let index = 0; index < 3; index++) {
        const start = index * block;
        const count = Math.min(block, tokens - start);
        const inBlock = Array.from({ length: count }, (_, row) => row);
        const expected = inBlock.filter((row) => isKept(start + row));
        assert.equal(kept[index], expected.length);
        const listed = Array.from(kept.subarray(header + start, header + start + count));
        assert.deepEqual(listed.slice(0, expected.length), expected);
        assert.deepEqual(listed.toSorted((a, b) => a - b), inBlock, "every row is listed once");
        for (const row of expected) {
          const target = targets[start + row]!;
          assert.equal(rows[start + row], target);
          weight += weighted ? classWeight[target]! : 1;
        }
        all += expected.length;
      }
      const [keptTotal, keptWeight, totalWeight, badTarget] = totals;
      assert.equal(keptTotal, all);
      close(fromBits(keptWeight!), weight, "weight of the kept tokens");
      const sum = weighted ? classWeight.reduce((total, value) => total + value, 0) : vocab;
      close(fromBits(totalWeight!), sum, "weight of all classes");
      assert.equal(badTarget, 1300 + 1, "the first target that is no id");
    }
  });
});

Deno.test("coefficients are the derivatives of the loss by logits", async () => {
  const [tokens, vocab] = [70, 12];
  const kept = Array.from({ length: tokens }, (_, row) => row).filter((row) => row % 4 !== 1);
  const targets = Uint32Array.from({ length: tokens }, (_, row) => row % vocab);
  const classWeight = noise(vocab, 3).map((value) => 1.5 + value);
  const [keptWeight, totalWeight] = [61.5, 17.25];
  const lse = noise(tokens, 4).map((value) => 8 * value);
  const results = new Float32Array(4 * 128);
  results.set(lse, 2 * 128);
  await onDevice(async (device) => {
    const { coefficients } = await runAlone(device, {
      kernel: "coefficients",
      problem: {
        tokens,
        hidden: 4,
        vocab,
        classWeight: true,
        labelSmoothing: 0.2,
        zLoss: 0.01,
        pass: "train",
      },
      grid: [2, 1],
      read: {
        kept: keptBuffer(kept, tokens),
        kept_targets: targets,
        totals: Uint32Array.of(kept.length, bits(keptWeight), bits(totalWeight), 0),
        class_weight: classWeight,
        tokens: results,
      },
      written: { coefficients: staleWords(6 * 128) },
    });
    kept.forEach((row, position) => {
      const at = (name: number) => coefficients[name * 128 + position]!;
      const sharp = (0.8 * classWeight[targets[row]!]!) / keptWeight;
      const flat = 0.2 / vocab / keptWeight;
      const z = (0.02 * lse[row]!) / kept.length;
      close(fromBits(at(0)), sharp + flat * totalWeight + z, `a of ${row}`);
      close(fromBits(at(1)), -sharp, `b of ${row}`);
      assert.equal(fromBits(at(2)), 0);
      close(fromBits(at(3)), -flat, `d of ${row}`);
      assert.equal(fromBits(at(4)), lse[row]);
      assert.equal(at(5), targets[row]);
    });
  });
});

Deno.test("coefficients of statistics take the upstream gradient of each", async () => {
  const tokens = 70;
  const kept = Array.from({ length: tokens }, (_, row) => row).filter((row) => row % 4 !== 1);
  // Rows of log-sum-exp, log-probability, entropy; upstream of log-probability, log-sum-exp, entropy.
  const results = noise(3 * 128, 4);
  const upstream = noise(3 * 128, 5);
  await onDevice(async (device) => {
    const { coefficients } = await runAlone(device, {
      kernel: "coefficients",
      problem: { tokens, hidden: 4, vocab: 12, objective: "statistics", pass: "train" },
      grid: [2, 1],
      read: {
        kept: keptBuffer(kept, tokens),
        kept_targets: new Uint32Array(tokens),
        totals: Uint32Array.of(kept.length, 0, 0, 0),
        upstream,
        tokens: results,
      },
      written: { coefficients: staleWords(6 * 128) },
    });
    kept.forEach((row, position) => {
      const at = (name: number) => fromBits(coefficients[name * 128 + position]!);
      const [byLogprob, byLse, byEntropy] = [0, 1, 2].map((name) => upstream[name * 128 + row]!);
      const mean = results[row]! - results[2 * 128 + row]!;
      close(at(0), byLse! - byLogprob! + byEntropy! * mean, `a of ${row}`);
      assert.equal(at(1), byLogprob);
      assert.equal(at(2), -byEntropy!);
      assert.equal(at(3), 0);
    });
  });
});

Deno.test("reduce adds up all tokens, more than one round of them", async () => {
  const tokens = 9001;
  const stride = 9024;
  const shares = new Float32Array(4 * stride).fill(NaN);
  const each = noise(tokens, 8).map((value) => 2 + value);
  shares.set(each, stride);
  const sum = each.reduce((total, value) => total + value, 0);
  await onDevice(async (device) => {
    for (const reduction of ["mean", "sum"] as const) {
      for (const kept of [tokens, 0]) {
        const { loss } = await runAlone(device, {
          kernel: "reduce",
          problem: { tokens, hidden: 4, vocab: 12, reduction },
          grid: [1, 1],
          read: { tokens: shares, totals: Uint32Array.of(kept, 0, 0, 0) },
          written: { loss: stale(1) },
        });
        if (reduction === "mean" && kept === 0) assert(Number.isNaN(loss[0]));
        else close(loss[0]!, sum, reduction);
      }
    }
  });
});

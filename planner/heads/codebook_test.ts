import assert from "node:assert/strict";
import fc from "fast-check";
import { parseProblem } from "../problem.ts";
import { codebookHead } from "./codebook.ts";

Deno.test("a softmax over codes with log n added is the softmax over ids, and its loss has the floor", () => {
  // The identity that the planned problem rests on, in float64, on random codes and maps.
  fc.assert(
    fc.property(
      fc.array(fc.double({ min: -30, max: 30, noNaN: true }), { minLength: 1, maxLength: 12 }),
      fc.integer({ min: 1, max: 9 }),
      fc.nat(),
      (logits, share, pick) => {
        const codes = logits.length;
        const vocab = codes * share;
        const logSumExp = (values: number[]) => {
          const top = Math.max(...values);
          return top + Math.log(values.reduce((sum, value) => sum + Math.exp(value - top), 0));
        };
        const ids = Array.from({ length: vocab }, (_, id) => logits[id % codes]!);
        const overIds = logSumExp(ids);
        const overCodes = logSumExp(logits.map((logit) => logit + Math.log(share)));
        assert(Math.abs(overIds - overCodes) <= 1e-12 * Math.max(1, Math.abs(overIds)));
        const { lossFloor } = codebookHead(parseProblem({ hidden: 8, vocab }), codes);
        assert.deepEqual(lossFloor, [Math.log(share), Math.log(share)]);
        assert(overIds - ids[pick % vocab]! >= lossFloor[0] - 1e-12);
      },
    ),
    { seed: 11 },
  );
});

Deno.test("a codebook's gradients are those of hidden states and codes: its bias is counted", () => {
  const train = parseProblem({ hidden: 64, vocab: 1000, pass: "train" });
  assert.deepEqual(codebookHead(train, 10).problem.gradients, ["hidden", "weight"]);
  assert.equal(
    codebookHead(parseProblem({ hidden: 64, vocab: 1000 }), 10).problem.gradients,
    undefined,
  );
});

Deno.test("options that would mean something else over codes are refused", () => {
  const options = [{ softcap: 30 }, { logitScale: 2 }, { bias: true }, { labelSmoothing: 0.1 }];
  for (const option of [...options, { classWeight: true }, { statistics: ["entropy" as const] }]) {
    const problem = parseProblem({ hidden: 64, vocab: 1000, ...option });
    assert.throws(() => codebookHead(problem, 10), /not the same over codes/);
  }
});

Deno.test("codes are from one to as many as ids", () => {
  const problem = parseProblem({ hidden: 64, vocab: 1000 });
  for (const codes of [0, 1001, 2.5, NaN]) {
    assert.throws(() => codebookHead(problem, codes), /from 1 to 1000/);
  }
});

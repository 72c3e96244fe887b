import assert from "node:assert/strict";
import fc from "fast-check";
import { wantedGradients } from "../problem.ts";
import { parseProblem } from "../problem_schema.ts";
import { codebookHead, CodeMap, overIds } from "./codebook.ts";

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
  const heads = [{ hidden: 64, vocab: 1000, frozen: true }];
  const frozen = codebookHead(parseProblem({ heads, pass: "train" }), 10).problem;
  assert.deepEqual([...wantedGradients(frozen)], ["hidden"]);
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

Deno.test("ids without a code, and targets that are no ids, are named", () => {
  assert.throws(() => new CodeMap(Int32Array.of(0, 2, -1), 2), /codes\[1\] is 2, .* 0 to 1/);
  assert.throws(() => new CodeMap(Int32Array.of(0, -1), 2), /codes\[1\] is -1/);
  const map = new CodeMap(Int32Array.of(0, 1, 1), 2);
  assert.throws(() => map.targets(Int32Array.of(1, 3), -100), /targets\[1\] is 3, .*0 to 2/);
});

Deno.test("an ignored id that is the number of a code leaves the code's own tokens in", () => {
  const map = new CodeMap(Int32Array.of(1, 1, 0, 1), 2);
  const { targets, shared } = map.targets(Int32Array.of(1, 2, 0), 1);
  assert.deepEqual([...targets], [-100, 0, 1]);
  assert.deepEqual([...shared], [0, 0, Math.log(3)]);
  assert.equal(
    codebookHead(parseProblem({ hidden: 8, vocab: 4, ignoreIndex: 1 }), 2).problem.ignoreIndex,
    -100,
  );
});

Deno.test("a mean adds a mean, a sum a sum, and nothing what has no loss", () => {
  const targets = { targets: Int32Array.of(0, -100, 1), shared: Float64Array.of(1, 0, 3) };
  const perToken = Float64Array.of(10, 0, 20);
  const of = (reduction: "mean" | "sum" | "none", loss?: number) =>
    overIds({ reduction }, targets, { loss, perToken });
  assert.equal(of("mean", 15).loss, 17);
  assert.equal(of("sum", 30).loss, 34);
  assert.equal(of("none").loss, undefined);
  assert.deepEqual([...of("none").perToken], [11, 0, 23]);
  const some = overIds(
    { reduction: "mean" },
    targets,
    { logprob: Float64Array.of(-5) },
    Int32Array.of(2),
  );
  assert.deepEqual([...some.logprob], [-8]);
});

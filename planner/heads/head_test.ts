import assert from "node:assert/strict";
import fc from "fast-check";
import { SPECIFICATION_DEFAULTS } from "../device.ts";
import { DoesNotFitError, makePlan } from "../plan.ts";
import { headOf, ownedBytes, resized, SeveralHeadsError, wantedGradients } from "../problem.ts";
import { flatProblem, parseProblem, problemJson, problemSchema } from "../problem_schema.ts";
import { STRATEGIES } from "../schedule/schedule.ts";
import { problems, SEED } from "../testing.ts";

const student = { name: "student", hidden: 8, vocab: 40, bias: true };
const teacher = { name: "teacher", hidden: 16, vocab: 40, bias: true, frozen: true };
const both = parseProblem({ tokens: 6, heads: [student, teacher], pass: "train" });

Deno.test("a problem's JSON parses back to it, plain where it has one head", () => {
  fc.assert(
    fc.property(problems, (problem) => {
      const json = JSON.parse(JSON.stringify(problemJson(problem)));
      assert.equal(json.vocab, headOf(problem).vocab);
      assert(!("heads" in json));
      assert.deepEqual(parseProblem(json), problem);
    }),
    SEED,
  );
  const frozen = parseProblem({ heads: [teacher] });
  for (const problem of [both, frozen]) {
    assert.deepEqual(parseProblem(JSON.parse(JSON.stringify(problemJson(problem)))), problem);
  }
});

Deno.test("a frozen head has the gradient of its hidden states alone", () => {
  const wanted = (index: number) => [...wantedGradients(both, both.heads[index])];
  assert.deepEqual(wanted(0), ["hidden", "weight", "bias"]);
  assert.deepEqual(wanted(1), ["hidden"]);
  // Inputs and gradients, f32: 6 and 40 rows, the teacher's weight without a gradient.
  assert.equal(ownedBytes(both), 4 * (8 * (2 * 6 + 2 * 40) + 16 * (2 * 6 + 40)));
});

Deno.test("what serves one head says so where there are several", () => {
  assert.throws(() => headOf(both), /heads student, teacher/);
  for (const refused of [headOf, flatProblem, wantedGradients]) {
    assert.throws(() => refused(both), SeveralHeadsError);
  }
  assert.throws(() => resized(both, { tokens: 3 }), SeveralHeadsError);
  for (const strategy of STRATEGIES) {
    const planned = () => makePlan(both, SPECIFICATION_DEFAULTS, { strategy });
    assert.throws(planned, DoesNotFitError);
    assert.throws(planned, new RegExp(`${strategy} serves one head, and there are 2`));
  }
});

Deno.test("faults of heads are found where they are", () => {
  const faults = (input: unknown) =>
    problemSchema().safeParse(input).error!.issues.map(({ path, message }) =>
      `${path.join(".")}: ${message}`
    );
  assert.match(faults({ heads: [student, student] })[0]!, /^heads\.1\.name: is another head's/);
  assert.match(faults({ heads: [student, { ...teacher, hidden: 0 }] })[0]!, /^heads\.1\.hidden: /);
  assert.match(faults({ heads: [] })[0]!, /^heads: /);
  assert.match(faults({ heads: [{ ...student, name: "A" }] })[0]!, /^heads\.0\.name: .*small/);
  assert.match(faults({ heads: [student], vocab: 40 })[0]!, /has the unknown field vocab/);
  const frozen = { heads: [teacher], gradients: ["weight"] };
  assert.match(faults(frozen)[0]!, /^gradients: cannot include weight where every head is frozen/);
});

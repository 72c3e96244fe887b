import assert from "node:assert/strict";
import { parseProblem } from "../../planner/problem_schema.ts";
import { tokenResults, tokenStride, TOTALS } from "../../planner/schedule/layout.ts";
import { decodeResults } from "./results.ts";

Deno.test("gradients of more than 2 GiB are viewed whole", () => {
  const problem = parseProblem({ tokens: 3, hidden: 2, vocab: 5 });
  const words = (count: number) => new Uint8Array(4 * count);
  // Never written to, so the system need not find the memory.
  const grad_weight = new Uint8Array(2 ** 31 + 8);
  const outputs = {
    loss: words(1),
    tokens: words(tokenResults(problem).length * tokenStride(problem)),
    totals: words(TOTALS.length),
    grad_weight,
  };
  assert.equal(decodeResults(problem, outputs).gradWeight!.length, 2 ** 29 + 2);
});

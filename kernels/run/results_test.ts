import assert from "node:assert/strict";
import { parseProblem } from "../../planner/problem.ts";
import { hostTensors } from "../wgsl/host_tensors.ts";
import { decodeResults } from "./results.ts";

Deno.test("gradients of more than 2 GiB are viewed whole", () => {
  const problem = parseProblem({ tokens: 3, hidden: 2, vocab: 5 });
  const words = (name: string) =>
    new Uint8Array(4 * hostTensors(problem)[name]!.shape.reduce((a, b) => a * b));
  // Never written to, so the system need not find the memory.
  const grad_weight = new Uint8Array(2 ** 31 + 8);
  const outputs = {
    ...Object.fromEntries(["loss", "tokens", "totals"].map((name) => [name, words(name)])),
    grad_weight,
  };
  assert.equal(decodeResults(problem, outputs).gradWeight!.length, 2 ** 29 + 2);
});

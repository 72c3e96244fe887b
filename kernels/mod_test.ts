import assert from "node:assert/strict";
import { SPECIFICATION_DEFAULTS } from "../planner/device.ts";
import { makePlan } from "../planner/plan.ts";
import { parseProblem } from "../planner/problem.ts";
import type { Dispatch } from "../planner/schedule.ts";
import { kernelKey, wgslOf } from "./mod.ts";

/** A plan with a small tile, so that the text stays readable. */
function texts(strategy: "fused" | "windowed"): Map<string, string> {
  const problem = parseProblem({
    tokens: 40,
    hidden: 24,
    vocab: 70,
    pass: strategy === "fused" ? "forward" : "train",
    bias: true,
    softcap: 30,
    labelSmoothing: strategy === "windowed" ? 0.1 : 0,
  });
  const { schedule } = makePlan(problem, SPECIFICATION_DEFAULTS, { strategy });
  const dispatches = schedule.steps.filter((step): step is Dispatch => step.kind === "dispatch");
  return new Map(dispatches.map((step) => [step.kernel, wgslOf(schedule, step)]));
}

Deno.test("the WGSL of a fused forward pass is as it was", async (t) => {
  for (const [kernel, text] of texts("fused")) await t.assertSnapshot(text, { name: kernel });
});

Deno.test("matrix kernels have one run-time loop around the depth, unrolled inside", () => {
  for (const [kernel, text] of [...texts("fused"), ...texts("windowed")]) {
    if (!text.includes("fma(")) continue;
    const loops = text.match(/\bfor \(var k = 0u;/g) ?? [];
    assert.equal(loops.length, 1, kernel);
    assert(!/\bvar \w+: array</.test(text), `${kernel} keeps no array in registers`);
  }
});

Deno.test("kernelKey() tells tiles and bindings apart", () => {
  const problem = parseProblem({ tokens: 40, hidden: 24, vocab: 70 });
  const { schedule } = makePlan(problem, SPECIFICATION_DEFAULTS, { strategy: "fused" });
  const forward = schedule.steps.find((step): step is Dispatch =>
    step.kind === "dispatch" && step.kernel === "forward"
  )!;
  const other = { ...forward, bindings: forward.bindings.slice(1) };
  assert.notEqual(kernelKey(forward), kernelKey(other));
  assert.equal(kernelKey(forward), kernelKey({ ...forward, params: 9 }));
});

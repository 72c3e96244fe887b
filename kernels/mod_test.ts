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
  // Of so few tokens, the hidden gradient's depth is cut into parts: then its loop is another.
  const { schedule } = makePlan(
    parseProblem({ tokens: 40, hidden: 24, vocab: 70000, pass: "train" }),
    SPECIFICATION_DEFAULTS,
    { strategy: "windowed" },
  );
  const inParts = schedule.steps.find((step): step is Dispatch =>
    step.kind === "dispatch" && step.span !== undefined && step.kernel === "hidden-gradient"
  );
  assert(inParts, "no product has its depth cut into parts");
  const kernels = [
    ...texts("fused"),
    ...texts("windowed"),
    [inParts.kernel, wgslOf(schedule, inParts)] as const,
  ];
  const products = new Set<string>();
  for (const [kernel, text] of kernels) {
    if (!text.includes("fma(")) continue;
    products.add(kernel);
    const loops = text.replace(/\/\/.*/g, "").match(/\b(for|while|loop)\b/g) ?? [];
    assert.equal(loops.length, 1, kernel);
    assert(!/\bvar \w+: array</.test(text), `${kernel} keeps no array in registers`);
  }
  assert.deepEqual(
    products,
    new Set(["forward", "logit-gradient", "weight-gradient", "hidden-gradient"]),
  );
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

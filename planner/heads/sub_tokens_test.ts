import assert from "node:assert/strict";
import { SPECIFICATION_DEFAULTS } from "../device.ts";
import { makePlan } from "../plan.ts";
import { parseProblem } from "../problem_schema.ts";

const sizes = { tokens: 1000, hidden: 96, vocab: 5000, pass: "train" } as const;
const whole = parseProblem(sizes);
const narrow = parseProblem({ ...sizes, subTokens: 8 });

Deno.test("a gradient in sub-tokens is stored in their columns, and what is kept of states beside it", () => {
  for (const strategy of ["windowed", "chunked", "two-stage"] as const) {
    const options = { strategy, ...(strategy === "windowed" ? { window: 1024, block: 256 } : {}) };
    const of = (problem: typeof whole) => {
      const { schedule, memory } = makePlan(problem, SPECIFICATION_DEFAULTS, options);
      const bytes = (tensor: string) =>
        schedule.buffers.filter(({ name, holds }) => (holds?.tensor ?? name) === tensor)
          .reduce((sum, { bytes }) => sum + bytes, 0);
      return { schedule, memory, bytes };
    };
    const [exact, estimate] = [of(whole), of(narrow)];
    assert.equal(exact.bytes("grad_weight"), 4 * 5000 * 96);
    assert.equal(estimate.bytes("grad_weight"), 4 * 5000 * 8);
    assert.equal(estimate.bytes("projections"), 4 * 1000 * 8);
    assert.equal(estimate.bytes("direction"), 4 * 12);
    assert.equal(estimate.bytes("grad_hidden"), exact.bytes("grad_hidden"));
    const found = estimate.schedule.steps.filter((step) =>
      step.kind === "dispatch" && step.kernel === "sub-tokens"
    );
    assert.equal(found.length, estimate.schedule.block.count, "once for each block");
    const products = estimate.schedule.steps.flatMap((step) =>
      step.kind === "dispatch" && step.kernel === "weight-gradient" ? [step.flops] : []
    );
    assert.equal(products.reduce((a, b) => a + b, 0), 2 * 1000 * 5000 * 8);
  }
});

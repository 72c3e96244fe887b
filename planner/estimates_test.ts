/** Estimates of time, beside what an H100 took. */
import assert from "node:assert/strict";
import { type Measured, measuredRows } from "../bench/measured.ts";
import { findDevice } from "./devices/profiles.ts";
import { makePlan } from "./plan.ts";
import { parseProblem } from "./problem_schema.ts";

/** Share by which an estimate may be off. */
const FAR = 0.1;

/** Rows that were measured with kernels or tiles that plans no longer have: `bench/estimates.md`. */
function outdated({ tokens, hidden, dtype, pass, options: { strategy } }: Measured): boolean {
  return hidden === 768 && tokens <= 1024 && pass === "train" && strategy !== "windowed" ||
    dtype === "f16" && tokens === 4096 && hidden === 4096 && pass === "forward" &&
      strategy === "two-stage";
}

Deno.test("estimates for an H100 are within 10 % of what it took, and 3 % in the mean", async () => {
  const errors: number[] = [];
  for (const row of await measuredRows()) {
    // How many tiles a filter leaves out goes by the softmax, which no plan knows.
    if (row.gradientFilter || outdated(row)) continue;
    const { tokens, hidden, vocab, dtype, pass, device, options, ms } = row;
    const problem = parseProblem(
      { tokens, hidden, vocab, dtype, pass } as Parameters<typeof parseProblem>[0],
    );
    const { cost } = makePlan(problem, findDevice(device)!.profile, options);
    assert(cost.measuredRates);
    const error = Math.abs(1000 * cost.seconds / ms - 1);
    assert(error <= FAR, `${JSON.stringify(row)}: estimated ${1000 * cost.seconds} ms`);
    errors.push(error);
  }
  assert(errors.length > 90, `${errors.length}`);
  const mean = errors.reduce((a, b) => a + b) / errors.length;
  assert(mean <= 0.03, `${mean}`);
});

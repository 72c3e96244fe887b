/** The choice among candidates that are made by hand. */
import assert from "node:assert/strict";
import type { StrategyName } from "../schedule/schedule.ts";
import type { Candidate } from "./candidate.ts";
import { bestOf, timely, worthwhile } from "./choice.ts";

const [MIB, GIB] = [2 ** 20, 2 ** 30];

function candidate(
  strategy: StrategyName,
  peakBytes: number,
  seconds: number,
  longestDispatch?: number,
): Candidate {
  return {
    shape: { strategy },
    memory: { peakBytes, extraPeakBytes: peakBytes },
    cost: { seconds, longestDispatch },
  } as unknown as Candidate;
}

Deno.test("of what is as fast within 2 % the smallest is chosen, of what is about as small the fastest", () => {
  const fast = candidate("windowed", 4 * GIB, 1);
  const small = candidate("chunked", 2 * GIB, 1.019);
  const slow = candidate("chunked", 1 * GIB, 1.021);
  assert.equal(bestOf([fast, small, slow]), small);
  // 1 % of the smallest is no saving, where that is below 64 MiB.
  const about = candidate("windowed", 2 * GIB + 20 * MIB, 1);
  assert.equal(bestOf([fast, small, slow, about]), about);
  assert.equal(bestOf([small, candidate("windowed", 2 * GIB + 21 * MIB, 1)]), small);
  assert.equal(worthwhile(GIB), GIB / 100);
  assert.equal(worthwhile(100 * GIB), 64 * MIB);
});

Deno.test("logits are stored where that is about as small and no slower, and else never", () => {
  const windowed = candidate("windowed", 2 * GIB, 1);
  const chosen = (peakBytes: number, seconds: number) =>
    bestOf([windowed, candidate("two-stage", peakBytes, seconds)]).shape.strategy;
  assert.equal(chosen(2 * GIB + 20 * MIB, 1.019), "two-stage");
  assert.equal(chosen(2 * GIB + 21 * MIB, 0.5), "windowed");
  assert.equal(chosen(2 * GIB, 1.021), "windowed");
});

Deno.test("no candidate with a dispatch of more than a tenth of a second is looked at, where one has none", () => {
  const long = candidate("windowed", 1, 1, 0.11);
  const short = candidate("windowed", 1, 1, 0.1);
  assert.deepEqual(timely([long, short]), [short]);
  assert.deepEqual(timely([long, candidate("windowed", 1, 1, 0.2)]), [long]);
});

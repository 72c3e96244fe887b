import assert from "node:assert/strict";
import { SPECIFICATION_DEFAULTS } from "../device.ts";
import { ASSUMED_RATES } from "../tuning.ts";
import { makePlan } from "../plan.ts";
import { parseProblem } from "../problem_schema.ts";
import { HOST_BYTES_PER_SECOND } from "../tuning.ts";

const problem = parseProblem({ tokens: 512, hidden: 256, vocab: 40000 });

/** The plan of a weight that is streamed, where the device's rates say more than what is assumed. */
function streamed(more: { hostBytesPerSecond?: number; cacheBytes?: number }) {
  const device = { ...SPECIFICATION_DEFAULTS, rates: { ...ASSUMED_RATES, ...more } };
  return makePlan(problem, device, { weights: "streamed", block: 512, window: 4096 });
}

Deno.test("what is streamed takes as long as the device's rates say, or as is assumed", () => {
  const assumed = streamed({}).cost;
  const { seconds } = streamed({ hostBytesPerSecond: HOST_BYTES_PER_SECOND / 4 }).cost;
  const slower = (3 * assumed.transferred) / HOST_BYTES_PER_SECOND;
  assert(Math.abs(seconds - assumed.seconds - slower) < 1e-9 * seconds);
});

Deno.test("tiles come in bands where hidden states are past the device's caches", () => {
  const tall = parseProblem({ tokens: 4096, hidden: 256, vocab: 1000 });
  const orders = [4096 * 256 * 4, 4096 * 256 * 4 - 1].map((cacheBytes) => {
    const device = { ...SPECIFICATION_DEFAULTS, rates: { ...ASSUMED_RATES, cacheBytes } };
    return makePlan(tall, device).schedule.steps
      .some((step) => step.kind === "dispatch" && step.order !== undefined);
  });
  assert.deepEqual(orders, [false, true]);
});

import assert from "node:assert/strict";
import { SPECIFICATION_DEFAULTS } from "./device.ts";
import { findDevice } from "./devices/profiles.ts";
import type { LinkRates } from "./links.ts";
import { ParallelismError, planParallel } from "./parallel.ts";
import { DoesNotFitError } from "./plan.ts";
import { parseProblem } from "./problem_schema.ts";
import { dominatedFrom, ranksUpTo, scale } from "./scaling.ts";
import { factorisations, planSplits, rankTime } from "./splits.ts";

const H100 = findDevice("h100-deno")!.profile;

const links = (bytesPerSecond: number, seconds = 1e-5): LinkRates => {
  const each = { seconds, bytesPerSecond };
  return {
    ranksPerHost: 1,
    within: { allReduce: each, reduceScatter: each, allGather: each },
    staging: { seconds: 0, bytesPerSecond: 1e15 },
  };
};

const PROBLEM = parseProblem({ tokens: 4096, hidden: 1024, vocab: 32000, pass: "train" });

Deno.test("every factorisation is looked at, once, and no other", () => {
  const found = factorisations(12).map(({ tensor, data, sequence }) => [tensor, data, sequence]);
  assert.deepEqual(
    found.filter(([, , sequence]) => !sequence).map(([tensor]) => tensor),
    [1, 2, 3, 4, 6, 12],
  );
  assert(found.every(([tensor, data]) => Number(tensor) * Number(data) === 12));
  assert.equal(new Set(found.map(String)).size, 11);
});

Deno.test("the best split is the fastest, and its time that of its plan", () => {
  const { best, candidates } = planSplits(PROBLEM, H100, 8, {}, links(1e10));
  assert.equal(candidates[0], best);
  assert.equal(candidates.length, 7);
  const alone = planParallel(PROBLEM, H100, best.parallelism);
  assert.deepEqual(best.planned.time, rankTime(alone, links(1e10)));
  assert(best.planned.time.measured);
  for (const { planned, verdict } of candidates.slice(1)) {
    const slower = planned!.time.seconds / best.planned.time.seconds;
    assert(slower > 1 / 1.02);
    assert.match(verdict, slower > 1.02 ? /times as long: more (traffic|work)/ : /as fast/);
  }
});

Deno.test("no split is faster than the best by more than counts, be it as small", () => {
  let smaller = 0;
  // Where steps take long, replicas win, which have fewer collectives and more of the weight.
  for (const [bytesPerSecond, seconds] of [[1e6, 0], [1e9, 1e-5], [1e15, 10]] as const) {
    const problem = { ...PROBLEM, reduction: "sum" } as const;
    const { best, candidates } = planSplits(problem, H100, 8, {}, links(bytesPerSecond, seconds));
    const planned = candidates.flatMap(({ planned }) => planned ?? []);
    const fastest = Math.min(...planned.map(({ time }) => time.seconds));
    assert(best.planned.time.seconds <= 1.02 * fastest);
    const peak = (each: typeof best.planned) => each.plan.largest.memory.peakBytes;
    smaller += planned.filter((each) => peak(each) < peak(best.planned)).length;
  }
  assert(smaller > 0, "memory alone would have chosen otherwise");
});

Deno.test("where traffic costs nothing much own work decides, and where it costs all, traffic", () => {
  const traffic = (bytesPerSecond: number) => {
    const { best } = planSplits(PROBLEM, H100, 8, {}, links(bytesPerSecond));
    const { plan } = best.planned;
    return plan.collectives.reduce((sum, { bytes }) => sum + bytes, 0);
  };
  // 4096 x 1024 hidden gradients are told by tensor ranks, 32000 x 1024 weight gradients by replicas.
  assert(traffic(1e6) < 2 * 4 * 4096 * 1024);
  assert(traffic(1e6) <= traffic(1e15));
});

Deno.test("splits that cannot be say why, and where none can, so does the error", () => {
  const odd = { ...PROBLEM, tokens: 4099 };
  const { candidates } = planSplits(odd, H100, 4, {}, links(1e10));
  const unable = candidates.filter(({ planned }) => !planned);
  assert.equal(unable.length, 2);
  for (const { parallelism, verdict } of unable) {
    assert(parallelism.sequence);
    assert.match(verdict, /pad them to 4100/);
  }
  const few = parseProblem({ tokens: 2, hidden: 8, vocab: 3 });
  assert.throws(() => planSplits(few, SPECIFICATION_DEFAULTS, 64), ParallelismError);
  assert.throws(() => planSplits(PROBLEM, H100, 4, { budget: 1000 }), DoesNotFitError);
});

Deno.test("without measured rates there are no times", () => {
  const { best } = planSplits(PROBLEM, SPECIFICATION_DEFAULTS, 4, {}, links(1e10));
  assert.equal(best.planned.time.measured, false);
  assert.equal(planSplits(PROBLEM, H100, 4).best.planned.time.measured, false);
});

Deno.test("strong scaling does the same, weak scaling as much by each rank", () => {
  assert.deepEqual(ranksUpTo(12), [1, 2, 4, 8, 12]);
  const small = parseProblem({ tokens: 1024, hidden: 256, vocab: 8000, pass: "train" });
  for (const scaling of ["strong", "weak"] as const) {
    const points = [...scale(small, H100, { scaling, most: 8 }, {}, links(1e11))];
    assert.deepEqual(points.map(({ ranks }) => ranks), [1, 2, 4, 8]);
    for (const { ranks, tokens, best, efficiency } of points) {
      assert.equal(tokens, scaling === "weak" ? 1024 * ranks : 1024);
      const first = points[0]!.best!.planned.time.seconds;
      const ideal = scaling === "weak" ? first : first / ranks;
      const share = ideal / best!.planned.time.seconds;
      assert(Math.abs(efficiency! - share) < 1e-12);
    }
  }
});

Deno.test("traffic dominates from where it stays above own work", () => {
  const small = parseProblem({ tokens: 1024, hidden: 256, vocab: 8000, pass: "train" });
  const from = (bytesPerSecond: number) => {
    const how = { scaling: "strong", most: 64 } as const;
    const points = [...scale(small, H100, how, {}, links(bytesPerSecond, 0))];
    return dominatedFrom(points);
  };
  assert.equal(from(1e6), 2);
  assert.equal(from(1e15), undefined);
});

Deno.test("of what is told while something is computed, as much costs no time as goes on meanwhile", () => {
  const split = { tensor: 2, data: 1, sequence: false, overlap: true };
  const at = { strategy: "chunked", block: 1024 } as const;
  const plan = planParallel(PROBLEM, H100, split, at);
  const flying = plan.collectives.filter(({ flight }) => flight !== undefined);
  assert.equal(flying.length, 4);
  // Half of a rank's tokens are sent, in both passes: 1024 x 1024 floats, by one of two ranks.
  const sending = (rates: LinkRates) =>
    2 * rates.within.allReduce.seconds +
    4 * 1024 * 1024 / rates.within.allReduce.bytesPerSecond;
  // The last block's goes on beside no more than the sum of the loss.
  const fast = links(1e12);
  const time = rankTime(plan, fast);
  assert(time.overlapped >= 3 * sending(fast) && time.overlapped < 4 * sending(fast));
  assert.equal(time.seconds, time.compute + time.collectives - time.overlapped);
  // No more is hidden than there is to compute: a block's logits and what they come to.
  const slow = rankTime(plan, links(1e3));
  assert(slow.overlapped > 0 && slow.overlapped < 0.75 * slow.compute);
  const once = planParallel(PROBLEM, H100, { ...split, overlap: false }, at);
  assert.equal(rankTime(once, fast).overlapped, 0);
});

/**
 * Tuning of a device with subgroup matrices, on a model of one: a run takes no time there, and
 * each takes as long.
 */
import assert from "node:assert/strict";
import { modelDevice } from "../../kernels/testing/model_device.ts";
import { findDevice } from "../../planner/devices/profiles.ts";
import { makePlan } from "../../planner/plan.ts";
import { parseProblem } from "../../planner/problem_schema.ts";
import { feasibleTiles, tierOf } from "../../planner/schedule/tile.ts";
import { tuneText } from "../report/tune.ts";
import { withCache } from "../testing.ts";
import { tilesToTune, tune } from "./tune.ts";
import { keepTunedRates, withTunedRates } from "./tuned.ts";

const PEAKS = { flopsPerSecond: 1e13, bytesPerSecond: 1e12, secondsPerDispatch: 1e-5 };

/** A device that nobody has measured, of a chip that has what an H100 has. */
const UNKNOWN = { ...findDevice("h100-dawn")!.profile, name: "another chip", rates: undefined };

const KINDS = ["registers", "matrix", "split"] as const;

/** Tunes the model on a problem. */
async function tuned(problem: ReturnType<typeof parseProblem>) {
  const device = modelDevice({ features: ["timestamp-query"] });
  const { registers, others } = tilesToTune(UNKNOWN, { quick: true });
  const tiles = [...registers, ...others];
  const options = { repeats: 1, budgetMs: 1, warmUpMs: 0, tiles, onProgress: () => {} };
  return await tune(problem, { device, profile: UNKNOWN, software: false }, PEAKS, options);
}

Deno.test("tuning measures products in subgroup matrices too, and plans then know their time", () =>
  withCache(async () => {
    const problem = parseProblem({ tokens: 256, hidden: 256, vocab: 1024, pass: "train" });
    const { rates, results } = await tuned(problem);
    for (const kind of KINDS) {
      const of = results.filter(({ tile }) => tile.body.kind === kind);
      assert.equal(of.length, feasibleTiles(kind, UNKNOWN).length);
      const one = kind === "registers" ? rates : rates[kind]!;
      assert.equal(one.flopsPerSecond, Number(of[0]!.flopsPerSecond!.toPrecision(4)));
      assert.equal(one.tiles![0]!.rate, 1);
      assert(one.tiles!.every(({ body, rate }) => body.kind === kind && rate <= 1));
      assert(one.parallelInvocations >= 1);
    }
    await keepTunedRates(UNKNOWN, { ...rates, source: "a test" });
    const device = await withTunedRates(UNKNOWN);
    assert.deepEqual(device.rates, { ...rates, source: "a test" });
    for (const [dtype, tier] of [["f16", "matrix"], ["f32", "split"]] as const) {
      const asked = parseProblem({ tokens: 1024, hidden: 1024, vocab: 8192, dtype });
      const { cost, shape } = makePlan(asked, device, { tier });
      assert.equal(tierOf(shape.tile), tier);
      assert(cost.measuredRates && cost.longestDispatch! > 0);
      // Nobody knows it of a device whose matrices were not measured.
      const { matrix: _, split: __, ...others } = device.rates!;
      assert(!makePlan(asked, { ...device, rates: others }, { tier }).cost.measuredRates);
    }
  }));

Deno.test("tiles in matrices are left out, with the reason, where a hidden size is none of theirs", async () => {
  const problem = parseProblem({ tokens: 64, hidden: 60, vocab: 1024, pass: "train" });
  const { rates, results } = await tuned(problem);
  assert.deepEqual([rates.matrix, rates.split], [undefined, undefined]);
  const text = tuneText({
    device: UNKNOWN.name,
    ...{ problem, peaks: PEAKS, rates, results, kept: undefined },
  });
  assert.match(text, /2x2 of 16x16x16 +- +.*multiple of 8, and this is 60/);
});

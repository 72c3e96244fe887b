/**
 * What problems of ordinary size and spread do not reach: a last band of token
 * tiles that is lower, more tokens than a workgroup adds up in one round, sums in
 * parts, equal logits, masked ones, entropies of almost nothing, and which tiles a
 * filter leaves out.
 */
import assert from "node:assert/strict";
import { withDevice } from "../../testing/device.ts";
import { checkAgreement } from "../../fixtures/verify/agreement.ts";
import { decodeElements } from "../../fixtures/elements.ts";
import { type Fixture, type HeldFixture, uploads } from "../../fixtures/fixture.ts";
import { computeReference } from "../../fixtures/reference/reference.ts";
import { makeSynthetic } from "../../fixtures/synthetic.ts";
import { makePlan, type PlanOptions } from "../../planner/plan.ts";
import { headOf, type ProblemInput } from "../../planner/problem.ts";
import { parseProblem } from "../../planner/problem_schema.ts";
import { ranges } from "../../planner/schedule/matrix.ts";
import type { Schedule, Step } from "../../planner/schedule/schedule.ts";
import { registerTile } from "../../planner/schedule/tile.ts";
import type { AcquiredDevice } from "./device.ts";
import { execute } from "./execute.ts";
import { decodeResults, type Results } from "./results.ts";

function planFor({ problem }: Fixture, { profile }: AcquiredDevice, options: PlanOptions) {
  return makePlan(problem, profile, { ...options, hostIo: true }).schedule;
}

async function run(
  fixture: Fixture,
  schedule: Schedule,
  { device }: AcquiredDevice,
): Promise<Results> {
  const { outputs } = await execute(schedule, device, { inputs: uploads(fixture) });
  return decodeResults(fixture.problem, outputs);
}

async function assertAgrees(fixture: Fixture, results: Results, what: string): Promise<void> {
  const { ok, checks } = await checkAgreement(fixture, results, await computeReference(fixture));
  assert(ok, `${what}: ${JSON.stringify(checks.filter(({ ok }) => !ok))}`);
}

const TILE = registerTile([32, 32, 16], [4, 4]);

Deno.test("tiles in bands give the results of the plain order, also where the last band is lower", () =>
  withDevice(async (acquired) => {
    // Five token tiles: bands of two leave one over, bands of nine are never full.
    const problem = parseProblem({ tokens: 150, hidden: 12, vocab: 170, pass: "train" });
    const fixture = makeSynthetic(problem, 11);
    for (const strategy of ["windowed", "chunked"] as const) {
      const plain = planFor(fixture, acquired, { strategy, tile: TILE });
      for (const band of [2, 9]) {
        let banded = 0;
        const steps = plain.steps.map((step): Step => {
          if (step.kind !== "dispatch") return step;
          if (!["forward", "project", "logit-gradient"].includes(step.kernel)) return step;
          banded++;
          return { ...step, order: { band } };
        });
        assert(banded > 0);
        const results = await run(fixture, { ...plain, steps }, acquired);
        await assertAgrees(fixture, results, `${strategy}, bands of ${band}`);
      }
    }
  }));

Deno.test("every token counts, also where a workgroup adds them up in several rounds", () =>
  withDevice(async (acquired) => {
    // 64 invocations take 64 tokens each at a time: 4,096. Selecting goes by 1,024.
    const problem = parseProblem({ tokens: 4096 + 1024 + 7, hidden: 4, vocab: 9, pass: "train" });
    const fixture = makeSynthetic(problem, 12);
    const results = await run(
      fixture,
      planFor(fixture, acquired, { strategy: "chunked" }),
      acquired,
    );
    await assertAgrees(fixture, results, "5127 tokens");
    assert.equal(
      results.kept,
      fixture.tensors.targets.filter((id) => id !== problem.ignoreIndex).length,
    );
  }));

Deno.test("hidden gradients in parts and whole add up over windows, stored logits' as well", () =>
  withDevice(async (acquired) => {
    // A device on which the weight spans buffers, so that stored logits are of several windows.
    const { limits } = acquired.profile;
    const size = 200 * 1024;
    const small = { ...limits, maxBufferSize: size, maxStorageBufferBindingSize: size };
    const confined = { ...acquired, profile: { name: "confined", limits: small } };
    for (
      const [strategy, hidden, vocab, window] of [
        ["windowed", 8, 3000, 256],
        ["windowed", 150, 700, 256],
        ["chunked", 150, 700, undefined],
      ] as const
    ) {
      const fixture = makeSynthetic(
        parseProblem({ tokens: 40, hidden, vocab, pass: "train", bias: true }),
        15,
      );
      const schedule = planFor(fixture, confined, { strategy, tile: TILE, window });
      const what = `${strategy}, ${hidden} x ${vocab}`;
      assert(schedule.window.count > 1, what);
      const inParts = schedule.steps.some((step) =>
        step.kind === "dispatch" && step.kernel === "hidden-sum"
      );
      assert.equal(inParts, hidden === 8, what);
      await assertAgrees(fixture, await run(fixture, schedule, acquired), what);
    }
  }));

Deno.test("the predicted id is the smallest among equals, whoever holds the others", () =>
  withDevice(async (acquired) => {
    const tokens = 40;
    for (
      const [pass, strategy, window] of [
        ["forward", "fused", 64],
        ["forward", "fused", 300],
        ["train", "chunked", undefined],
      ] as const
    ) {
      // Every logit is its bias: the largest at some ids of one invocation, of several, of several
      // tiles and of several windows, never at the first.
      for (const largest of [[3, 4], [7, 40], [9, 38, 70], [65, 130, 299], [5, 6, 7, 250]]) {
        const problem = parseProblem({
          tokens,
          hidden: 4,
          vocab: 300,
          pass,
          bias: true,
          statistics: ["predicted"],
        });
        const { tensors, ...synthetic } = makeSynthetic(problem, 13);
        const fixture: Fixture = {
          ...synthetic,
          tensors: {
            ...tensors,
            hidden: new Uint8Array(tensors.hidden.length),
            targets: new Int32Array(tokens).fill(8),
            bias: Float32Array.from({ length: 300 }, (_, id) => largest.includes(id) ? 1 : 0),
          },
        };
        const schedule = planFor(fixture, acquired, { strategy, tile: TILE, window });
        const { predicted } = await run(fixture, schedule, acquired);
        assert.deepEqual(
          new Set(predicted),
          new Set([largest[0]]),
          `${strategy}, window ${window}, equal at ${largest}`,
        );
      }
    }
  }));

/**
 * Returns a fixture whose every token has the same logits: the bias, as its hidden states are zero.
 */
function ofLogits(logits: Float32Array, options: Partial<ProblemInput>): Fixture {
  const problem = parseProblem({
    tokens: 3,
    hidden: 4,
    vocab: logits.length,
    bias: true,
    ...options,
  });
  const { tensors, ...synthetic } = makeSynthetic(problem, 16);
  const targets = Int32Array.from({ length: 3 }, (_, token) => 70 * token + 1);
  const hidden = new Uint8Array(tensors.hidden.length);
  return { ...synthetic, tensors: { ...tensors, hidden, targets, bias: logits } };
}

Deno.test("entropies of almost nothing are exact, whichever sets meet", () =>
  withDevice(async (acquired) => {
    for (const gap of [17, 60]) {
      for (const likely of [5, 299]) {
        const logits = new Float32Array(300).fill(-gap);
        logits[likely] = 0;
        // H = log(1 + r) + r gap / (1 + r), where r is the sum of the others' exponentials.
        const rest = 299 * Math.exp(-gap);
        const exact = Math.log1p(rest) + (rest * gap) / (1 + rest);
        for (
          const [strategy, pass, window] of [
            ["fused", "forward", 64],
            ["fused", "forward", 300],
            ["chunked", "train", undefined],
          ] as const
        ) {
          const fixture = ofLogits(logits, { pass, statistics: ["entropy"] });
          const schedule = planFor(fixture, acquired, { strategy, tile: TILE, window });
          const { entropy } = await run(fixture, schedule, acquired);
          for (const value of entropy!) {
            // exp2's argument is rounded, to 2^-24 of up to 87: 4e-6 of each exponential. A few
            // more roundings follow.
            const error = Math.abs(value - exact) / exact;
            assert(error < 1e-5, `${strategy}, gap ${gap}: ${value}, not ${exact} (${error})`);
          }
        }
      }
    }
  }));

Deno.test("ids that are masked by the lowest f32 have no share in anything, under any scale", () =>
  withDevice(async (acquired) => {
    const LOWEST = -3.4028234663852886e38;
    const logits = Float32Array.from(
      { length: 300 },
      (_, id) => id % 7 === 3 ? LOWEST : Math.sin(id),
    );
    for (const logitScale of [1, 2, 0.5]) {
      for (const strategy of ["windowed", "chunked"] as const) {
        const fixture = ofLogits(logits, { pass: "train", objective: "statistics", logitScale });
        const schedule = planFor(fixture, acquired, { strategy, tile: TILE });
        const results = await run(fixture, schedule, acquired);
        await assertAgrees(fixture, results, `${strategy}, scale ${logitScale}`);
        assert(results.gradBias!.every((value, id) => id % 7 !== 3 || value === 0));
      }
    }
  }));

Deno.test("a gradient filter leaves out the tiles below its threshold, and no others", () =>
  withDevice(async (acquired) => {
    const threshold = 2 ** -12;
    const problem = parseProblem({
      tokens: 90,
      hidden: 16,
      vocab: 1024,
      pass: "train",
      bias: true,
      gradientFilter: threshold,
    });
    const made = makeSynthetic(problem, 14);
    // Ids are less and less likely, so that every step of the threshold has tiles of its own; the
    // last tokens' targets are such that only they are worth a multiplication.
    const fixture: HeldFixture = {
      ...made,
      tensors: {
        ...made.tensors,
        bias: made.tensors.bias!.map((_, id) => (-24 * id) / headOf(problem).vocab),
        targets: made.tensors.targets.map((id, token) => token >= 64 ? 900 + token : id),
      },
    };
    for (const strategy of ["windowed", "chunked", "two-stage"] as const) {
      const schedule = planFor(fixture, acquired, {
        strategy,
        tile: TILE,
        block: 64,
        ...(strategy === "windowed" ? { window: 256 } : {}),
      });
      const expected = filtered(fixture, schedule, threshold);
      const results = await run(fixture, schedule, acquired);
      assert.equal(results.skippedTiles, expected.share, strategy);
      assertClose(results.gradBias!, expected.gradBias, `${strategy} gradBias`);
      assertClose(results.gradWeight!, expected.gradWeight, `${strategy} gradWeight`);
      assertClose(results.gradHidden!, expected.gradHidden, `${strategy} gradHidden`);
    }
  }));

/** Asserts what is allowed of gradients: an error of 1e-5 of their norm. */
function assertClose(ours: Float32Array, theirs: Float64Array, what: string): void {
  assert.equal(ours.length, theirs.length, what);
  const squares = theirs.reduce((sum, value) => sum + value * value, 0);
  const error = theirs.reduce((sum, value, index) => sum + (ours[index]! - value) ** 2, 0);
  assert(Math.sqrt(error / squares) <= 1e-5, `${what}: off by ${Math.sqrt(error / squares)}`);
}

/** What a filter should do, in float64: the share of tiles left out, and the gradients without them. */
function filtered({ problem, tensors }: HeldFixture, schedule: Schedule, threshold: number) {
  const { tokens, ignoreIndex } = problem;
  const { hidden, vocab } = headOf(problem);
  const [states, weight] = [tensors.hidden, tensors.weight].map((bytes) =>
    decodeElements(headOf(problem).dtype, bytes)
  );
  const kept = Array.from(tensors.targets.keys()).filter((row) =>
    tensors.targets[row] !== ignoreIndex
  );
  const gradients = new Map(kept.map((row) => {
    const z = Float64Array.from({ length: vocab }, (_, id) => {
      let sum = tensors.bias![id]!;
      for (let d = 0; d < hidden; d++) {
        sum += states![row * hidden + d]! * weight![id * hidden + d]!;
      }
      return sum;
    });
    const largest = z.reduce((most, value) => Math.max(most, value), -Infinity);
    const total = z.reduce((sum, value) => sum + Math.exp(value - largest), 0);
    const target = tensors.targets[row]!;
    return [
      row,
      z.map((value, id) => Math.exp(value - largest) / total - (id === target ? 1 : 0)),
    ];
  }));
  const gradHidden = new Float64Array(tokens * hidden);
  const gradWeight = new Float64Array(vocab * hidden);
  const gradBias = new Float64Array(vocab);
  let [tiles, idle, closest] = [0, 0, Infinity];
  for (const block of ranges(tokens, schedule.block.tokens)) {
    const rows = kept.filter((row) => row >= block.start && row < block.start + block.count);
    for (const inBlock of ranges(rows.length, schedule.tile.rows)) {
      for (const window of ranges(vocab, schedule.window.vocab)) {
        for (const inWindow of ranges(window.count, schedule.tile.cols)) {
          const tileRows = rows.slice(inBlock.start, inBlock.start + inBlock.count);
          const ids = Array.from(
            { length: inWindow.count },
            (_, column) => window.start + inWindow.start + column,
          );
          const deviation = Math.max(
            ...tileRows.flatMap((row) => ids.map((id) => Math.abs(gradients.get(row)![id]!))),
          );
          closest = Math.min(closest, Math.abs(deviation / threshold - 1));
          tiles++;
          if (deviation < threshold) {
            idle++;
            continue;
          }
          for (const row of tileRows) {
            for (const id of ids) {
              const dz = gradients.get(row)![id]! / kept.length;
              gradBias[id]! += dz;
              for (let d = 0; d < hidden; d++) {
                gradHidden[row * hidden + d]! += dz * weight![id * hidden + d]!;
                gradWeight[id * hidden + d]! += dz * states![row * hidden + d]!;
              }
            }
          }
        }
      }
    }
  }
  assert(closest > 1e-3, `no tile may be so near the threshold that rounding decides: ${closest}`);
  assert(idle > 0 && idle < tiles);
  return { share: idle / tiles, gradHidden, gradWeight, gradBias };
}

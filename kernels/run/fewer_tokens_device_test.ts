import assert from "node:assert/strict";
import type { HeldFixture } from "../../fixtures/fixture.ts";
import { makeSynthetic } from "../../fixtures/synthetic.ts";
import {
  LinearCrossEntropy,
  packUpstream,
  parseProblem,
  plan,
  type PlanOptions,
} from "../../mod.ts";
import { bytesOf } from "../../fixtures/elements.ts";
import { EMULATED } from "../testing/alone.ts";
import { passMethods } from "../testing/methods.ts";
import { assertAgrees, lay, withBench } from "../../testing/workbench.ts";
import type { Problem } from "../../planner/problem.ts";

const problem = parseProblem({
  ...{ tokens: 150, hidden: 20, vocab: 700, bias: true, ignoreIndex: 3, zLoss: 1e-3 },
  pass: "train",
});

/** The same of fewer tokens, in inputs of its own. */
function shorter(of: Problem, tokens: number): HeldFixture {
  return makeSynthetic({ ...of, tokens }, tokens);
}

const WAYS: readonly (PlanOptions & { readonly counts: readonly number[] })[] = [
  { strategy: "windowed", block: 64, window: 256, counts: [1, 64, 65, 149] },
  { strategy: "windowed", counts: [65] },
  { strategy: "chunked", block: 64, counts: [1, 65] },
  { strategy: "two-stage", counts: [65] },
];

Deno.test("a step of fewer tokens than planned is one of a plan of so many, whatever the step before left", () =>
  withBench(async (bench) => {
    for (const { counts, ...options } of WAYS) {
      const head = await LinearCrossEntropy.create(
        bench.device,
        plan(problem, bench.profile, options),
      );
      const whole = makeSynthetic(problem, 7);
      const before = lay(bench, head, whole);
      for (const tokens of counts) {
        head.lossAndGradients(before.inputs, before.gradients);
        const fixture = shorter(problem, tokens);
        const laid = lay(bench, head, fixture);
        assert.equal(laid.inputs.targets.size, 4 * tokens);
        assert.equal(laid.gradients.hidden[0]!.size, 4 * 20 * tokens);
        head.lossAndGradients(laid.inputs, laid.gradients, undefined, { tokens });
        assert.equal((await head.readResults()).lse.length, tokens);
        await assertAgrees(head, fixture, laid);
      }
      head.lossAndGradients(before.inputs, before.gradients);
      await assertAgrees(head, whole, before);
      head.destroy();
    }
  }));

Deno.test(
  "so it is in matrices, filtered, passes apart, with upstream gradients and in pieces of buffers",
  {
    ignore: Deno.env.has("LCE_SLOW_COMPILER"),
  },
  () =>
    withBench(async (bench) => {
      const sizes = { tokens: 150, hidden: 24, vocab: 700, pass: "train" } as const;
      const inMatrices = async (of: Problem) => {
        const options = { strategy: "windowed", block: 64, tile: EMULATED } as const;
        return await LinearCrossEntropy.create(bench.device, plan(of, bench.profile, options));
      };
      for (const filter of [{}, { gradientFilter: 0.02 }]) {
        const halves = parseProblem({ ...sizes, dtype: "f16", ...filter });
        const head = await inMatrices(halves);
        const before = lay(bench, head, makeSynthetic(halves, 7));
        head.lossAndGradients(before.inputs, before.gradients);
        const fixture = shorter(halves, 65);
        const laid = lay(bench, head, fixture);
        head.lossAndGradients(laid.inputs, laid.gradients, undefined, { tokens: 65 });
        const { skippedTiles } = await head.readResults();
        if (skippedTiles === undefined) {
          await assertAgrees(head, fixture, laid, "matrix");
          continue;
        }
        // Tiles of tokens that the step does not have are none that the filter left out or kept.
        const alone = await inMatrices(fixture.problem);
        alone.lossAndGradients(laid.inputs, laid.gradients);
        assert(skippedTiles > 0 && skippedTiles < 1, `${skippedTiles}`);
        assert.equal(skippedTiles, (await alone.readResults()).skippedTiles);
      }

      const each = parseProblem({ ...sizes, hidden: 96, reduction: "none" });
      const small = {
        ...bench.profile,
        limits: { ...bench.profile.limits, maxBufferSize: 96 * 4 * 64 },
      };
      const cut = await LinearCrossEntropy.create(
        bench.device,
        plan(each, small, { strategy: "windowed", window: 64 }),
      );
      assert.deepEqual(cut.layout("hidden", 70).map(({ bytes }) => bytes), [24576, 6 * 96 * 4]);
      for (const tokens of [64, 70]) {
        const fixture = shorter(each, tokens);
        const laid = lay(bench, cut, fixture);
        cut.forward(laid.inputs, { tokens });
        const packed = packUpstream(each, fixture.tensors.upstream!, tokens);
        const upstream = bench.buffer(packed.byteLength, bytesOf(packed));
        assert.throws(
          () => cut.backward(laid.inputs, laid.gradients, upstream, { tokens: 63 }),
          { name: "RangeError", message: /backward\(\) for 63 tokens: its forward\(\) was of/ },
        );
        cut.backward(laid.inputs, laid.gradients, upstream);
        await assertAgrees(cut, fixture, laid);
      }
    }),
);

Deno.test("tokens that a step does not have take no dispatch, and counts that a plan cannot have are refused", () =>
  withBench(async (bench) => {
    const head = await LinearCrossEntropy.create(
      bench.device,
      plan(problem, bench.profile, { strategy: "windowed", block: 64, window: 256 }),
    );
    const { inputs, gradients } = lay(bench, head, makeSynthetic(problem, 7));
    const methods = passMethods(bench.device);
    const { dispatchWorkgroups } = methods;
    let dispatches = 0;
    methods.dispatchWorkgroups = function (...grid) {
      dispatches++;
      return dispatchWorkgroups.apply(this, grid);
    };
    const counted = (tokens: number) => {
      dispatches = 0;
      head.encode(bench.device.createCommandEncoder(), { inputs, gradients, tokens });
      return dispatches;
    };
    try {
      const [one, two, three] = [counted(64), counted(128), counted(150)];
      // Of the blocks that have no token, only the one dispatch that zeros their results is left.
      assert.equal(three - two, two - one);
      const windows = 3;
      assert(three - two >= 4 * windows, `${one}, ${two}, ${three}`);
    } finally {
      methods.dispatchWorkgroups = dispatchWorkgroups;
    }
    for (const tokens of [0, 151, 1.5, NaN]) {
      const refused = { name: "RangeError", message: /the plan is of 150. Give .* from 1 to 150/ };
      assert.throws(() => head.lossAndGradients(inputs, gradients, undefined, { tokens }), refused);
      assert.throws(() => head.layout("hidden", tokens), refused);
    }
    const targets = bench.buffer(4 * 63);
    assert.throws(
      () => head.lossAndGradients({ ...inputs, targets }, gradients, undefined, { tokens: 64 }),
      /targets is too small: it has 252 bytes, 256 are needed/,
    );
  }));

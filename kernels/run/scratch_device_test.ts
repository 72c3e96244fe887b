import assert from "node:assert/strict";
import type { HeldFixture } from "../../fixtures/fixture.ts";
import { makeSynthetic } from "../../fixtures/synthetic.ts";
import { LinearCrossEntropy, parseProblem, plan, Scratch, sharedMemory } from "../../mod.ts";
import { Ledger } from "../measure/ledger.ts";
import { assertAgrees, lay, withBench } from "../../testing/workbench.ts";

const long = parseProblem({ tokens: 130, hidden: 20, vocab: 300, pass: "train" });
const wide = parseProblem({ tokens: 70, hidden: 12, vocab: 900, pass: "train", bias: true });

/** A head among several, a job for it, and where that lies. */
interface Sharing {
  readonly head: LinearCrossEntropy;
  readonly fixture: HeldFixture;
  readonly laid: ReturnType<typeof lay>;
}

Deno.test("heads that share their scratch take what is their own and that once, and are right in turns", () =>
  withBench(async (bench) => {
    const { device, profile } = bench;
    const plans = [
      plan(long, profile, { strategy: "windowed" }),
      plan(wide, profile, { strategy: "chunked" }),
      plan(wide, profile, { strategy: "two-stage" }),
    ];
    const ledger = new Ledger(device);
    const scratch = await Scratch.create(device, plans);
    const { scratchBytes, extraPeakBytes, ownBytes } = sharedMemory(plans);
    assert.equal(scratch.bytes, scratchBytes);
    assert.equal(ledger.extraPeakBytes, scratchBytes);
    const heads: LinearCrossEntropy[] = [];
    for (const plan of plans) {
      heads.push(await LinearCrossEntropy.create(device, plan, { scratch }));
    }
    assert.equal(ledger.extraPeakBytes, extraPeakBytes);
    const largest = Math.max(...plans.map(({ memory }) => memory.byCategory.scratch));
    const apart = plans.reduce((sum, { memory }) => sum + memory.extraPeakBytes, 0);
    assert(scratchBytes >= largest);
    assert(extraPeakBytes <= apart - (plans.length - 2) * 4 * 70 * 900);
    assert.equal(ownBytes.length, 3);

    const steps = heads.map((head, index) => {
      const fixture = makeSynthetic(head.problem, index);
      return { head, fixture, laid: lay(bench, head, fixture) };
    });
    // All in one submission: each finds what the one before left.
    for (let round = 0; round < 2; round++) {
      const commands = device.createCommandEncoder();
      for (const { head, laid } of steps) head.encode(commands, laid);
      device.queue.submit([commands.finish()]);
      for (const { head, fixture, laid } of steps) await assertAgrees(head, fixture, laid);
    }
    for (const head of heads) head.destroy();
    assert.equal(ledger.live.scratch + ledger.live.state, scratchBytes);
    scratch.destroy();
    assert.equal(ledger.live.scratch, 0);
    ledger.detach();
  }));

Deno.test("a backward pass is refused where another head has used what it needs, and only there", {
  ignore: Deno.env.has("LCE_SLOW_COMPILER"),
}, () =>
  withBench(async (bench) => {
    const { device, profile } = bench;
    const plans = [
      plan(long, profile, { strategy: "windowed" }),
      plan(wide, profile, { strategy: "two-stage" }),
    ];
    const scratch = await Scratch.create(device, plans);
    const [windowed, twoStage] = await Promise.all(plans.map(async (plan, index) => {
      const head = await LinearCrossEntropy.create(device, plan, { scratch });
      const fixture = makeSynthetic(head.problem, index);
      return { head, fixture, laid: lay(bench, head, fixture) };
    })) as [Sharing, Sharing];
    windowed.head.forward(windowed.laid.inputs);
    twoStage.head.forward(twoStage.laid.inputs);
    // What this one left lies in state of its own.
    windowed.head.backward(windowed.laid.inputs, windowed.laid.gradients);
    await assertAgrees(windowed.head, windowed.fixture, windowed.laid);
    const backward = () => twoStage.head.backward(twoStage.laid.inputs, twoStage.laid.gradients);
    assert.throws(backward, {
      name: "TypeError",
      message:
        /another head has used the shared scratch since forward\(\), which left logits there/,
    });
    assert.throws(backward, /before forward/);
    twoStage.head.forward(twoStage.laid.inputs);
    backward();
    await assertAgrees(twoStage.head, twoStage.fixture, twoStage.laid);

    const larger = plan({ ...wide, tokens: 100 }, profile, { strategy: "two-stage" });
    await assert.rejects(LinearCrossEntropy.create(device, larger, { scratch }), {
      name: "RangeError",
      message: /scratch that has \d+ bytes where the plan needs 360000 for logits/,
    });
    scratch.destroy();
    assert.throws(() => windowed.head.forward(windowed.laid.inputs), /a Scratch after destroy/);
  }));

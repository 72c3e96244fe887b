import assert from "node:assert/strict";
import { makeSynthetic } from "../../fixtures/synthetic.ts";
import { LinearCrossEntropy, parseProblem, plan } from "../../mod.ts";
import { EMULATED } from "../testing/alone.ts";
import { assertAgrees, lay, prepared, withBench } from "../../testing/workbench.ts";
import { Ledger } from "../measure/ledger.ts";

const problem = parseProblem({
  ...{ tokens: 70, hidden: 20, vocab: 900, bias: true, softcap: 25 },
  pass: "train",
});

Deno.test("encode() records steps in the caller's commands, on ranges of buffers, and submits and allocates nothing", () =>
  withBench(async (bench) => {
    for (const strategy of ["windowed", "chunked", "two-stage"] as const) {
      const { head } = await prepared(bench, problem, strategy);
      const steps = [1, 2].map((seed) => {
        const fixture = makeSynthetic(problem, seed);
        const [inputs, gradients] = [bench.together(1 << 17), bench.together(1 << 17)];
        return { fixture, laid: lay(bench, head, fixture, { inputs, gradients }) };
      });
      const ledger = new Ledger(bench.device);
      const submit = bench.device.queue.submit;
      let submissions = 0;
      bench.device.queue.submit = (...commands) => {
        submissions++;
        return submit.apply(bench.device.queue, commands);
      };
      const commands = bench.device.createCommandEncoder();
      for (const { laid } of steps) head.encode(commands, laid);
      assert.equal(submissions, 0);
      bench.device.queue.submit([commands.finish()]);
      bench.device.queue.submit = submit;
      assert.equal(ledger.peakBytes, 0);
      ledger.detach();
      // Results are those of the last step, gradients each step's own.
      const [first, last] = steps as [typeof steps[0], typeof steps[0]];
      await assertAgrees(head, last.fixture, last.laid);
      const { gradWeight } = await first.laid.read();
      head.lossAndGradients(first.laid.inputs, first.laid.gradients);
      await assertAgrees(head, first.fixture, first.laid);
      assert.deepEqual(gradWeight, (await first.laid.read()).gradWeight);
      head.destroy();
    }
  }));

Deno.test("encode() records the two passes apart, with the caller's commands between them", () =>
  withBench(async (bench) => {
    const { head, fixture, ...laid } = await prepared(bench, problem, "windowed");
    const commands = bench.device.createCommandEncoder();
    assert.throws(() => head.encode(commands, { ...laid, part: "backward" }), /before forward/);
    head.encode(commands, { inputs: laid.inputs });
    commands.clearBuffer(laid.gradients.bias!.buffer);
    head.encode(commands, { ...laid, part: "backward" });
    assert.throws(() => head.encode(commands, { ...laid, part: "backward" }), /before forward/);
    bench.device.queue.submit([commands.finish()]);
    await assertAgrees(head, fixture, laid);
  }));

Deno.test("a range that is not aligned, not in its buffer or too small is refused with value, limit and remedy", () =>
  withBench(async (bench) => {
    const { head, inputs, gradients } = await prepared(bench, problem, "windowed");
    const alignment = bench.device.limits.minStorageBufferOffsetAlignment;
    const commands = bench.device.createCommandEncoder();
    const buffer = bench.buffer(4 * 70 + 2 * alignment);
    const refused = (targets: GPUBufferBinding, message: RegExp) =>
      assert.throws(
        () => head.encode(commands, { inputs: { ...inputs, targets }, gradients }),
        { name: "RangeError", message },
      );
    refused(
      { buffer, offset: 4 },
      new RegExp(
        `targets begins at byte 4: it must be a multiple of ${alignment} \\(minStorageBufferOffsetAlignment\\). Begin it at ${alignment}`,
      ),
    );
    refused(
      { buffer, offset: alignment, size: 276 },
      /too small: it has 276 bytes, 280 are needed/,
    );
    refused({ buffer, offset: alignment, size: 4096 }, /ends at byte .* behind its buffer's/);
    refused({ buffer, offset: -alignment }, /begins at byte -\d+/);
    head.encode(commands, {
      inputs: { ...inputs, targets: { buffer, offset: alignment, size: 280 } },
      gradients,
    });
    bench.device.queue.submit([commands.finish()]);
  }));

Deno.test("gradients may share a buffer where their bytes do not, inputs where every kernel only reads them", () =>
  withBench(async (bench) => {
    const { head, inputs, gradients } = await prepared(bench, problem, "windowed");
    const commands = bench.device.createCommandEncoder();
    const [hidden] = gradients.hidden;
    const weight = { ...hidden!, size: hidden!.buffer.size };
    assert.throws(
      () => head.encode(commands, { inputs, gradients: { ...gradients, weight } }),
      { name: "RangeError", message: /grad_weight is too small/ },
    );
    const big = bench.buffer(900 * 20 * 4);
    assert.throws(
      () =>
        head.encode(commands, { inputs, gradients: { ...gradients, hidden: big, weight: big } }),
      { name: "TypeError", message: /write grad_weight into the buffer .* for grad_hidden/ },
    );
    head.destroy();
    // In matrices hidden states and weight are declared as read_write, which a bias is not.
    const halves = parseProblem({
      ...{ tokens: 70, hidden: 24, vocab: 900, dtype: "f16", bias: true },
      pass: "train",
    });
    const matrices = await LinearCrossEntropy.create(
      bench.device,
      plan(halves, bench.profile, { strategy: "windowed", tile: EMULATED }),
    );
    const laid = lay(bench, matrices, makeSynthetic(halves, 1), {
      inputs: bench.together(1 << 17),
    });
    assert.throws(
      () => matrices.encode(commands, laid),
      { name: "TypeError", message: /Cannot take weight and bias from one buffer/ },
    );
    matrices.destroy();
  }));

import assert from "node:assert/strict";
import { makeSynthetic } from "../../fixtures/synthetic.ts";
import { LinearCrossEntropy, parseProblem, plan, type PlanOptions } from "../../mod.ts";
import { checkGradients, lay, withBench } from "../../testing/workbench.ts";
import { EMULATED } from "../testing/alone.ts";

const WAYS: readonly PlanOptions[] = [
  { strategy: "windowed", block: 64, window: 256 },
  { strategy: "chunked", block: 64 },
  { strategy: "two-stage" },
];

Deno.test("gradients of micro-batches, added up in one submission, are those of the whole batch", () =>
  withBench(async (bench) => {
    const whole = parseProblem({
      ...{ tokens: 300, hidden: 20, vocab: 700, bias: true, ignoreIndex: 3 },
      ...{ pass: "train", reduction: "sum" },
    });
    const fixture = makeSynthetic(whole, 5);
    const batch = 128;
    const one = await LinearCrossEntropy.create(bench.device, plan(whole, bench.profile));
    for (const options of WAYS.filter(({ block }) => block)) {
      const planned = plan({ ...whole, tokens: batch }, bench.profile, options);
      const head = await LinearCrossEntropy.create(bench.device, planned);
      // Each micro-batch has its rows of the whole batch's buffers, and all have the same weight.
      const laid = lay(bench, one, fixture);
      const rows = (of: { buffer: GPUBuffer }, rowBytes: number, start: number, count: number) => ({
        buffer: of.buffer,
        offset: start * rowBytes,
        size: count * rowBytes,
      });
      const { inputs, gradients } = laid;
      const commands = bench.device.createCommandEncoder();
      for (let start = 0; start < whole.tokens; start += batch) {
        const tokens = Math.min(batch, whole.tokens - start);
        head.encode(commands, {
          inputs: {
            ...inputs,
            hidden: rows(inputs.hidden[0]!, 80, start, tokens),
            targets: rows(inputs.targets, 4, start, tokens),
          },
          gradients: { ...gradients, hidden: rows(gradients.hidden[0]!, 80, start, tokens) },
          tokens,
          ...(start === 0 ? {} : { add: ["weight", "bias"] }),
        });
      }
      bench.device.queue.submit([commands.finish()]);
      await checkGradients(fixture, await laid.read());
      head.destroy();
    }
  }));

Deno.test("each gradient is added to or overwritten as the step says", {
  ignore: Deno.env.has("LCE_SLOW_COMPILER"),
}, () =>
  withBench(async (bench) => {
    const sizes = { tokens: 100, hidden: 24, vocab: 500, pass: "train" } as const;
    const ways = [
      ...WAYS.map((options) => ({ options, dtype: "f32" as const })),
      { options: { strategy: "two-stage", tile: EMULATED }, dtype: "f16" as const },
    ] as const;
    for (const { options, dtype } of ways) {
      const problem = parseProblem({ ...sizes, dtype });
      const planned = plan(problem, bench.profile, options);
      const head = await LinearCrossEntropy.create(bench.device, planned);
      const fixture = makeSynthetic(problem, 3);
      const { inputs, gradients, read } = lay(bench, head, fixture);
      const tier = dtype === "f16" ? "matrix" : "f32";
      const halved = (values: Float32Array) => values.map((value) => value / 2);
      head.lossAndGradients(inputs, gradients);
      head.lossAndGradients(inputs, gradients, undefined, { add: ["weight"] });
      const twice = await read();
      await checkGradients(fixture, { ...twice, gradWeight: halved(twice.gradWeight) }, tier);
      head.lossAndGradients(inputs, gradients, undefined, { add: ["hidden"] });
      const mixed = await read();
      await checkGradients(fixture, { ...mixed, gradHidden: halved(mixed.gradHidden) }, tier);
      if (options.strategy === "windowed") {
        head.forward(inputs);
        head.backward(inputs, gradients, undefined, { add: ["hidden", "weight"] });
        const apart = await read();
        await checkGradients(fixture, {
          gradHidden: apart.gradHidden.map((value) => value / 3),
          gradWeight: halved(apart.gradWeight),
        }, tier);
      }
      assert.throws(
        () => head.lossAndGradients(inputs, gradients, undefined, { add: ["bias"] }),
        { name: "TypeError", message: /have the gradient "bias": the plan has hidden, weight/ },
      );
      head.destroy();
    }
  }));

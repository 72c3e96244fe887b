import assert from "node:assert/strict";
import { openDevice } from "../../cli/request/device.ts";
import { Ledger } from "../../kernels/measure/ledger.ts";
import { readParts } from "../../kernels/run/readback.ts";
import { largestBatches } from "./batches.ts";
import { fit, Transformer, type TransformerSizes } from "./model.ts";
import { markovText } from "./text.ts";

const sizes: TransformerSizes = {
  ...{ vocab: 300, hidden: 16, layers: 2, heads: 2, context: 8, batch: 16 },
};
const { ids: text, entropy } = markovText({ length: 5000, vocab: sizes.vocab, chance: 0.2 });

Deno.test("a small transformer learns: its loss goes from that of a guess towards the text's entropy, never below", async () => {
  const { device, profile } = await openDevice();
  const ledger = new Ledger(device);
  const fitting = fit(sizes, text.length, profile)!;
  const model = await Transformer.create(device, fitting, text, { rate: 0.03 });
  assert.equal(ledger.peakBytes, fitting.bytes);
  const losses = await model.train(80);
  assert.equal(ledger.peakBytes, fitting.bytes);
  const mean = (values: number[]) => values.reduce((a, b) => a + b) / values.length;
  const [early, late] = [mean(losses.slice(0, 5)), mean(losses.slice(-16))];
  // A guess among all ids, within what logits of a deviation of 0.05 * sqrt(16) add.
  assert(Math.abs(losses[0]! - Math.log(sizes.vocab)) < 0.1, `${losses[0]}`);
  // Sixteen batches of 128 ids: the mean is that of the text within a few percent.
  assert(late < early - 2 && late > 0.9 * entropy, `from ${early} to ${late}, ${entropy}`);
  model.destroy();
  assert.equal(ledger.liveBytes, 0);
  device.destroy();
});

Deno.test("the hand-written gradients are those of finite differences", async () => {
  const { device, profile } = await openDevice();
  const model = await Transformer.create(device, fit(sizes, text.length, profile)!, text);
  await model.train(3);
  const step = async () => {
    const commands = device.createCommandEncoder();
    model.encodeGradients(commands);
    device.queue.submit([commands.finish()]);
    return await model.loss();
  };
  await step();
  const read = async (name: string) => {
    const buffer = model.buffer(name);
    return new Float32Array(
      (await readParts(device, [{ buffer, bytes: buffer.size }], name)).buffer,
    );
  };
  const [values, gradients] = [await read("parameters"), await read("gradients")];
  for (const [name, { offset, size }] of model.parameters) {
    const range = [offset / 4, (offset + size) / 4] as const;
    const slope = gradients.slice(...range);
    const norm = Math.hypot(...slope);
    assert(norm > 1e-4, `${name}: ${norm}`);
    /** The loss's change over a step along the gradient and one back, over the way. */
    const along = async (way: number) => {
      const at = async (sign: number) => {
        const moved = values.slice(...range).map((value, i) =>
          value + sign * way * slope[i]! / norm
        );
        device.queue.writeBuffer(model.buffer("parameters"), offset, moved);
        return await step();
      };
      return (await at(1) - await at(-1)) / (2 * way);
    };
    // The loss is rounded to 2^-22: steps that change it by 0.02 are right to 1e-5; the error of
    // third order goes with the square of the way, and out with two of them.
    const way = 0.01 / norm;
    const found = (4 * await along(way / 2) - await along(way)) / 3;
    assert(Math.abs(found - norm) < 5e-3 * norm, `${name}: ${found}, ${norm}`);
    device.queue.writeBuffer(model.buffer("parameters"), offset, values.slice(...range));
  }
  model.destroy();
  device.destroy();
});

Deno.test("a larger batch fits the same memory with the layer than with logits, by plan and as measured", async () => {
  const { device, profile } = await openDevice();
  const budget = 2 ** 20;
  const [ours, logits] = await largestBatches(device, profile, sizes, text, budget);
  for (const { tokens, predictedBytes, measuredBytes, loss } of [ours!, logits!]) {
    assert(predictedBytes <= budget);
    assert.equal(measuredBytes, predictedBytes);
    assert(Math.abs(loss - Math.log(sizes.vocab)) < 0.1, `${loss}`);
    // One sequence more would not fit.
    const strategy = tokens === ours!.tokens ? "windowed" : "two-stage";
    const more = { ...sizes, batch: tokens / sizes.context + 1 };
    assert.equal(fit(more, text.length, profile, { strategy, budget }), undefined);
  }
  assert(ours!.tokens > 1.3 * logits!.tokens, `${ours!.tokens}, ${logits!.tokens}`);
  const [none] = await largestBatches(device, profile, sizes, text, 1000);
  assert.equal(none!.tokens, 0);
  device.destroy();
});

import assert from "node:assert/strict";
import { openDevice } from "../cli/request/device.ts";
import { gpuLayer, referenceLayer, train } from "./language_model.ts";
import { encodeWords } from "./words.ts";
import { mobyDickWords } from "./npm_data.ts";

Deno.test("a small language model learns Moby-Dick as the float64 reference does", async () => {
  const options = { vocab: 1200, hidden: 24, tokens: 96, steps: 200, learningRate: 4 };
  const text = encodeWords(await mobyDickWords(), options.vocab);
  assert(text.length > 200_000);
  const { device } = await openDevice();
  const { layer, destroy } = await gpuLayer(device, options);
  const ours = await train(text, layer, options);
  destroy();
  device.destroy();
  const theirs = await train(text, referenceLayer(options), options);
  const mean = (values: number[]) => values.reduce((sum, value) => sum + value) / values.length;
  const [early, late] = [mean(ours.slice(0, 20)), mean(ours.slice(-20))];
  assert(early > 5.5 && late < early - 0.8, `from ${early} to ${late}`);
  // Rounding grows from step to step, but the two take the same way down.
  ours.forEach((loss, step) => {
    assert(Math.abs(loss - theirs[step]!) < 2e-4 * loss, `step ${step}: ${loss} ${theirs[step]}`);
  });
});

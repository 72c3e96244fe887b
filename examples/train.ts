// deno-lint-ignore-file no-console -- an example prints
/**
 * Trains the small language model on Moby-Dick and shows its loss beside the
 * float64 reference's.
 *
 *     deno task example:train [STEPS]
 *
 * @module
 */
import { openDevice } from "../cli/request/device.ts";
import { gpuLayer, referenceLayer, train } from "./language_model.ts";
import { encodeWords } from "./words.ts";
import { mobyDickWords } from "./npm_data.ts";

const steps = Number(Deno.args[0] ?? 300);
if (!(Number.isInteger(steps) && steps > 0)) {
  console.error("usage: deno task example:train [STEPS]");
  Deno.exit(2);
}
const options = {
  vocab: 2000,
  hidden: 32,
  tokens: 128,
  steps,
  learningRate: 4,
};
const text = encodeWords(await mobyDickWords(), options.vocab);
const { device, profile } = await openDevice();
const { layer, destroy } = await gpuLayer(device, options);
console.log(`${text.length} words, ${options.steps} steps on ${profile.name}`);
const ours = await train(text, layer, options);
destroy();
device.destroy();
const theirs = await train(text, referenceLayer(options), options);

const BLOCK = Math.max(1, Math.floor(options.steps / 20));
const mean = (values: number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;
console.log("  step     lce  float64");
for (let start = 0; start < options.steps; start += BLOCK) {
  const [gpu, cpu] = [ours, theirs].map((curve) => mean(curve.slice(start, start + BLOCK)));
  const bar = "#".repeat(Math.round(8 * gpu!));
  console.log(
    `${String(start).padStart(6)}  ${gpu!.toFixed(4)}   ${cpu!.toFixed(4)}  ${bar}`,
  );
}
const apart = Math.max(...ours.map((loss, step) => Math.abs(loss - theirs[step]!)));
console.log(`Largest difference in any step: ${apart.toExponential(1)}`);

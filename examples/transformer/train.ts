// deno-lint-ignore-file no-console -- an example prints
/**
 * Trains the small transformer on Moby-Dick, and shows the batch that fits into some memory with
 * the layer and with logits.
 *
 *     deno task example:transformer [STEPS] [MEBIBYTES]
 *
 * @module
 */
import { openDevice } from "../../cli/request/device.ts";
import { encodeWords } from "../words.ts";
import { mobyDickWords } from "../npm_data.ts";
import { formatBatches, largestBatches } from "./batches.ts";
import { fit, Transformer } from "./model.ts";

const [steps = 100, mebibytes = 64] = Deno.args.map(Number);
if (!(Number.isInteger(steps) && steps > 0 && mebibytes > 0)) {
  console.error("usage: deno task example:transformer [STEPS [MEBIBYTES]]");
  Deno.exit(2);
}
const sizes = { vocab: 8000, hidden: 64, layers: 2, heads: 2, context: 32, batch: 16 };
const text = Uint32Array.from(encodeWords(await mobyDickWords(), sizes.vocab));
const { device, profile } = await openDevice();

const fitting = fit(sizes, text.length, profile);
if (!fitting) throw new Error(`A batch of ${sizes.batch} sequences does not fit ${profile.name}`);
console.log(`${text.length} words, ${steps} steps of ${sizes.batch} sequences on ${profile.name}`);
const model = await Transformer.create(device, fitting, text);
const PART = Math.max(1, Math.floor(steps / 20));
for (let step = 0; step < steps; step += PART) {
  const losses = await model.train(Math.min(PART, steps - step));
  const loss = losses.reduce((a, b) => a + b) / losses.length;
  console.log(
    `${String(step).padStart(6)}  ${loss.toFixed(4)}  ${"#".repeat(Math.round(8 * loss))}`,
  );
}
model.destroy();

console.log(`\nThe largest batch in ${mebibytes} MiB of GPU memory, all of the model included:`);
console.log(formatBatches(await largestBatches(device, profile, sizes, text, mebibytes * 2 ** 20)));
device.destroy();

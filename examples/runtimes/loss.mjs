/**
 * The loss of an output layer under Node or Bun, on Dawn, beside the same loss in
 * float64:
 *
 *     npm install webgpu
 *     deno task bundle        # writes lce.js, of mod.ts
 *     node loss.mjs           # or: bun loss.mjs
 */
import { create, globals } from "webgpu";
import { deviceProfile, LinearCrossEntropy, parseProblem, plan } from "./lce.js";

// Whoever lets go of what create() returns loses the process.
globalThis.gpu = create([]);
const device = await (await globalThis.gpu.requestAdapter()).requestDevice();
const upload = (data) => {
  const { STORAGE, COPY_DST } = globals.GPUBufferUsage;
  const buffer = device.createBuffer({ size: data.byteLength, usage: STORAGE | COPY_DST });
  device.queue.writeBuffer(buffer, 0, data);
  return buffer;
};

const [tokens, width, vocab] = [64, 32, 1000];
const hidden = Float32Array.from({ length: tokens * width }, (_, i) => Math.sin(i));
const weight = Float32Array.from({ length: vocab * width }, (_, i) => Math.cos(3 * i));
const targets = Int32Array.from({ length: tokens }, (_, i) => (37 * i) % vocab);

const problem = parseProblem({ tokens, hidden: width, vocab });
const head = await LinearCrossEntropy.create(device, plan(problem, deviceProfile(device)));
head.forward({ hidden: upload(hidden), weight: upload(weight), targets: upload(targets) });
const loss = await head.readLoss();
head.destroy();
device.destroy();

let truth = 0;
for (let token = 0; token < tokens; token++) {
  const logits = Array.from({ length: vocab }, (_, id) => {
    let sum = 0;
    for (let d = 0; d < width; d++) sum += hidden[token * width + d] * weight[id * width + d];
    return sum;
  });
  const total = logits.reduce((sum, logit) => sum + Math.exp(logit), 0);
  truth += (Math.log(total) - logits[targets[token]]) / tokens;
}
console.log(`loss ${loss}, in float64 ${truth}`);
process.exitCode = Math.abs(loss - truth) <= 2e-6 * truth ? 0 : 1;

// deno-lint-ignore-file no-console -- a script prints
/**
 * What weight gradients that are not exact by intent cost in training: the example's language model
 * on Moby-Dick, from one start and in one order, its output layer's weight trained by exact
 * gradients, from a share of the tokens (WTA-CRS), and of rank one in sub-tokens (VeLoRA).
 *
 *     deno task bench:sampled-training [STEPS]
 *
 * @module
 */
import { openDevice } from "../cli/request/device.ts";
import { table } from "../cli/report/table.ts";
import { type OutputLayer, readFloats, train } from "../examples/language_model.ts";
import { mobyDickWords } from "../examples/npm_data.ts";
import { encodeWords } from "../examples/words.ts";
import { bytesOf } from "../fixtures/elements.ts";
import {
  expandSubTokens,
  LinearCrossEntropy,
  logitGradientNorm,
  parseProblem,
  plan,
  type Problem,
  sampleRows,
  subTokenDirection,
  tokenWeights,
} from "../mod.ts";

const OPTIONS = { vocab: 2000, hidden: 32, tokens: 128, learningRate: 4 } as const;

/** Steps whose losses are averaged at the end. */
const LAST = 20;

const steps = Number(Deno.args[0] ?? 120);
const { device, profile } = await openDevice();
const text = encodeWords(await mobyDickWords(), OPTIONS.vocab);

/** The estimates, by what they ask of a problem. */
const WAYS: readonly Partial<Problem>[] = [
  {},
  ...[64, 32].map((sampledTokens) => ({ sampledTokens, statistics: ["collision"] as const })),
  ...[16, 4, 1].map((subTokens) => ({ subTokens })),
];

/** The output layer whose weight gradient is as a problem asks for it, as wide as the weight. */
async function layerOf(asked: Partial<Problem>) {
  const { tokens, hidden, vocab } = OPTIONS;
  const problem = parseProblem({ tokens, hidden, vocab, pass: "train", ...asked });
  const { subTokens, sampledTokens } = problem;
  const planned = plan(problem, profile, { strategy: "windowed", window: 512 });
  const head = await LinearCrossEntropy.create(device, planned);
  const usage = GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_DST | GPUBufferUsage.COPY_SRC;
  const buffer = (elements: number) => device.createBuffer({ size: 4 * elements, usage });
  const write = (to: GPUBuffer, values: ArrayBufferView) =>
    device.queue.writeBuffer(to, 0, bytesOf(values) as BufferSource);
  const direction = buffer(hidden / (subTokens ?? 1));
  const weights = buffer(tokens);
  const inputs = {
    hidden: buffer(tokens * hidden),
    weight: buffer(vocab * hidden),
    targets: buffer(tokens),
    ...(subTokens === undefined ? {} : { direction }),
    ...(sampledTokens === undefined ? {} : { tokenWeights: weights }),
  };
  const gradients = {
    hidden: buffer(tokens * hidden),
    weight: buffer(vocab * (subTokens ?? hidden)),
  };
  let along: Float32Array<ArrayBuffer> | undefined;
  let seed = 0;
  const layer: OutputLayer = async (states, weight, targets) => {
    write(inputs.hidden, states);
    write(inputs.weight, weight);
    write(inputs.targets, targets);
    // That of the first batch, which is kept.
    if (subTokens !== undefined && !along) {
      write(direction, along = subTokenDirection(states, { hidden, subTokens }));
    }
    if (sampledTokens === undefined) head.lossAndGradients(inputs, gradients);
    else {
      head.forward(inputs);
      const { perToken, collision } = await head.readResults();
      const norms = Array.from(
        perToken!,
        (loss, token) =>
          logitGradientNorm(loss, { collision: collision![token]! }) *
          Math.hypot(...states.subarray(token * hidden, (token + 1) * hidden)),
      );
      const sample = sampleRows(norms, { count: sampledTokens, seed: seed++ });
      write(weights, tokenWeights(sample, tokens));
      head.backward(inputs, gradients);
    }
    const loss = (await head.readLoss())!;
    const gradHidden = await readFloats(device, gradients.hidden);
    const found = await readFloats(device, gradients.weight);
    const gradWeight = along ? expandSubTokens(found, along, subTokens!) : found;
    return { loss, gradHidden, gradWeight };
  };
  const destroy = () => {
    head.destroy();
    const own = [...Object.values(inputs), ...Object.values(gradients), direction, weights];
    for (const each of new Set(own)) each.destroy();
  };
  return { layer, destroy };
}

const rows = [["weight gradient", "loss at first", "loss at last", "dW numbers"]];
for (const asked of WAYS) {
  const { layer, destroy } = await layerOf(asked);
  const losses = await train(text, layer, { ...OPTIONS, steps });
  destroy();
  const mean = (some: readonly number[]) => some.reduce((a, b) => a + b, 0) / some.length;
  const { sampledTokens, subTokens } = asked;
  rows.push([
    sampledTokens !== undefined
      ? `from ${sampledTokens} of ${OPTIONS.tokens} tokens`
      : subTokens !== undefined
      ? `in ${subTokens} sub-tokens of ${OPTIONS.hidden / subTokens}`
      : "exact",
    losses[0]!.toFixed(3),
    mean(losses.slice(-LAST)).toFixed(3),
    `${OPTIONS.vocab * (subTokens ?? OPTIONS.hidden)}`,
  ]);
}
console.log(
  `${steps} steps of ${OPTIONS.tokens} tokens x ${OPTIONS.hidden} x ${OPTIONS.vocab}, f32, ${profile.name}`,
);
console.log(table(rows, ["left", "right", "right", "right"]));
device.destroy();

/**
 * A small language model whose output layer is lce's: two embeddings of the
 * words before, added up, predict the next word. It is trained twice from the
 * same start, once on gradients from the GPU and once on the float64
 * reference's, to see that they take the same way down.
 *
 * @module
 */
import { readParts } from "../kernels/run/readback.ts";
import { bytesOf } from "../fixtures/elements.ts";
import { computeReference } from "../fixtures/reference/reference.ts";
import { Random } from "../fixtures/random.ts";
import {
  LinearCrossEntropy,
  parseProblem,
  plan,
  type Problem,
  SPECIFICATION_DEFAULTS,
} from "../mod.ts";

/** Size of the model and of its training. */
export interface TrainingOptions {
  readonly vocab: number;
  readonly hidden: number;
  /** Tokens of one step. */
  readonly tokens: number;
  readonly steps: number;
  readonly learningRate: number;
}

/** Loss and gradients of the output layer for hidden states, weight and targets. */
export type OutputLayer = (
  hidden: Float32Array,
  weight: Float32Array,
  targets: Int32Array,
) => Promise<{ loss: number; gradHidden: ArrayLike<number>; gradWeight: ArrayLike<number> }>;

/** Trains the model by plain gradient descent and returns the loss of each step. */
export async function train(
  text: Int32Array,
  layer: OutputLayer,
  { vocab, hidden, tokens, steps, learningRate }: TrainingOptions,
): Promise<number[]> {
  const random = new Random(7);
  const normals = (scale: number) =>
    Float32Array.from({ length: vocab * hidden }, () => scale * random.normal());
  const embeddings = [normals(1), normals(1)];
  const weight = normals(0.1);
  const losses: number[] = [];
  for (let step = 0; step < steps; step++) {
    const start = 2 + random.below(text.length - tokens - 2);
    const states = new Float32Array(tokens * hidden);
    // States of token t come from the words one and two before it.
    const rowOf = (token: number, back: number) => text[start + token - back]! * hidden;
    embeddings.forEach((embedding, back) => {
      for (let token = 0; token < tokens; token++) {
        const row = rowOf(token, back + 1);
        for (let d = 0; d < hidden; d++) states[token * hidden + d]! += embedding[row + d]!;
      }
    });
    const targets = text.slice(start, start + tokens);
    const { loss, gradHidden, gradWeight } = await layer(states, weight, targets);
    losses.push(loss);
    for (let i = 0; i < weight.length; i++) weight[i]! -= learningRate * gradWeight[i]!;
    embeddings.forEach((embedding, back) => {
      for (let token = 0; token < tokens; token++) {
        const row = rowOf(token, back + 1);
        for (let d = 0; d < hidden; d++) {
          embedding[row + d]! -= learningRate * gradHidden[token * hidden + d]!;
        }
      }
    });
  }
  return losses;
}

function outputProblem({ tokens, hidden, vocab }: TrainingOptions): Problem {
  return parseProblem({ tokens, hidden, vocab, pass: "train" });
}

/** The output layer on a GPU: its buffers, and the layer to train with. */
export async function gpuLayer(
  device: GPUDevice,
  options: TrainingOptions,
): Promise<{ layer: OutputLayer; destroy: () => void }> {
  const { tokens, hidden, vocab } = options;
  const head = await LinearCrossEntropy.create(
    device,
    plan(outputProblem(options), SPECIFICATION_DEFAULTS, { strategy: "windowed", window: 512 }),
  );
  const usage = GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_DST | GPUBufferUsage.COPY_SRC;
  const buffer = (elements: number) => device.createBuffer({ size: 4 * elements, usage });
  const inputs = {
    hidden: buffer(tokens * hidden),
    weight: buffer(vocab * hidden),
    targets: buffer(tokens),
  };
  const gradients = { hidden: buffer(tokens * hidden), weight: buffer(vocab * hidden) };
  const layer: OutputLayer = async (states, weight, targets) => {
    device.queue.writeBuffer(inputs.hidden, 0, bytesOf(states) as BufferSource);
    device.queue.writeBuffer(inputs.weight, 0, bytesOf(weight) as BufferSource);
    device.queue.writeBuffer(inputs.targets, 0, bytesOf(targets) as BufferSource);
    head.lossAndGradients(inputs, gradients);
    return {
      loss: (await head.readLoss())!,
      gradHidden: await readFloats(device, gradients.hidden),
      gradWeight: await readFloats(device, gradients.weight),
    };
  };
  const destroy = () => {
    head.destroy();
    for (const used of [...Object.values(inputs), ...Object.values(gradients)]) used.destroy();
  };
  return { layer, destroy };
}

/** The output layer in float64, on the CPU. */
export function referenceLayer(options: TrainingOptions): OutputLayer {
  const problem = outputProblem(options);
  return async (states, weight, targets) => {
    const tensors = { hidden: bytesOf(states), weight: bytesOf(weight), targets };
    const reference = await computeReference({ name: "reference", problem, tensors });
    return {
      loss: reference.loss!,
      gradHidden: reference.gradHidden!,
      gradWeight: reference.gradWeight!,
    };
  };
}

/** Reads a buffer of f32 numbers. */
export async function readFloats(device: GPUDevice, source: GPUBuffer): Promise<Float32Array> {
  return new Float32Array(
    (await readParts(device, [{ buffer: source, bytes: source.size }], "floats")).buffer,
  );
}

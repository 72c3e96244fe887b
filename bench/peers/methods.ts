/**
 * One step of an output layer, forward or with gradients, in WebGPU libraries that a page
 * can load, and in ours. The peers are bundles in a folder (`bench/peers.ts fetch`): no
 * part of the library depends on them.
 *
 * @module
 */
import { openDevice } from "../../cli/request/device.ts";
import { createBuffers } from "./buffers.ts";
import { LinearCrossEntropy, parseProblem, plan } from "../../mod.ts";

/** What a step is given. Weights are rows of the vocabulary. */
export interface StepInputs {
  readonly tokens: number;
  readonly hidden: number;
  readonly vocab: number;
  readonly pass: "forward" | "train";
  /** Most bytes of buffers, which ours alone can be told. */
  readonly budget?: number | undefined;
  readonly states: Float32Array<ArrayBuffer>;
  readonly weight: Float32Array<ArrayBuffer>;
  readonly targets: Int32Array<ArrayBuffer>;
}

/** A step, done and waited for: the mean loss. Gradients stay on the device. */
export type Step = () => Promise<number>;

/** A way to do a step. */
export interface Method {
  readonly title: string;
  /** Package that it comes from; ours needs none. */
  readonly module?: string;
  prepare(inputs: StepInputs, load: (module: string) => Promise<Library>): Promise<Step>;
}

// deno-lint-ignore no-explicit-any -- libraries that are loaded from wherever they are
type Library = any;

/** The methods by name. */
export const METHODS: Readonly<Record<string, Method>> = {
  lce: {
    title: "lce",
    async prepare({ tokens, hidden, vocab, pass, budget, states, weight, targets }) {
      const { device, profile } = await openDevice({});
      const planned = plan(parseProblem({ tokens, hidden, vocab, pass }), profile, { budget });
      const { upload, empty } = createBuffers(device);
      const head = await LinearCrossEntropy.create(device, planned);
      // What is larger than a buffer may be lies in several.
      const inputs = {
        hidden: head.layout("hidden").map((part) => upload(states, part)),
        weight: head.layout("weight").map((part) => upload(weight, part)),
        targets: upload(targets),
      };
      const gradients = pass === "train"
        ? {
          hidden: head.layout("grad_hidden").map(empty),
          weight: head.layout("grad_weight").map(empty),
        }
        : undefined;
      return async () => {
        if (gradients) head.lossAndGradients(inputs, gradients);
        else head.forward(inputs);
        return (await head.readLoss())!;
      };
    },
  },
  "jax-js": {
    title: "jax-js",
    module: "@jax-js/jax",
    async prepare({ tokens, hidden, vocab, pass, states, weight, targets }, load) {
      const { init, defaultDevice, jit, nn, numpy: np, valueAndGrad } = await load("@jax-js/jax");
      await init("webgpu");
      defaultDevice("webgpu");
      // nn.oneHot would build an identity of vocab x vocab.
      const loss = (h: Library, w: Library, y: Library) => {
        const logProbabilities = nn.logSoftmax(np.dot(h, w.transpose()));
        const hit = np.arange(vocab).reshape([1, vocab]).equal(y.reshape([tokens, 1]));
        // Summed in two steps: in one it is wrong at some sizes, 130 x 5004 for one.
        return np.where(hit, logProbabilities, 0).sum(1).sum().mul(-1 / tokens);
      };
      const [h, w, y] = [
        np.array(states, { shape: [tokens, hidden] }),
        np.array(weight, { shape: [vocab, hidden] }),
        np.array(targets, { shape: [tokens] }),
      ];
      if (pass === "forward") {
        const forward = jit(loss);
        return () => forward(h.ref, w.ref, y.ref).jsAsync();
      }
      const train = jit(valueAndGrad(loss, { argnums: [0, 1] }));
      return async () => {
        const [value, gradients] = train(h.ref, w.ref, y.ref);
        const read = await value.jsAsync();
        for (const gradient of gradients) {
          await gradient.blockUntilReady();
          gradient.dispose();
        }
        return read;
      };
    },
  },
  "tfjs-one-hot": {
    title: "tfjs, softmaxCrossEntropy",
    module: "@tensorflow/tfjs",
    prepare: (inputs, load) =>
      tensorflow(inputs, load, (tf, y) => (h: Library, w: Library) =>
        tf.losses.softmaxCrossEntropy(
          tf.oneHot(y, inputs.vocab),
          tf.matMul(h, w, false, true),
        )),
  },
  "tfjs-gather": {
    title: "tfjs, logSumExp and gather",
    module: "@tensorflow/tfjs",
    prepare: (inputs, load) =>
      // Without the one-hot rows, which are as large as the logits.
      tensorflow(inputs, load, (tf, y) => (h: Library, w: Library) => {
        const logSums = tf.logSumExp(tf.matMul(h, w, false, true), 1);
        return tf.sub(logSums, tf.sum(tf.mul(h, tf.gather(w, y)), 1)).mean();
      }),
  },
};

async function tensorflow(
  { tokens, hidden, vocab, pass, states, weight, targets }: StepInputs,
  load: (module: string) => Promise<Library>,
  lossOf: (tf: Library, targets: Library) => (h: Library, w: Library) => Library,
): Promise<Step> {
  // It takes a runtime without a window for one without WebGPU.
  Object.assign(globalThis, { window: globalThis });
  const tf = await load("@tensorflow/tfjs");
  if (!await tf.setBackend("webgpu")) throw new Error("tfjs has no WebGPU here");
  await tf.ready();
  const h = tf.tensor2d(states, [tokens, hidden]);
  const w = tf.tensor2d(weight, [vocab, hidden]);
  const loss = lossOf(tf, tf.tensor1d(targets, "int32"));
  const gradients = tf.valueAndGrads(loss);
  return async () => {
    if (pass === "forward") {
      const value = tf.tidy(() => loss(h, w));
      const [read] = await value.data();
      value.dispose();
      return read;
    }
    const { value, grads } = tf.tidy(() => gradients([h, w]));
    const [read] = await value.data();
    // What the loss did not need may not have been submitted yet.
    const backend = tf.backend();
    if (backend.commandEncoder) backend.submitQueue();
    await backend.queue.onSubmittedWorkDone();
    tf.dispose([value, ...grads]);
    return read;
  };
}

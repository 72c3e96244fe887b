import assert from "node:assert/strict";
import { openDevice } from "../testing/device.ts";
import { bytesOf, decodeElements } from "../fixtures/elements.ts";
import { Random } from "../fixtures/random.ts";
import { computeReference } from "../fixtures/reference/reference.ts";
import { makeSynthetic } from "../fixtures/synthetic.ts";
import {
  type GradientBuffers,
  type InputBuffers,
  LinearCrossEntropy,
  packUpstream,
  parseProblem,
  plan,
  type Problem,
} from "../mod.ts";
import { graphOnLogits } from "./graph.ts";
import { casesNear } from "./testing.ts";
import { readFloats } from "../examples/language_model.ts";

const TOKENS = 24;
const problem = parseProblem({
  tokens: TOKENS,
  hidden: 10,
  vocab: 60,
  pass: "train",
  objective: "statistics",
  ignoreIndex: -1,
});
const fixture = (() => {
  const made = makeSynthetic(problem, 31);
  return {
    ...made,
    tensors: { ...made.tensors, targets: made.tensors.targets.map((id) => Math.max(id, 0)) },
  };
})();

const TOP_K = 4;

/** Log-probabilities, entropies and lists in float64, for these hidden states and weight. */
function statistics(hidden: Float32Array, weight: Float32Array) {
  return computeReference({
    ...fixture,
    problem: { ...problem, pass: "forward", topK: TOP_K },
    tensors: { ...fixture.tensors, hidden: bytesOf(hidden), weight: bytesOf(weight) },
  });
}

const hidden = decodeElements("f32", fixture.tensors.hidden);
const weight = decodeElements("f32", fixture.tensors.weight);
const start = await statistics(hidden, weight);

/** A head on a device, and the buffers that it works on. */
interface OnDevice {
  readonly head: LinearCrossEntropy;
  readonly inputs: InputBuffers;
  readonly gradients: GradientBuffers;
  readonly buffer: (bytes: Uint8Array) => GPUBuffer;
}

/** Returns the gradients that some work leaves. */
async function gradientsOf(posed: Problem, work: (on: OnDevice) => Promise<void>) {
  const { device, profile } = await openDevice();
  const usage = GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_DST | GPUBufferUsage.COPY_SRC;
  const buffer = (bytes: Uint8Array) => {
    const made = device.createBuffer({ size: bytes.length, usage });
    device.queue.writeBuffer(made, 0, bytes as BufferSource);
    return made;
  };
  const inputs = {
    hidden: buffer(fixture.tensors.hidden),
    weight: buffer(fixture.tensors.weight),
    targets: buffer(bytesOf(fixture.tensors.targets)),
  };
  const gradients = {
    hidden: buffer(new Uint8Array(fixture.tensors.hidden.length)),
    weight: buffer(new Uint8Array(fixture.tensors.weight.length)),
  };
  const planned = plan(posed, profile, { strategy: "windowed" });
  const head = await LinearCrossEntropy.create(device, planned);
  await work({ head, inputs, gradients, buffer });
  const found = {
    hidden: await readFloats(device, gradients.hidden),
    weight: await readFloats(device, gradients.weight),
  };
  head.destroy();
  device.destroy();
  return found;
}

/** Asserts that gradients are those of a loss by differences, at some places. */
async function assertDifferences(
  ours: Record<"hidden" | "weight", Float32Array>,
  lossOf: (values: Awaited<ReturnType<typeof statistics>>) => number,
) {
  const random = new Random(5);
  // The loss is in float64, and moved values are read back: a step may be small, so that no clip
  // and no change of order lies within it.
  const step = 2 ** -14;
  for (const which of ["hidden", "weight"] as const) {
    const values = { hidden, weight }[which];
    const scale = Math.sqrt(ours[which].reduce((sum, g) => sum + g * g, 0) / values.length);
    for (let trial = 0; trial < 25; trial++) {
      const index = random.below(values.length);
      const moved = await Promise.all([-1, 1].map(async (sign) => {
        const other = values.with(index, values[index]! + sign * step);
        const both =
          await (which === "hidden" ? statistics(other, weight) : statistics(hidden, other));
        return { at: other[index]!, loss: lossOf(both) };
      }));
      const difference = (moved[1]!.loss - moved[0]!.loss) / (moved[1]!.at - moved[0]!.at);
      assert(
        Math.abs(difference - ours[which][index]!) < 1e-3 * (scale + Math.abs(difference)),
        `${which}[${index}]: ${ours[which][index]} on the GPU, ${difference} by differences`,
      );
    }
  }
}

for (const [name, { loss: objective }] of Object.entries(casesNear(start.logprob))) {
  Deno.test(`${name}'s gradients through the output layer are those of finite differences`, async () => {
    const ours = await gradientsOf(problem, async ({ head, inputs, gradients, buffer }) => {
      head.forward(inputs);
      const { upstream } = objective(await head.readResults());
      head.backward(inputs, gradients, buffer(bytesOf(packUpstream(problem, upstream))));
    });
    await assertDifferences(ours, (values) => objective(values).loss);
  });
}

Deno.test("a graph's gradients through the output layer, place by place, are those of finite differences", async () => {
  const random = new Random(6);
  // As if from another model: in falling order, and somewhat flatter.
  const teacher = start.topLogprobs!.map((value) => 0.8 * value - 0.01 * random.uniform());
  const graph = (student: ArrayLike<number>) => graphOnLogits({ student, teacher, topK: TOP_K });
  const posed = { ...problem, topK: TOP_K };
  const ours = await gradientsOf(posed, async ({ head, inputs, gradients, buffer }) => {
    head.forward(inputs);
    const { topIds, topLogprobs } = await head.readResults();
    const { student } = graph(topLogprobs!);
    const nothing = new Float64Array(TOKENS);
    const placeOf = <Value extends number>(all: ArrayLike<Value>, place: number) =>
      Array.from({ length: TOKENS }, (_, token) => all[token * TOP_K + place]!);
    for (let place = 0; place < TOP_K; place++) {
      const targets = buffer(bytesOf(Int32Array.from(placeOf(topIds!, place))));
      const upstream = packUpstream(posed, {
        logprob: placeOf(student, place),
        lse: nothing,
        entropy: nothing,
      });
      const of = { ...inputs, targets };
      head.forward(of);
      head.backward(of, gradients, buffer(bytesOf(upstream)), {
        add: place === 0 ? [] : ["hidden", "weight"],
      });
    }
    await head.readResults();
  });
  await assertDifferences(ours, ({ topLogprobs }) => graph(topLogprobs!).loss);
});

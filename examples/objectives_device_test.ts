import assert from "node:assert/strict";
import { openDevice } from "../cli/request/device.ts";
import { bytesOf, decodeElements } from "../fixtures/elements.ts";
import { Random } from "../fixtures/random.ts";
import { computeReference } from "../fixtures/verify/reference.ts";
import { makeSynthetic } from "../fixtures/synthetic.ts";
import { LinearCrossEntropy, packUpstream, parseProblem, plan } from "../mod.ts";
import { readFloats } from "./language_model.ts";
import { dpo, grpo, type LossOnLogprobs } from "./objectives.ts";

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

/** Log-probabilities in float64, for these hidden states and weight. */
async function logprobs(hidden: Float32Array, weight: Float32Array): Promise<Float64Array> {
  const { logprob } = await computeReference({
    ...fixture,
    problem: { ...problem, pass: "forward" },
    tensors: { ...fixture.tensors, hidden: bytesOf(hidden), weight: bytesOf(weight) },
  });
  return logprob;
}

const hidden = decodeElements("f32", fixture.tensors.hidden);
const weight = decodeElements("f32", fixture.tensors.weight);
const start = await logprobs(hidden, weight);
const random = new Random(5);
const near = (scale: number) =>
  Float64Array.from(start, (value) => value + scale * random.normal());

const policy = {
  sampled: near(0.3),
  reference: near(0.3),
  advantage: Float64Array.from(start, () => random.normal()),
};
const pairs = [
  { chosen: [0, 5], rejected: [5, 11], referenceChosen: -9, referenceRejected: -14 },
  { chosen: [15, 24], rejected: [11, 15], referenceChosen: -30, referenceRejected: -8 },
] as const;

const OBJECTIVES: Record<string, (logprob: ArrayLike<number>) => LossOnLogprobs> = {
  GRPO: (logprob) => grpo(logprob, policy),
  DPO: (logprob) => dpo(logprob, pairs),
};

for (const [name, objective] of Object.entries(OBJECTIVES)) {
  Deno.test(`${name} differentiates as finite differences in float64 do`, () => {
    const { byLogprob } = objective(start);
    const step = 1e-6;
    start.forEach((value, t) => {
      const at = (moved: number) => objective(start.with(t, moved)).loss;
      const difference = (at(value + step) - at(value - step)) / (2 * step);
      assert(Math.abs(difference - byLogprob[t]!) < 1e-8, `${t}: ${difference} ${byLogprob[t]}`);
    });
  });

  Deno.test(`${name}'s gradients through the output layer are those of finite differences`, async () => {
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
    const head = await LinearCrossEntropy.create(
      device,
      plan(problem, profile, { strategy: "windowed" }),
    );
    head.forward(inputs);
    const { logprob } = await head.readResults();
    const nothing = new Float32Array(TOKENS);
    const upstream = packUpstream(problem, {
      logprob: objective(logprob).byLogprob,
      lse: nothing,
      entropy: nothing,
    });
    head.backward(inputs, gradients, buffer(bytesOf(upstream)));
    const ours = {
      hidden: await readFloats(device, gradients.hidden),
      weight: await readFloats(device, gradients.weight),
    };
    head.destroy();
    device.destroy();

    // Steps are powers of two, so that the moved f32 values are exact.
    const step = 2 ** -9;
    for (const which of ["hidden", "weight"] as const) {
      const values = { hidden, weight }[which];
      const scale = Math.sqrt(ours[which].reduce((sum, g) => sum + g * g, 0) / values.length);
      for (let trial = 0; trial < 25; trial++) {
        const index = random.below(values.length);
        const moved = await Promise.all([-1, 1].map(async (sign) => {
          const other = values.with(index, values[index]! + sign * step);
          const both =
            await (which === "hidden" ? logprobs(other, weight) : logprobs(hidden, other));
          return { at: other[index]!, loss: objective(both).loss };
        }));
        const difference = (moved[1]!.loss - moved[0]!.loss) / (moved[1]!.at - moved[0]!.at);
        assert(
          Math.abs(difference - ours[which][index]!) < 1e-3 * (scale + Math.abs(difference)),
          `${which}[${index}]: ${ours[which][index]} on the GPU, ${difference} by differences`,
        );
      }
    }
  });
}

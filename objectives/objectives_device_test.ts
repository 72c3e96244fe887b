import assert from "node:assert/strict";
import { openDevice } from "../cli/request/device.ts";
import { bytesOf, decodeElements } from "../fixtures/elements.ts";
import { Random } from "../fixtures/random.ts";
import { computeReference } from "../fixtures/reference/reference.ts";
import { makeSynthetic } from "../fixtures/synthetic.ts";
import { LinearCrossEntropy, packUpstream, parseProblem, plan } from "../mod.ts";
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

/** Log-probabilities and entropies in float64, for these hidden states and weight. */
function statistics(hidden: Float32Array, weight: Float32Array) {
  return computeReference({
    ...fixture,
    problem: { ...problem, pass: "forward" },
    tensors: { ...fixture.tensors, hidden: bytesOf(hidden), weight: bytesOf(weight) },
  });
}

const hidden = decodeElements("f32", fixture.tensors.hidden);
const weight = decodeElements("f32", fixture.tensors.weight);
const start = await statistics(hidden, weight);
const random = new Random(5);

for (const [name, { loss: objective }] of Object.entries(casesNear(start.logprob))) {
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
    const { upstream } = objective(await head.readResults());
    head.backward(inputs, gradients, buffer(bytesOf(packUpstream(problem, upstream))));
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
            await (which === "hidden" ? statistics(other, weight) : statistics(hidden, other));
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

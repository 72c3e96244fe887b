/**
 * Inputs for measuring, written straight to the device: as large as a real
 * model's, without that much host memory.
 *
 * @module
 */
import { encodeElements } from "../../fixtures/elements.ts";
import { Random } from "../../fixtures/random.ts";
import type { Encoder } from "../../kernels/run/encoder.ts";
import type { Plan } from "../../planner/plan.ts";
import { type Dimensions, dimensionsOf, headOf } from "../../planner/problem.ts";
import type { BufferSpec } from "../../planner/schedule/schedule.ts";

/**
 * Kinds of inputs. `flat`: random states, a softmax with mass everywhere. `peaked`:
 * as a trained model's, each token is between some words that are as frequent as
 * Zipf's law has it, one of which is the target, and nearly sure that it is none
 * of the others.
 */
export const INPUT_KINDS = ["flat", "peaked"] as const;

/** A kind of inputs. */
export type InputKind = typeof INPUT_KINDS[number];

/**
 * Elements of the random pattern that matrices repeat. Twice a prime, so that no
 * two rows of a weight are the same, and a whole number of words in 16 bits.
 */
const PATTERN = 2 * 524287;

/** Words that a peaked token is between. */
const CHOICES = 8;

/** Natural logarithm of the mass of those words relative to that of all others. */
const PEAK = 12;

/** Writes every input of a plan to its buffers. */
export function writeInputs(encoder: Encoder, { schedule, problem }: Plan, kind: InputKind): void {
  const random = new Random(1);
  const dimensions = dimensionsOf(problem);
  const { dtype } = headOf(problem);
  const { tokens, hidden, vocab } = dimensions;
  const scale = hidden ** -0.25;
  // No more of the pattern than the largest matrix has, in whole words.
  const most = 2 * Math.ceil(Math.max(tokens, vocab) * hidden / 2);
  const pattern = normals().subarray(0, most).map((value) => value * scale);
  const { targets, states } = kind === "peaked"
    ? peaked(dimensions, pattern, random)
    : { targets: flatTargets(dimensions, random), states: pattern };
  for (const spec of schedule.buffers) {
    if (spec.category !== "input") continue;
    const { tensor } = spec.holds!;
    const bytes = tensor === "targets"
      ? new Uint8Array(targets.buffer)
      : tensor === "hidden"
      ? encodeElements(dtype, states)
      : encodeElements(tensor === "weight" ? dtype : "f32", pattern);
    repeat(encoder, spec, bytes);
  }
}

let drawn: Float32Array | undefined;

/** Returns normal numbers, drawn once for all measurements of a process. */
function normals(): Float32Array {
  if (!drawn) {
    const random = new Random(2);
    drawn = Float32Array.from({ length: PATTERN }, () => random.normal());
  }
  return drawn;
}

function flatTargets({ tokens, vocab }: Dimensions, random: Random): Int32Array<ArrayBuffer> {
  return Int32Array.from({ length: tokens }, () => random.below(vocab));
}

function peaked({ tokens, hidden, vocab }: Dimensions, pattern: Float32Array, random: Random) {
  const targets = new Int32Array(tokens);
  const states = new Float32Array(tokens * hidden);
  // Rows of the weight have about the same length, the square root of `hidden` squared.
  const perLogit = hidden ** -0.5;
  for (let token = 0; token < tokens; token++) {
    for (let choice = 0; choice < CHOICES; choice++) {
      const id = random.zipf(vocab);
      if (choice === 0) targets[token] = id;
      const logit = Math.log(vocab / CHOICES) + PEAK + random.normal();
      for (let d = 0; d < hidden; d++) {
        states[token * hidden + d]! += logit * perLogit * pattern[(id * hidden + d) % PATTERN]!;
      }
    }
  }
  return { targets, states };
}

/** Fills a buffer with its part of a tensor, which repeats `bytes` as often as need be. */
function repeat(encoder: Encoder, spec: BufferSpec, bytes: Uint8Array): void {
  const { queue } = encoder.device;
  const buffer = encoder.buffer(spec.name);
  let from = spec.holds!.offset % bytes.length;
  let writes = 0;
  for (let at = 0; at < buffer.size;) {
    const size = Math.min(bytes.length - from, buffer.size - at);
    // WebGPU writes whole words; what lies past the tensor's end is never read.
    queue.writeBuffer(buffer, at, bytes as BufferSource, from, size - size % 4);
    // Lets go of the copies that the queue keeps until it is told to go on.
    if (++writes % 16 === 0) queue.submit([]);
    at += size;
    from = 0;
  }
}

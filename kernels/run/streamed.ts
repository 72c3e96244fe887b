/**
 * A job on tensors of the host, which are asked for by range and need not fit into memory, the
 * device's or the host's: of a weight, one window is on the device at a time while the next is read.
 *
 * @module
 */
import { sourceOf, type TensorBytes } from "../../host/source.ts";
import type { TensorSink } from "../../host/sink.ts";
import type { Plan } from "../../planner/plan.ts";
import type { Schedule } from "../../planner/schedule/schedule.ts";
import { elementType, tensorsOf } from "../../planner/schedule/tensors.ts";
import { bytesIn, shapeIn } from "../../planner/schedule/tensor_sizes.ts";
import { type GradientBufferName, gradientTensors, inputsOf } from "./callers_buffers.ts";
import { execute } from "./execute.ts";
import { checked, decodeResults, type Results } from "./results.ts";

/**
 * Tensors of the host, by the names of `InputBuffers` or `HeadsInputBuffers`, and `upstream` as
 * `packUpstream()` lays it out where the plan has one: bytes of what those say, row-major, without
 * padding.
 */
export type HostInputs = Readonly<Record<string, TensorBytes>>;

/** How a job of the host is run. */
export interface HostOptions {
  /** Where gradients go as they come, range by range; those that are left out come as arrays. */
  readonly sinks?: Readonly<Partial<Record<GradientBufferName, TensorSink>>>;
  /** Called now and then with the steps done so far. */
  readonly onProgress?: (done: number, total: number) => void;
}

/** What a job of the host results in. */
export interface HostRun {
  /** Loss, results per token, and gradients that no sink took. */
  readonly results: Results;
  /** Most bytes of the host's memory that inputs, what was read ahead and results took at once. */
  readonly hostPeakBytes: number;
}

/**
 * Runs a plan of `planFromHost()` once, and gives all of the device's memory back:
 * `plan.memory.peakBytes` at most. A weight that is streamed comes window by window, one read while
 * the device works on another, and its gradient leaves the same way.
 *
 * @throws {TypeError} when a tensor is missing or the plan does not have it, or the plan is of the
 *   caller's buffers.
 * @throws {RangeError} when a tensor has other bytes than the plan, or a target is neither in the
 *   vocabulary nor the ignored one.
 * @throws {OutOfMemoryError} when the device has no memory for a buffer.
 * @throws {GpuError} when a kernel does not compile or the device is lost.
 *
 * @example A weight of which there never is more than a window
 * ```ts
 * import assert from "node:assert/strict";
 * import {
 *   deviceProfile,
 *   generatedSource,
 *   parseProblem,
 *   planFromHost,
 *   runFromHost,
 * } from "@lce/lce";
 *
 * const device = await (await navigator.gpu.requestAdapter())!.requestDevice();
 * const problem = parseProblem({ tokens: 2, hidden: 64, vocab: 10_000 });
 * const options = { weights: "streamed", window: 1024 } as const;
 * const planned = planFromHost(problem, deviceProfile(device), options);
 * assert(planned.memory.peakBytes < 10_000 * 64 * 4);
 *
 * const { results } = await runFromHost(device, planned, {
 *   hidden: new Uint8Array(2 * 64 * 4),
 *   weight: generatedSource(10_000 * 64 * 4, (_offset, bytes) => bytes.fill(0)), // or a file's
 *   targets: new Uint8Array(Int32Array.of(3, 9999).buffer),
 * });
 * assert(Math.abs(results.loss! - Math.log(10_000)) < 1e-5);
 * device.destroy();
 * ```
 */
export async function runFromHost(
  device: GPUDevice,
  plan: Plan,
  inputs: HostInputs,
  { sinks = {}, onProgress }: HostOptions = {},
): Promise<HostRun> {
  const { schedule, problem } = plan;
  if (schedule.residency === "caller") {
    throw new TypeError(
      "Cannot send tensors to a plan of the caller's buffers: make it with planFromHost()",
    );
  }
  const written = Object.entries(sinks).flatMap(([name, sink]) => {
    if (!sink) return [];
    const [key] = gradientTensors(schedule, [name as GradientBufferName]);
    return [[key!, sink] as const];
  });
  const { outputs, hostPeakBytes } = await execute(schedule, device, {
    inputs: named(schedule, inputs),
    sinks: Object.fromEntries(written),
    ...(onProgress ? { onProgress } : {}),
  });
  return { results: checked(problem, decodeResults(problem, outputs)), hostPeakBytes };
}

/** Returns the host's tensors by their names in a schedule, all of them there and of the right length. */
function named(schedule: Schedule, inputs: HostInputs): HostInputs {
  const { problem } = schedule;
  const names = new Map([...inputsOf(problem), ["upstream", "upstream"]]);
  const unknown = Object.keys(inputs).find((name) => !names.has(name));
  if (unknown !== undefined) {
    throw new TypeError(`Unknown tensor "${unknown}": there are ${[...names.keys()].join(", ")}`);
  }
  const tensors = tensorsOf(problem);
  return Object.fromEntries([...names].flatMap(([name, tensor]) => {
    const found = tensors.get(tensor);
    const given = inputs[name];
    if (!found && given) {
      throw new TypeError(
        `Cannot use a tensor for ${tensor}: the plan has none. Leave it out, or plan a problem that has it`,
      );
    }
    if (!found) return [];
    if (!given) throw new TypeError(`Cannot run without the tensor ${tensor}: give its bytes`);
    const shape = shapeIn(schedule, found);
    const bytes = bytesIn(shape, found);
    const { bytes: has } = sourceOf(given);
    if (has === bytes) return [[tensor, given]];
    throw new RangeError(
      `The tensor ${tensor} has ${has} bytes, not the ${bytes} of [${shape.join(", ")}] in ${
        elementType(found.key, found.head)
      }`,
    );
  }));
}

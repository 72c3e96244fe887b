/**
 * The public face of the kernels: a linear cross-entropy on the caller's own
 * device and buffers, planned once and used step after step.
 *
 * @module
 */
import type { Plan } from "../../planner/plan.ts";
import type { Step } from "../../planner/schedule/schedule.ts";
import { type Problem, vocabOf } from "../../planner/problem.ts";
import {
  assignGradients,
  assignInputs,
  type GradientBuffers,
  type HeadsInputBuffers,
  type HeadTensorName,
  type InputBuffers,
  layoutOf,
  ownBuffers,
  type TensorName,
  type TensorPart,
} from "./callers_buffers.ts";
import { catchReports, type Report, reported, throwIfLost, withErrorScopes } from "./errors.ts";
import { dispatchesTogether } from "../../planner/schedule/cost.ts";
import { compileKernels } from "./pipelines.ts";
import { readParts } from "./readback.ts";
import { decodeResults, decodeTotals, type Results, type Totals } from "./results.ts";
import { Encoder, type NamedBuffers } from "./encoder.ts";

/**
 * A planned linear cross-entropy, ready to run.
 *
 * Calls only submit work to the device's queue; the `read*` methods wait for
 * it, and throw what the device reported of any call since the last of them. Memory is allocated on creation and given back by `destroy()`: exactly the
 * plan's `memory.extraPeakBytes` plus the results per token.
 *
 * A call that throws leaves nothing half encoded: the next one starts afresh.
 *
 * @example A forward pass
 * ```ts
 * import assert from "node:assert/strict";
 * import { deviceProfile, LinearCrossEntropy, parseProblem, plan } from "../../mod.ts";
 *
 * const device = await (await navigator.gpu.requestAdapter())!.requestDevice();
 * const problem = parseProblem({ tokens: 2, hidden: 4, vocab: 8 });
 * const head = await LinearCrossEntropy.create(device, plan(problem, deviceProfile(device)));
 *
 * const usage = GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_DST;
 * const buffer = (size: number) => device.createBuffer({ size, usage });
 * head.forward({ hidden: buffer(2 * 4 * 4), weight: buffer(8 * 4 * 4), targets: buffer(2 * 4) });
 * const { lse } = await head.readResults();
 * assert(Math.abs(lse[0]! - Math.log(8)) < 1e-6); // eight logits of 0
 *
 * head.destroy();
 * device.destroy();
 * ```
 */
export class LinearCrossEntropy {
  readonly #plan: Plan;
  readonly #encoder: Encoder;
  #destroyed = false;
  /** Whether the statistics on the device are those of a `forward()` that no backward pass has used. */
  #forwarded = false;
  /** What the device has reported first of the calls since results were last read. */
  #report: Promise<Report | undefined> = Promise.resolve(undefined);

  private constructor(plan: Plan, encoder: Encoder) {
    this.#plan = plan;
    this.#encoder = encoder;
  }

  /**
   * Compiles a plan's kernels and allocates its memory.
   *
   * @param plan from `plan()`, whose schedule works on the caller's buffers.
   * @throws {TypeError} when the plan was made for inputs from the host, or for one rank of several.
   * @throws {OutOfMemoryError} when the device has no memory for a buffer.
   * @throws {GpuError} when a kernel does not compile or the device is lost.
   */
  static async create(device: GPUDevice, plan: Plan): Promise<LinearCrossEntropy> {
    const { schedule } = plan;
    if (schedule.residency !== "caller") {
      throw new TypeError("Cannot use a plan with host transfers: make it with plan() of mod.ts");
    }
    if (schedule.share) {
      throw new TypeError("Cannot run one rank's plan alone: it has steps that other ranks share");
    }
    const kernels = await withErrorScopes(device, () => compileKernels(device, schedule));
    const encoder = new Encoder(schedule, device, kernels, dispatchesTogether(plan.cost));
    await withErrorScopes(device, async () => {
      for (const spec of ownBuffers(schedule)) encoder.create(spec);
      await encoder.allocated();
    }).catch((error: unknown) => {
      encoder.destroyAll();
      throw error;
    });
    return new LinearCrossEntropy(plan, encoder);
  }

  /** What is computed. */
  get problem(): Problem {
    return this.#plan.problem;
  }

  /**
   * Returns the buffers that a tensor takes: one, unless it is larger than the device's
   * `maxBufferSize`; none where the problem does not have it.
   *
   * @param tensor by its name among {@linkcode InputBuffers}, or `grad_hidden`, `grad_weight`,
   *   `grad_bias`, `upstream`.
   * @throws {TypeError} for any other name.
   */
  layout(tensor: TensorName | HeadTensorName): TensorPart[] {
    return layoutOf(this.#plan.schedule, tensor);
  }

  /**
   * Computes loss and results per token.
   *
   * @param inputs the head's tensors, or those of several heads.
   * @throws {TypeError} when a buffer is missing, not planned or lacks a usage, or the plan
   *   computes gradients along with the loss: a `chunked` plan needs `lossAndGradients()`.
   * @throws {RangeError} when a buffer is too small.
   */
  forward(inputs: InputBuffers | HeadsInputBuffers): void {
    this.#alive();
    const { steps, backwardStart, strategy, problem } = this.#plan.schedule;
    if (problem.pass === "train" && backwardStart === undefined) {
      throw new TypeError(
        `Cannot run forward() alone: a ${strategy} plan computes gradients along with the loss. Call lossAndGradients(), or plan with another strategy`,
      );
    }
    this.#run(
      steps.slice(0, backwardStart ?? steps.length),
      assignInputs(this.#plan.schedule, inputs),
    );
    this.#forwarded = true;
  }

  /**
   * Computes the gradients of what `forward()` computed, for the same inputs. Each
   * needs a `forward()` of its own: what that left on the device is used up.
   *
   * @param upstream `[rows, stride]` in f32 as `packUpstream()` lays it out, where the
   *   problem's objective is `statistics` or its reduction `none`.
   * @throws {TypeError} when a buffer is missing, not planned, lacks a usage or is given twice;
   *   when no `forward()` came before; when the plan has no backward pass of its own: a
   *   `chunked` plan needs `lossAndGradients()`, a plan of a forward pass has none at all.
   * @throws {RangeError} when a buffer is too small.
   */
  backward(inputs: InputBuffers, gradients: GradientBuffers, upstream?: GPUBuffer): void {
    this.#alive();
    this.#trains("backward()");
    const { steps, backwardStart, strategy } = this.#plan.schedule;
    if (backwardStart === undefined) {
      throw new TypeError(
        `Cannot run backward() alone: a ${strategy} plan computes gradients along with the loss. Call lossAndGradients(), or plan with another strategy`,
      );
    }
    if (!this.#forwarded) {
      throw new TypeError(
        "Cannot run backward() before forward(): call forward() first, each time",
      );
    }
    this.#run(
      steps.slice(backwardStart),
      assignGradients(
        this.#plan.schedule,
        gradients,
        upstream,
        assignInputs(this.#plan.schedule, inputs),
      ),
    );
  }

  /**
   * Computes loss, results per token and gradients in one go, with an upstream
   * gradient that is known beforehand: 1 for a reduced loss.
   *
   * @param upstream as in {@linkcode LinearCrossEntropy.backward}.
   * @throws {TypeError} when the plan is of a forward pass, or a buffer is missing, not planned,
   *   lacks a usage or is given twice.
   * @throws {RangeError} when a buffer is too small.
   */
  lossAndGradients(
    inputs: InputBuffers,
    gradients: GradientBuffers,
    upstream?: GPUBuffer,
  ): void {
    this.#alive();
    this.#trains("lossAndGradients()");
    this.#run(
      this.#plan.schedule.steps,
      assignGradients(
        this.#plan.schedule,
        gradients,
        upstream,
        assignInputs(this.#plan.schedule, inputs),
      ),
    );
  }

  /**
   * Waits for the device and reads the reduced loss: a few bytes, at once.
   *
   * @returns NaN for a mean over no tokens; `undefined` where the problem has no reduced loss.
   * @throws {RangeError} when a target is neither in the vocabulary nor the ignored one.
   * @throws {GpuError} when the device is lost, or reported an error of a call before.
   */
  async readLoss(): Promise<number | undefined> {
    const { problem } = this;
    return this.#checkTargets(decodeTotals(problem, await this.#read(TOTAL_BUFFERS))).loss;
  }

  /**
   * Waits for the device and reads loss and results per token.
   *
   * @throws {RangeError} when a target is neither in the vocabulary nor the ignored one.
   * @throws {GpuError} when the device is lost, or reported an error of a call before.
   */
  async readResults(): Promise<Results> {
    return this.#checkTargets(decodeResults(this.problem, await this.#read()));
  }

  /** Gives the memory back. The caller's buffers stay the caller's. */
  destroy(): void {
    this.#encoder.destroyAll();
    this.#destroyed = true;
  }

  #alive(): void {
    if (this.#destroyed) throw new TypeError("Cannot use a LinearCrossEntropy after destroy()");
  }

  /** @throws {TypeError} when the plan has no gradients. */
  #trains(call: string): void {
    if (this.problem.pass === "train") return;
    throw new TypeError(
      `Cannot run ${call}: the plan is of a forward pass, which has no gradients. Plan a problem with pass: "train"`,
    );
  }

  #checkTargets<Found extends Totals>(results: Found): Found {
    if (results.badTarget === undefined) return results;
    const { ignoreIndex } = this.problem;
    const vocab = vocabOf(this.problem);
    throw new RangeError(
      `The target of token ${results.badTarget} is neither in the vocabulary (0 to ${
        vocab - 1
      }) nor the ignored ${ignoreIndex}`,
    );
  }

  /** Returns results of ours, all or some, as bytes: all at once. */
  async #read(names?: readonly string[]): Promise<Record<string, Uint8Array>> {
    this.#alive();
    const { device } = this.#encoder;
    const results = ownBuffers(this.#plan.schedule).filter(({ name, holds }) =>
      holds && (names?.includes(name) ?? true)
    );
    // Both at once: a call that comes after this one may be submitted before results are there.
    const report = this.#report;
    this.#report = Promise.resolve(undefined);
    const parts = results.map(({ name, bytes }) => ({ buffer: this.#encoder.buffer(name), bytes }));
    const [outcome] = await Promise.allSettled([readParts(device, parts, "results")]);
    const found = await report;
    if (found) {
      await throwIfLost(device);
      throw reported(found);
    }
    if (outcome.status === "rejected") throw outcome.reason;
    let offset = 0;
    return Object.fromEntries(results.map(({ name, bytes }) => {
      const piece = outcome.value.subarray(offset, offset + bytes);
      offset += bytes;
      return [name, piece];
    }));
  }

  /** Encodes and submits steps on the caller's buffers, which are all checked by now. */
  #run(steps: readonly Step[], callers: NamedBuffers): void {
    this.#forwarded = false;
    this.#encoder.useCallers(callers);
    const end = catchReports(this.#encoder.device);
    try {
      for (const step of steps) {
        if (step.kind === "dispatch" || step.kind === "clear") this.#encoder.encode(step);
      }
      this.#encoder.submit();
    } catch (error) {
      this.#encoder.discard();
      throw error;
    } finally {
      this.#report = firstOf(this.#report, end());
    }
  }
}

async function firstOf<T>(...each: Promise<T | undefined>[]): Promise<T | undefined> {
  return (await Promise.all(each)).find((value) => value !== undefined);
}

/** Results that are about the whole of a run. */
const TOTAL_BUFFERS = ["loss", "totals"];

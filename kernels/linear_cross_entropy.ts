/**
 * The public face of the kernels: a linear cross-entropy on the caller's own
 * device and buffers, planned once and used step after step.
 *
 * @module
 */
import type { Plan } from "../planner/plan.ts";
import type { BufferSpec, Schedule, Step } from "../planner/schedule.ts";
import type { Problem } from "../planner/problem.ts";
import { withErrorScopes } from "./execute.ts";
import { compileKernels } from "./pipelines.ts";
import { decodeResults, type Results } from "./results.ts";
import { type NamedBuffers, Stage } from "./stage.ts";

/**
 * One buffer, or the buffers that a matrix spans where the plan cuts it: see
 * {@linkcode LinearCrossEntropy.layout}.
 */
export type MatrixBuffers = GPUBuffer | readonly GPUBuffer[];

/** The caller's inputs. All need `STORAGE` usage. */
export interface InputBuffers {
  /** `[tokens, hidden]`, row-major, in the problem's storage type. */
  readonly hidden: MatrixBuffers;
  /** `[vocab, hidden]`, row-major, in the problem's storage type. */
  readonly weight: MatrixBuffers;
  /** `[tokens]` in i32. */
  readonly targets: GPUBuffer;
  /** `[vocab]` in f32, where the problem has a bias. */
  readonly bias?: GPUBuffer;
  /** `[vocab]` in f32, where the problem has class weights. */
  readonly classWeight?: GPUBuffer;
}

/** Where gradients go, all in f32. Needs `STORAGE` and `COPY_DST` usage; what it held is overwritten. */
export interface GradientBuffers {
  /** `[tokens, hidden]`, where the problem asks for it. */
  readonly hidden?: MatrixBuffers;
  /** `[vocab, hidden]`, where the problem asks for it. */
  readonly weight?: MatrixBuffers;
  /** `[vocab]`, where the problem asks for it. */
  readonly bias?: GPUBuffer;
}

/** One buffer of a tensor that the caller provides: how many bytes, and where in the tensor. */
export interface TensorPart {
  /** The least size that the buffer may have. */
  readonly bytes: number;
  /** Bytes of the tensor in the buffers before this one. */
  readonly offset: number;
}

/** Names in the schedule of what the caller calls otherwise. */
const SCHEDULE_NAMES: Readonly<Record<string, string>> = { classWeight: "class_weight" };

/**
 * A planned linear cross-entropy, ready to run.
 *
 * Calls only submit work to the device's queue; the `read*` methods wait for
 * it. Memory is allocated on creation and given back by `destroy()`: exactly the
 * plan's `memory.extraPeakBytes` plus the results per token.
 *
 * See `mod.ts` for an example.
 */
export class LinearCrossEntropy {
  readonly #plan: Plan;
  readonly #stage: Stage;
  #destroyed = false;

  private constructor(plan: Plan, stage: Stage) {
    this.#plan = plan;
    this.#stage = stage;
  }

  /**
   * Compiles a plan's kernels and allocates its memory.
   *
   * @param plan from `plan()`, whose schedule works on the caller's buffers.
   * @throws {TypeError} when the plan was made for inputs from the host, or for one rank of several.
   * @throws {GpuError} when a kernel does not compile or memory runs out.
   */
  static async create(device: GPUDevice, plan: Plan): Promise<LinearCrossEntropy> {
    const { schedule } = plan;
    if (!schedule.retained) {
      throw new TypeError("Cannot use a plan with host transfers: make it with plan() of mod.ts");
    }
    if (schedule.share) {
      throw new TypeError("Cannot run one rank's plan alone: it has steps that other ranks share");
    }
    const stage = new Stage(schedule, device, await compileKernels(device, schedule));
    await withErrorScopes(device, () => {
      for (const spec of schedule.buffers) if (!isCallers(spec)) stage.create(spec);
      return Promise.resolve();
    }).catch((error) => {
      stage.destroyAll();
      throw error;
    });
    return new LinearCrossEntropy(plan, stage);
  }

  /** What is computed. */
  get problem(): Problem {
    return this.#plan.problem;
  }

  /**
   * The buffers that a tensor takes: one, unless it is larger than the device's
   * `maxBufferSize`. Names are those of {@linkcode InputBuffers}, and
   * `grad_hidden`, `grad_weight`, `grad_bias`, `upstream`.
   */
  layout(tensor: string): TensorPart[] {
    return partsOf(this.#plan.schedule, SCHEDULE_NAMES[tensor] ?? tensor)
      .map(({ bytes, holds }) => ({ bytes, offset: holds!.offset }));
  }

  /**
   * Computes loss and results per token.
   *
   * @throws {TypeError} when a buffer is missing, `RangeError` when one is too small.
   */
  forward(inputs: InputBuffers): void {
    const { steps, backwardStart } = this.#plan.schedule;
    this.#play(steps.slice(0, backwardStart ?? steps.length), this.#inputs(inputs));
  }

  /**
   * Computes the gradients of what `forward()` computed, for the same inputs.
   *
   * @param upstream `[rows, stride]` in f32 as `packUpstream()` lays it out, where the
   *   problem's objective is `statistics` or its reduction `none`.
   * @throws {TypeError} when a buffer is missing, or the plan has no backward pass of its
   *   own: a `chunked` plan needs `lossAndGradients()`.
   */
  backward(inputs: InputBuffers, gradients: GradientBuffers, upstream?: GPUBuffer): void {
    const { steps, backwardStart, strategy } = this.#plan.schedule;
    if (backwardStart === undefined) {
      throw new TypeError(
        `Cannot run backward() alone: a ${strategy} plan for a ${this.problem.pass} pass has no backward pass apart from lossAndGradients()`,
      );
    }
    this.#play(steps.slice(backwardStart), {
      ...this.#inputs(inputs),
      ...this.#gradients(gradients, upstream),
    });
  }

  /**
   * Computes loss, results per token and gradients in one go, with an upstream
   * gradient that is known beforehand: 1 for a reduced loss.
   *
   * @throws {TypeError} when a buffer is missing, `RangeError` when one is too small.
   */
  lossAndGradients(
    inputs: InputBuffers,
    gradients: GradientBuffers,
    upstream?: GPUBuffer,
  ): void {
    this.#play(this.#plan.schedule.steps, {
      ...this.#inputs(inputs),
      ...this.#gradients(gradients, upstream),
    });
  }

  /** Waits for the device and reads the reduced loss; NaN for a mean over no tokens. */
  async readLoss(): Promise<number | undefined> {
    return (await this.readResults()).loss;
  }

  /**
   * Waits for the device and reads loss and results per token.
   *
   * @throws {RangeError} when a target is neither in the vocabulary nor the ignored one.
   */
  async readResults(): Promise<Results> {
    this.#alive();
    const names = this.#plan.schedule.buffers
      .filter((spec) => spec.category === "output" && !isCallers(spec))
      .map(({ name }) => name);
    const outputs: Record<string, Uint8Array> = {};
    for (const name of names) {
      outputs[name] = await readBuffer(this.#stage.device, this.#stage.buffer(name));
    }
    const results = decodeResults(this.problem, outputs);
    if (results.badTarget !== undefined) {
      throw new RangeError(
        `The target of token ${results.badTarget} is neither in the vocabulary (0 to ${
          this.problem.vocab - 1
        }) nor the ignored ${this.problem.ignoreIndex}`,
      );
    }
    return results;
  }

  /** Gives the memory back. The caller's buffers stay the caller's. */
  destroy(): void {
    this.#stage.destroyAll();
    this.#destroyed = true;
  }

  #alive(): void {
    if (this.#destroyed) throw new TypeError("Cannot use a LinearCrossEntropy after destroy()");
  }

  #play(steps: readonly Step[], lent: NamedBuffers): void {
    this.#alive();
    this.#stage.lend(lent);
    for (const step of steps) {
      if (step.kind === "dispatch" || step.kind === "clear") this.#stage.play(step);
    }
    this.#stage.submit();
  }

  #inputs({ hidden, weight, targets, bias, classWeight }: InputBuffers): NamedBuffers {
    return {
      ...this.#assign("hidden", hidden),
      ...this.#assign("weight", weight),
      ...this.#assign("targets", targets),
      ...this.#assign("bias", bias),
      ...this.#assign("class_weight", classWeight),
    };
  }

  #gradients(
    { hidden, weight, bias }: GradientBuffers,
    upstream: GPUBuffer | undefined,
  ): NamedBuffers {
    return {
      ...this.#assign("grad_hidden", hidden),
      ...this.#assign("grad_weight", weight),
      ...this.#assign("grad_bias", bias),
      ...this.#assign("upstream", upstream),
    };
  }

  /** Matches a caller's buffers with the parts of a tensor, where the schedule has it. */
  #assign(tensor: string, given: MatrixBuffers | undefined): NamedBuffers {
    const parts = partsOf(this.#plan.schedule, tensor);
    if (parts.length === 0) return {};
    const buffers = given === undefined ? [] : "size" in given ? [given] : given;
    if (buffers.length !== parts.length) {
      throw new TypeError(
        `Cannot run without ${parts.length} buffer(s) for ${tensor}: ${buffers.length} given`,
      );
    }
    return Object.fromEntries(parts.map(({ name, bytes }, index) => {
      const buffer = buffers[index]!;
      if (buffer.size < bytes) {
        throw new RangeError(
          `Buffer ${index} of ${tensor} is too small: it has ${buffer.size} bytes, ${bytes} are needed`,
        );
      }
      return [name, buffer];
    }));
  }
}

/** Whether the caller provides a buffer: inputs and gradients. Results are ours. */
function isCallers({ category, holds }: BufferSpec): boolean {
  return category === "input" || (holds?.tensor.startsWith("grad_") ?? false);
}

function partsOf({ buffers }: Schedule, tensor: string): BufferSpec[] {
  return buffers
    .filter(({ holds }) => holds?.tensor === tensor)
    .sort((a, b) => a.holds!.offset - b.holds!.offset);
}

/** Copies a buffer to the host through a staging buffer of its own. */
async function readBuffer(device: GPUDevice, source: GPUBuffer): Promise<Uint8Array> {
  const staging = device.createBuffer({
    label: "staging/read",
    size: source.size,
    usage: GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST,
  });
  try {
    const encoder = device.createCommandEncoder();
    encoder.copyBufferToBuffer(source, 0, staging, 0, source.size);
    device.queue.submit([encoder.finish()]);
    await staging.mapAsync(GPUMapMode.READ);
    return new Uint8Array(staging.getMappedRange()).slice();
  } finally {
    staging.destroy();
  }
}

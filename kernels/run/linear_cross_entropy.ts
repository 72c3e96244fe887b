/**
 * The public face of the kernels: a linear cross-entropy on the caller's own
 * device and buffers, planned once and used step after step.
 *
 * @module
 */
import type { Plan } from "../../planner/plan.ts";
import type { Problem } from "../../planner/problem.ts";
import {
  type Asked,
  assignGradients,
  assignInputs,
  type GradientBuffers,
  gradientTensors,
  type HeadsGradientBuffers,
  type HeadsInputBuffers,
  type HeadTensorName,
  type InputBuffers,
  layoutOf,
  ownBuffers,
  type TensorName,
  type TensorPart,
} from "./callers_buffers.ts";
import { withErrorScopes } from "./errors.ts";
import { dispatchesTogether } from "../../planner/schedule/cost.ts";
import type { Part, StepBuffers, StepOptions } from "./call.ts";
import { callSteps, clearRecords } from "./call_steps.ts";
import type { Scratch } from "./scratch.ts";
import { compileKernels } from "./pipelines.ts";
import { decodeHalves, type Halves, halvesRecords } from "./halves.ts";
import {
  checked,
  decodeResults,
  decodeTotals,
  type DeviceResult,
  type Results,
  resultSlice,
} from "./results.ts";
import { Encoder } from "./encoder.ts";
import { ReportedResults } from "./reported_results.ts";
import { Turns } from "./turns.ts";
import type { BufferRange, NamedRanges } from "./buffer_range.ts";

/**
 * A planned linear cross-entropy, ready to run.
 *
 * Calls only submit work to the device's queue, or record it (`encode()`); the `read*` methods wait
 * for it, and throw what the device reported of any call since the last of them. Memory is
 * allocated on creation and given back by `destroy()`: exactly the plan's `memory.extraPeakBytes`
 * plus the results per token.
 *
 * A call that throws leaves nothing half encoded: the next one starts afresh.
 *
 * @example A forward pass
 * ```ts
 * import assert from "node:assert/strict";
 * import { deviceProfile, LinearCrossEntropy, parseProblem, plan } from "@lce/lce";
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
  readonly #turns: Turns;
  readonly #results: ReportedResults;
  #destroyed = false;

  private constructor(plan: Plan, encoder: Encoder, scratch: Scratch | undefined) {
    this.#plan = plan;
    this.#encoder = encoder;
    this.#turns = new Turns(plan.schedule, scratch);
    this.#results = new ReportedResults(encoder);
  }

  /**
   * Compiles a plan's kernels and allocates its memory.
   *
   * @param plan from `plan()`, whose schedule works on the caller's buffers.
   * @param options `scratch` is used in place of the plan's own, in turns with other heads.
   * @throws {TypeError} when the plan was made for inputs from the host, or for one rank of several.
   * @throws {RangeError} when `scratch` was not made for the plan.
   * @throws {OutOfMemoryError} when the device has no memory for a buffer.
   * @throws {GpuError} when a kernel does not compile or the device is lost.
   */
  static async create(
    device: GPUDevice,
    plan: Plan,
    { scratch }: { readonly scratch?: Scratch } = {},
  ): Promise<LinearCrossEntropy> {
    const { schedule } = plan;
    if (schedule.residency !== "caller") {
      throw new TypeError("Cannot use a plan with host transfers: make it with plan() of mod.ts");
    }
    if (schedule.share) {
      throw new TypeError("Cannot run one rank's plan alone: it has steps that other ranks share");
    }
    const lent = scratch?.buffersFor(schedule) ?? new Map<string, GPUBuffer>();
    const kernels = await withErrorScopes(device, () => compileKernels(device, schedule));
    const encoder = new Encoder(schedule, device, kernels, dispatchesTogether(plan.cost));
    await withErrorScopes(device, async () => {
      encoder.lend(lent);
      for (const spec of ownBuffers(schedule)) if (!lent.has(spec.name)) encoder.create(spec);
      await encoder.allocated();
    }).catch((error: unknown) => {
      encoder.destroyAll();
      throw error;
    });
    return new LinearCrossEntropy(plan, encoder, scratch);
  }

  /** Returns what is computed. */
  get problem(): Problem {
    return this.#plan.problem;
  }

  /**
   * Returns the buffers that a tensor takes: one, unless it is larger than the device's
   * `maxBufferSize`; none where the problem does not have it.
   *
   * @param tensor by its name among {@linkcode InputBuffers}, or `grad_hidden`, `grad_weight`,
   *   `grad_bias`, `upstream`; of another head that learns, `teacherGradHidden` and so on.
   * @param tokens of the step that they are for; the planned ones where it is left out.
   * @throws {TypeError} for any other name.
   * @throws {RangeError} for fewer tokens than 1, or more than planned.
   */
  layout(
    tensor: TensorName | HeadTensorName,
    tokens: number = this.problem.tokens,
  ): TensorPart[] {
    return layoutOf(this.#plan.schedule, tensor, this.#turns.checkedTokens("both", tokens));
  }

  /**
   * Computes loss and results per token.
   *
   * @param inputs the head's tensors, or those of several heads.
   * @throws {TypeError} when a buffer is missing, not planned or lacks a usage, or the plan
   *   computes gradients along with the loss: a `chunked` plan needs `lossAndGradients()`, and so does
   *   one of a student that learns in one pass.
   * @throws {RangeError} when a buffer is too small, or does not begin where it may; for fewer
   *   tokens than 1, or more than planned.
   */
  forward(inputs: InputBuffers | HeadsInputBuffers, options: StepOptions = {}): void {
    this.#record({ ...options, inputs, part: "forward" });
  }

  /**
   * Computes the gradients of what `forward()` computed, for the same inputs. Each
   * needs a `forward()` of its own: what that left on the device is used up.
   *
   * @param upstream as {@linkcode StepBuffers} has it.
   * @throws {TypeError} when a buffer is missing, not planned, lacks a usage or is given twice;
   *   when no `forward()` came before; when the plan has no backward pass of its own: a
   *   `chunked` plan needs `lossAndGradients()`, a plan of a forward pass has none at all.
   * @throws {RangeError} when a buffer is too small, or does not begin where it may; for fewer
   *   tokens than 1, or more than planned.
   */
  backward(
    inputs: InputBuffers | HeadsInputBuffers,
    gradients: GradientBuffers | HeadsGradientBuffers,
    upstream?: BufferRange,
    options: StepOptions = {},
  ): void {
    this.#record({ ...options, inputs, gradients, upstream, part: "backward" });
  }

  /**
   * Computes loss, results per token and gradients in one go, with an upstream
   * gradient that is known beforehand: 1 for a reduced loss.
   *
   * @param upstream as {@linkcode StepBuffers} has it.
   * @throws {TypeError} when the plan is of a forward pass, or a buffer is missing, not planned,
   *   lacks a usage or is given twice.
   * @throws {RangeError} when a buffer is too small, or does not begin where it may; for fewer
   *   tokens than 1, or more than planned.
   */
  lossAndGradients(
    inputs: InputBuffers | HeadsInputBuffers,
    gradients: GradientBuffers | HeadsGradientBuffers,
    upstream?: BufferRange,
    options: StepOptions = {},
  ): void {
    this.#record({ ...options, inputs, gradients, upstream, part: "both" });
  }

  /**
   * Records what `forward()`, `backward()` or `lossAndGradients()` would submit into a command
   * encoder of the caller's, between whatever else goes there: what one dispatch wrote, the next
   * one reads. Nothing is submitted, written by the queue or allocated, so any number of steps may be
   * recorded in one encoder, and each has its own buffers and its own settings.
   *
   * All of it is one submission then, and a device may end one that takes seconds; the other
   * methods hand long steps over piece by piece. Submit it before results are read: they are
   * those of the step that was recorded last.
   *
   * @throws {TypeError} as the method of that part does, with nothing recorded.
   * @throws {RangeError} likewise.
   *
   * @example Two steps of stochastic gradient descent on the output layer, in one submission
   * ```ts
   * import assert from "node:assert/strict";
   * import { deviceProfile, LinearCrossEntropy, parseProblem, plan } from "@lce/lce";
   *
   * const device = await (await navigator.gpu.requestAdapter())!.requestDevice();
   * const problem = parseProblem({ tokens: 2, hidden: 4, vocab: 8, pass: "train" });
   * const head = await LinearCrossEntropy.create(device, plan(problem, deviceProfile(device)));
   *
   * // One buffer for all inputs, and one for the gradients: 256 bytes suit every device.
   * const usage = GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_DST | GPUBufferUsage.COPY_SRC;
   * const buffer = (size: number) => device.createBuffer({ size, usage });
   * const [inputs, gradients] = [buffer(3 * 256), buffer(2 * 256)];
   * device.queue.writeBuffer(inputs, 0, Float32Array.of(1, 0, 0, 0, 0, 1, 0, 0));
   * device.queue.writeBuffer(inputs, 512, Int32Array.of(3, 5));
   * const step = {
   *   inputs: {
   *     hidden: { buffer: inputs, size: 32 },
   *     weight: { buffer: inputs, offset: 256, size: 128 },
   *     targets: { buffer: inputs, offset: 512, size: 8 },
   *   },
   *   gradients: {
   *     hidden: { buffer: gradients, size: 32 },
   *     weight: { buffer: gradients, offset: 256, size: 128 },
   *   },
   * };
   *
   * const descend = device.createComputePipeline({
   *   layout: "auto",
   *   compute: {
   *     module: device.createShaderModule({
   *       code: `
   *         @group(0) @binding(0) var<storage, read_write> weight: array<f32>;
   *         @group(0) @binding(1) var<storage, read> gradient: array<f32>;
   *         @compute @workgroup_size(32) fn main(@builtin(local_invocation_index) at: u32) {
   *           weight[at] -= gradient[at];
   *         }`,
   *     }),
   *   },
   * });
   * const group = device.createBindGroup({
   *   layout: descend.getBindGroupLayout(0),
   *   entries: [step.inputs.weight, step.gradients.weight].map((resource, binding) => ({
   *     binding,
   *     resource,
   *   })),
   * });
   *
   * const commands = device.createCommandEncoder();
   * for (let times = 0; times < 2; times++) {
   *   head.encode(commands, step);
   *   const pass = commands.beginComputePass();
   *   pass.setPipeline(descend);
   *   pass.setBindGroup(0, group);
   *   pass.dispatchWorkgroups(1);
   *   pass.end();
   * }
   * device.queue.submit([commands.finish()]);
   *
   * // The weight was 0 at first: softmax 1/8, and each token's target 7/8 higher than the others.
   * // Half of that is a mean's gradient.
   * const [target, other] = [Math.exp(0.5 * 7 / 8), Math.exp(-0.5 / 8)];
   * const loss = await head.readLoss();
   * assert(Math.abs(loss! + Math.log(target / (target + 7 * other))) < 1e-5);
   *
   * head.destroy();
   * device.destroy();
   * ```
   */
  encode(commands: GPUCommandEncoder, step: StepBuffers): void {
    this.#record(step, commands);
  }

  /**
   * Returns where a result lies on the device, to be bound or copied from: it needs no wait and no
   * readback. What lies there is that of the step before in the same encoder or queue; the next step
   * overwrites it. The buffer is the head's own, with usages `STORAGE`, `COPY_SRC` and `COPY_DST`.
   *
   * @param name one of {@linkcode Results} that there is one of per token, such as `logprob`: as many
   *   numbers as tokens are planned, of which those that are ignored or not in a step are 0; `loss`,
   *   which is one f32; or `totals`, whose words are kept tokens (u32), their weight and that of the
   *   vocabulary (f32), and 1 + the first token with a target that is none, else 0 (u32).
   * @throws {TypeError} where the plan does not have it.
   *
   * @example Losses of two micro-batches, left on the device
   * ```ts
   * import assert from "node:assert/strict";
   * import { deviceProfile, LinearCrossEntropy, parseProblem, plan } from "@lce/lce";
   *
   * const device = await (await navigator.gpu.requestAdapter())!.requestDevice();
   * const problem = parseProblem({ tokens: 2, hidden: 4, vocab: 8 });
   * const head = await LinearCrossEntropy.create(device, plan(problem, deviceProfile(device)));
   * const buffer = (size: number) =>
   *   device.createBuffer({ size, usage: GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_DST });
   * const inputs = { hidden: buffer(32), weight: buffer(128), targets: buffer(8) };
   *
   * const { buffer: loss, offset, size } = head.result("loss");
   * const losses = buffer(2 * size);
   * const commands = device.createCommandEncoder();
   * for (const [batch, tokens] of [2, 1].entries()) {
   *   head.encode(commands, { inputs, tokens });
   *   commands.copyBufferToBuffer(loss, offset, losses, batch * size, size);
   * }
   * device.queue.submit([commands.finish()]);
   *
   * // Each is bound as it lies, for a kernel of your own.
   * assert.equal(head.result("logprob").offset % 256, 0);
   * head.destroy();
   * device.destroy();
   * ```
   */
  result(name: DeviceResult): Required<GPUBufferBinding> {
    this.#alive();
    const { buffer, offset, bytes } = resultSlice(this.problem, name);
    return { buffer: this.#encoder.buffer(buffer), offset, size: bytes };
  }

  /**
   * Waits for the device and reads the reduced loss: a few bytes, at once.
   *
   * @returns NaN for a mean over no tokens; `undefined` where the problem has no reduced loss.
   * @throws {RangeError} when a target is neither in the vocabulary nor the ignored one.
   * @throws {HalvesError} when products are of halves that do not hold inputs in bf16: plan with `tier: "f32"`.
   * @throws {GpuError} when the device is lost, or reported an error of a call before.
   */
  async readLoss(): Promise<number | undefined> {
    const { problem } = this;
    return checked(problem, decodeTotals(problem, await this.#read(totalBuffers(problem)))).loss;
  }

  /**
   * Waits for the device and reads loss and results per token.
   *
   * @throws {RangeError} when a target is neither in the vocabulary nor the ignored one.
   * @throws {HalvesError} as {@linkcode LinearCrossEntropy.readLoss} does.
   * @throws {GpuError} when the device is lost, or reported an error of a call before.
   */
  async readResults(): Promise<Results> {
    const { tokens } = this.#turns;
    return checked(this.problem, decodeResults(this.problem, await this.#read(), tokens));
  }

  /**
   * Waits for the device and reads what became of inputs in bf16, of the last step: whether halves
   * hold them is the same for a weight that stays as it is, and need not be asked in each step.
   *
   * @returns `undefined` where products are not of halves made of bf16.
   * @throws {GpuError} when the device is lost, or reported an error of a call before.
   */
  async readHalves(): Promise<Halves | undefined> {
    const { problem } = this;
    return decodeHalves(problem, await this.#read(halvesRecords(problem))).halves;
  }

  /** Gives the memory back. The caller's buffers stay the caller's. */
  destroy(): void {
    this.#encoder.destroyAll();
    this.#destroyed = true;
  }

  #alive(): void {
    if (this.#destroyed) throw new TypeError("Cannot use a LinearCrossEntropy after destroy()");
  }

  #read(names?: readonly string[]): Promise<Record<string, Uint8Array>> {
    this.#alive();
    return this.#results.read(names);
  }

  /** Returns where the caller's buffers of a step lie, all of them checked. */
  #rangesOf(
    { inputs, gradients = {}, upstream }: StepBuffers,
    part: Part,
    tokens: number,
  ): NamedRanges {
    const { minStorageBufferOffsetAlignment: alignment } = this.#encoder.device.limits;
    const asked: Asked = { schedule: this.#plan.schedule, tokens, alignment };
    const ranges = assignInputs(asked, inputs);
    return part === "forward" ? ranges : assignGradients(asked, gradients, upstream, ranges);
  }

  /** Records a step in the caller's commands, or in ones that are submitted here. */
  #record(step: StepBuffers, commands?: GPUCommandEncoder): void {
    this.#alive();
    const { part = step.gradients ? "both" : "forward" } = step;
    const { schedule } = this.#plan;
    const tokens = this.#turns.checkedTokens(part, step.tokens);
    const steps = [
      ...(part === "forward" ? [] : clearRecords(schedule)),
      ...callSteps(schedule, this.#turns.stepsOf(part), {
        tokens,
        added: gradientTensors(schedule, step.add ?? []),
      }),
    ];
    const callers = this.#rangesOf(step, part, tokens);
    this.#turns.begin(part, tokens);
    this.#results.watch(() => {
      try {
        for (const step of steps) {
          this.#encoder.encode(step, { callers, ...(commands ? { commands } : {}) });
        }
        this.#encoder.submit();
      } catch (error) {
        this.#encoder.discard();
        throw error;
      }
    });
    this.#turns.end(part);
  }
}

/** Results that are about the whole of a run. */
const totalBuffers = (problem: Problem) => ["loss", "totals", ...halvesRecords(problem)];

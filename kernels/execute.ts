/**
 * The executor: walks a schedule's steps on a device. It creates a buffer at
 * the first step that uses it and destroys it after the last.
 *
 * @module
 */
import {
  type Dispatch,
  lifetimes,
  PARAMS_BUFFER,
  type Schedule,
  type Slice,
  type Step,
} from "../planner/schedule.ts";
import { PARAMS_BYTES } from "../planner/strategies/draft.ts";
import { bufferLabel } from "./ledger.ts";
import { kernelKey } from "./mod.ts";
import { type CompiledKernel, compileKernels, GpuError } from "./pipelines.ts";
import { packParams } from "./wgsl.ts";

/** Host tensors by name, as bytes in their storage type. */
export type HostTensors = Readonly<Record<string, Uint8Array>>;

/** What goes into an execution besides the schedule. */
export interface ExecuteOptions {
  /** Tensors that upload steps read. */
  readonly inputs?: HostTensors;
  /** Buffers that the caller owns, by their names in the schedule; never created nor destroyed here. */
  readonly buffers?: Readonly<Record<string, GPUBuffer>>;
  /** Called now and then with the steps done so far. */
  readonly onProgress?: (done: number, total: number) => void;
}

/** What came out of an execution. */
export interface Execution {
  /** Tensors that readback steps wrote, as bytes. */
  readonly outputs: HostTensors;
  /** Milliseconds from the first dispatch to the end of the last, by the wall clock. */
  readonly milliseconds: number;
  /** Milliseconds spent compiling kernels that were not compiled yet. */
  readonly compileMilliseconds: number;
}

/** Dispatches that are handed to the queue together. */
const DISPATCHES_PER_SUBMIT = 16;

/** Submissions after which progress is reported, and the queue waited for. */
const SUBMITS_PER_REPORT = 8;

/** Bytes that are uploaded before the queue may free its staging memory. */
const UPLOAD_BYTES = 64 * 2 ** 20;

/**
 * Runs a schedule. The device stays the caller's; every buffer created here is
 * destroyed here, also when something fails.
 *
 * @throws {GpuError} when a kernel does not compile, memory runs out or the device is lost.
 */
export async function execute(
  schedule: Schedule,
  device: GPUDevice,
  options: ExecuteOptions = {},
): Promise<Execution> {
  const begun = performance.now();
  const kernels = await compileKernels(device, schedule);
  const compileMilliseconds = performance.now() - begun;
  device.pushErrorScope("out-of-memory");
  device.pushErrorScope("validation");
  const walk = new Walk(schedule, device, kernels, options);
  let failure: unknown;
  try {
    await walk.run();
  } catch (error) {
    failure = error;
  } finally {
    walk.destroy();
  }
  const errors = [await device.popErrorScope(), await device.popErrorScope()];
  for (const error of errors) {
    if (error) throw new GpuError(`The device reports: ${error.message}`);
  }
  if (failure) throw failure;
  return { outputs: walk.outputs, milliseconds: walk.milliseconds, compileMilliseconds };
}

/** One walk over a schedule's steps. */
class Walk {
  readonly outputs: Record<string, Uint8Array> = {};
  milliseconds = 0;
  readonly #buffers = new Map<string, GPUBuffer>();
  #encoder: GPUCommandEncoder | undefined;
  #encoded = 0;
  #submitted = 0;
  #started: number | undefined;

  constructor(
    readonly schedule: Schedule,
    readonly device: GPUDevice,
    readonly kernels: Map<string, CompiledKernel>,
    readonly options: ExecuteOptions,
  ) {}

  async run(): Promise<void> {
    const { steps, buffers } = this.schedule;
    const lives = lifetimes(this.schedule);
    const births = Map.groupBy(buffers, ({ name }) => lives.get(name)!.first);
    const deaths = Map.groupBy(buffers, ({ name }) => lives.get(name)!.last);
    for (const [index, step] of steps.entries()) {
      for (const spec of births.get(index) ?? []) this.#create(spec.name);
      await this.#step(step);
      const dying = deaths.get(index) ?? [];
      if (dying.length > 0) this.#submit();
      for (const { name } of dying) {
        this.#buffers.get(name)?.destroy();
        this.#buffers.delete(name);
      }
      if (this.#submitted >= SUBMITS_PER_REPORT && this.options.onProgress) {
        this.#submitted = 0;
        await this.device.queue.onSubmittedWorkDone();
        this.options.onProgress(index + 1, steps.length);
      }
    }
    await this.#stopClock();
  }

  destroy(): void {
    for (const buffer of this.#buffers.values()) buffer.destroy();
    this.#buffers.clear();
  }

  #create(name: string): void {
    if (this.options.buffers?.[name]) return;
    const { bytes, category } = this.schedule.buffers.find((spec) => spec.name === name)!;
    const usage = name === PARAMS_BUFFER
      ? GPUBufferUsage.UNIFORM | GPUBufferUsage.COPY_DST
      : category === "staging"
      ? GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST
      : GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_SRC | GPUBufferUsage.COPY_DST;
    const buffer = this.device.createBuffer({
      label: bufferLabel(category, name),
      size: bytes,
      usage,
    });
    this.#buffers.set(name, buffer);
    if (name === PARAMS_BUFFER) this.#writeParams(buffer, bytes);
  }

  #buffer(name: string): GPUBuffer {
    const buffer = this.options.buffers?.[name] ?? this.#buffers.get(name);
    if (!buffer) throw new GpuError(`Buffer ${name} is used by a step but not alive`);
    return buffer;
  }

  #writeParams(buffer: GPUBuffer, bytes: number): void {
    const { params, paramsStride } = this.schedule;
    const words = new Uint32Array(bytes / 4);
    params.forEach((each, index) => words.set(packParams(each), (index * paramsStride) / 4));
    this.device.queue.writeBuffer(buffer, 0, words);
  }

  async #step(step: Step): Promise<void> {
    switch (step.kind) {
      case "dispatch":
        await this.#startClock();
        return this.#dispatch(step);
      case "clear":
        await this.#startClock();
        return this.#encode().clearBuffer(
          this.#buffer(step.slice.buffer),
          step.slice.offset,
          step.slice.bytes,
        );
      case "upload":
        return this.#upload(step.tensor, step.sourceOffset, step.slice);
      case "readback":
        await this.#stopClock();
        return this.#readback(step.tensor, step.targetOffset, step.slice, step.staging);
    }
  }

  async #startClock(): Promise<void> {
    if (this.#started !== undefined) return;
    await this.device.queue.onSubmittedWorkDone();
    this.#started = performance.now();
  }

  async #stopClock(): Promise<void> {
    this.#submit();
    if (this.#started === undefined || this.milliseconds > 0) return;
    await this.device.queue.onSubmittedWorkDone();
    this.milliseconds = performance.now() - this.#started;
  }

  #encode(): GPUCommandEncoder {
    return this.#encoder ??= this.device.createCommandEncoder();
  }

  #submit(): void {
    if (!this.#encoder) return;
    this.device.queue.submit([this.#encoder.finish()]);
    this.#encoder = undefined;
    this.#encoded = 0;
    this.#submitted++;
  }

  #dispatch(step: Dispatch): void {
    const { pipeline, layout } = this.kernels.get(kernelKey(step))!;
    const resource = ({ buffer, offset, bytes }: Slice) => ({
      buffer: this.#buffer(buffer),
      offset,
      size: bytes,
    });
    const params = { buffer: PARAMS_BUFFER, offset: 0, bytes: PARAMS_BYTES };
    const group = this.device.createBindGroup({
      layout,
      entries: [params, ...step.bindings.map(({ slice }) => slice)]
        .map((slice, binding) => ({ binding, resource: resource(slice) })),
    });
    const pass = this.#encode().beginComputePass({ label: step.kernel });
    pass.setPipeline(pipeline);
    pass.setBindGroup(0, group, [step.params * this.schedule.paramsStride]);
    pass.dispatchWorkgroups(...step.grid);
    pass.end();
    if (++this.#encoded >= DISPATCHES_PER_SUBMIT) this.#submit();
  }

  #upload(tensor: string, sourceOffset: number, slice: Slice): void {
    const source = this.options.inputs?.[tensor];
    if (!source) throw new GpuError(`No host tensor ${tensor} to upload`);
    const target = this.#buffer(slice.buffer);
    for (let done = 0; done < slice.bytes; done += UPLOAD_BYTES) {
      const size = Math.min(UPLOAD_BYTES, slice.bytes - done);
      let piece = source.subarray(sourceOffset + done, sourceOffset + done + size);
      if (piece.length < size) {
        // The last word of an odd number of 16-bit elements; anything more is a wrong size.
        if (size - piece.length >= 4) {
          throw new GpuError(`Host tensor ${tensor} is ${size - piece.length} bytes short`);
        }
        const padded = new Uint8Array(size);
        padded.set(piece);
        piece = padded;
      }
      this.device.queue.writeBuffer(target, slice.offset + done, piece as BufferSource);
      if (size === UPLOAD_BYTES) this.device.queue.submit([]);
    }
  }

  async #readback(tensor: string, at: number, slice: Slice, via: Slice): Promise<void> {
    const staging = this.#buffer(via.buffer);
    this.#encode().copyBufferToBuffer(
      this.#buffer(slice.buffer),
      slice.offset,
      staging,
      via.offset,
      slice.bytes,
    );
    this.#submit();
    await staging.mapAsync(GPUMapMode.READ, via.offset, slice.bytes);
    const target = this.outputs[tensor] ??= new Uint8Array(this.#outputBytes(tensor));
    target.set(new Uint8Array(staging.getMappedRange(via.offset, slice.bytes)), at);
    staging.unmap();
  }

  #outputBytes(tensor: string): number {
    return this.schedule.buffers.reduce(
      (most, { holds, bytes }) =>
        holds?.tensor === tensor ? Math.max(most, holds.offset + bytes) : most,
      0,
    );
  }
}

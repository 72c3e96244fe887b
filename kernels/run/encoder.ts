/**
 * The encoder of a schedule: its buffers while they live, and its steps as commands
 * for the device. When buffers come and go is up to who asks: the executor goes by
 * lifetimes, the public API creates all at once.
 *
 * @module
 */
import {
  type BufferSpec,
  type Clear,
  type Dispatch,
  PARAMS_BUFFER,
  type Schedule,
  type Slice,
} from "../../planner/schedule/schedule.ts";
import { DISPATCHES_TOGETHER } from "../../planner/tuning.ts";
import { packParams, PARAMS_BYTES } from "../../planner/schedule/params.ts";
import { bufferLabel } from "./labels.ts";
import { kernelKey } from "../wgsl/generate.ts";
import { GpuError, OutOfMemoryError } from "./errors.ts";
import type { CompiledKernel } from "./pipelines.ts";
import type { CheckedRange, NamedRanges } from "./buffer_range.ts";
import { BufferUsage } from "./provider.ts";

/** What is particular to some steps: they are encoded for somebody else. */
export interface Encoding {
  /** What stands for buffers of the schedule; they are never destroyed here. */
  readonly callers?: NamedRanges;
  /** What they are recorded in, and not submitted here; the encoder's own where it is left out. */
  readonly commands?: GPUCommandEncoder;
}

/** Buffers and command encoding of one schedule on one device. */
export class Encoder {
  /** Submissions so far. */
  submissions = 0;
  /** Where each dispatch writes its timestamps, if it does, while time is taken. */
  timestamps: (() => GPUComputePassTimestampWrites | undefined) | undefined;
  readonly #own = new Map<string, GPUBuffer>();
  readonly #lent = new Map<string, GPUBuffer>();
  /** Bytes of them. */
  #heldBytes = 0;
  /** What came of buffers that nobody has asked about. */
  #allocations: Promise<OutOfMemoryError | undefined>[] = [];
  #commands: GPUCommandEncoder | undefined;
  #encoded = 0;

  /** Takes a schedule whose kernels are compiled. */
  constructor(
    readonly schedule: Schedule,
    readonly device: GPUDevice,
    readonly kernels: ReadonlyMap<string, CompiledKernel>,
    /** Dispatches that are handed to the queue together. */
    readonly together: number = DISPATCHES_TOGETHER,
  ) {}

  /** Creates a buffer. Whether there was memory for it is known after {@linkcode allocated}. */
  create({ name, bytes, category }: BufferSpec): void {
    const usage = name === PARAMS_BUFFER
      ? BufferUsage.UNIFORM | BufferUsage.COPY_DST
      : category === "staging"
      ? BufferUsage.MAP_READ | BufferUsage.COPY_DST
      : BufferUsage.STORAGE | BufferUsage.COPY_SRC | BufferUsage.COPY_DST;
    const label = bufferLabel(category, name);
    this.device.pushErrorScope("out-of-memory");
    let buffer: GPUBuffer;
    try {
      buffer = this.device.createBuffer({ label, size: bytes, usage });
    } finally {
      this.#allocations.push(this.#refusal(label, bytes, this.device.popErrorScope()));
    }
    this.#own.set(name, buffer);
    this.#heldBytes += bytes;
    if (name === PARAMS_BUFFER) this.#writeParams(buffer, bytes);
  }

  /** Uses buffers that others use too; they are never destroyed here. */
  lend(buffers: ReadonlyMap<string, GPUBuffer>): void {
    for (const [name, buffer] of buffers) this.#lent.set(name, buffer);
  }

  /**
   * Waits until the device has said whether there was memory for what was created.
   *
   * @throws {OutOfMemoryError} when there was none.
   */
  async allocated(): Promise<void> {
    const refused = (await Promise.all(this.#allocations.splice(0))).find((error) => error);
    if (refused) throw refused;
  }

  /** Destroys a buffer that was created here; work already submitted still finishes. */
  destroy(name: string): void {
    const buffer = this.#own.get(name);
    if (!buffer) return;
    buffer.destroy();
    this.#own.delete(name);
    this.#heldBytes -= buffer.size;
  }

  /** Destroys every buffer that was created here. */
  destroyAll(): void {
    for (const name of [...this.#own.keys()]) this.destroy(name);
  }

  /**
   * Returns the buffer of a name. @throws {GpuError} when it is not alive: a defect of the
   * schedule.
   */
  buffer(name: string): GPUBuffer {
    const buffer = this.#own.get(name) ?? this.#lent.get(name);
    if (!buffer) throw new GpuError(`Buffer ${name} is used by a step but not alive`);
    return buffer;
  }

  /**
   * Encodes a dispatch or a clear. Some are gathered before they are submitted, unless they are
   * recorded in the caller's commands.
   */
  encode(step: Dispatch | Clear, { callers = {}, commands }: Encoding = {}): void {
    const into = commands ?? this.commands();
    if (step.kind === "clear") {
      const { buffer, offset, size } = this.#rangeOf(step.slice, callers);
      into.clearBuffer(buffer, offset, size);
      return;
    }
    const { pipeline } = this.kernels.get(kernelKey(step))!;
    const timestampWrites = this.timestamps?.();
    const pass = into.beginComputePass({
      label: step.kernel,
      ...(timestampWrites ? { timestampWrites } : {}),
    });
    pass.setPipeline(pipeline);
    pass.setBindGroup(0, this.#bind(step, callers), [step.params * this.schedule.paramsStride]);
    pass.dispatchWorkgroups(...step.grid);
    pass.end();
    if (!commands && ++this.#encoded >= this.together) this.submit();
  }

  /** Returns what steps are encoded to until the next submission. */
  commands(): GPUCommandEncoder {
    return this.#commands ??= this.device.createCommandEncoder();
  }

  /** Hands what is encoded to the queue. */
  submit(): void {
    if (!this.#commands) return;
    this.device.queue.submit([this.#commands.finish()]);
    this.#commands = undefined;
    this.#encoded = 0;
    this.submissions++;
  }

  /** Forgets what is encoded and not submitted. */
  discard(): void {
    this.#commands = undefined;
    this.#encoded = 0;
  }

  /** Returns what is thrown where the device reports that it has no memory for a buffer. */
  async #refusal(
    label: string,
    refusedBytes: number,
    report: Promise<GPUError | null>,
  ): Promise<OutOfMemoryError | undefined> {
    const heldBytes = this.#heldBytes;
    const error = await report.catch(() => null);
    if (!error) return undefined;
    return new OutOfMemoryError(
      `The device has no memory for ${label}: ${refusedBytes} bytes, with ${heldBytes} in use (${error.message})`,
      { refusedBytes, heldBytes },
    );
  }

  /** Returns where a slice lies: in a buffer of the caller's, or in one of the schedule's own. */
  #rangeOf({ buffer: name, offset, bytes }: Slice, callers: NamedRanges): CheckedRange {
    const range = callers[name] ?? { buffer: this.buffer(name), offset: 0 };
    return { buffer: range.buffer, offset: range.offset + offset, size: bytes };
  }

  #bind(step: Dispatch, callers: NamedRanges): GPUBindGroup {
    const { layout } = this.kernels.get(kernelKey(step))!;
    const params = { buffer: PARAMS_BUFFER, offset: 0, bytes: PARAMS_BYTES };
    return this.device.createBindGroup({
      layout,
      entries: [params, ...step.bindings.map(({ slice }) => slice)]
        .map((slice, binding) => ({ binding, resource: this.#rangeOf(slice, callers) })),
    });
  }

  #writeParams(buffer: GPUBuffer, bytes: number): void {
    const { params, paramsStride } = this.schedule;
    const words = new Uint32Array(bytes / 4);
    params.forEach((each, index) => words.set(packParams(each), (index * paramsStride) / 4));
    this.device.queue.writeBuffer(buffer, 0, words);
  }
}

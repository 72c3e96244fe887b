/**
 * The executor: walks a schedule's steps on a device. It creates a buffer at
 * the first step that uses it and destroys it after the last.
 *
 * @module
 */
import { grouped } from "../../planner/grouped.ts";
import { HostAccount } from "../../host/account.ts";
import { arraySink, type TensorSink } from "../../host/sink.ts";
import {
  broughtBack,
  paddingOf,
  type Piece,
  piecesOf,
  tensorBytes,
} from "../../planner/schedule/host_memory.ts";
import {
  type Collective,
  type Landing,
  lifetimes,
  type Readback,
  type Schedule,
  type Step,
  type Upload,
} from "../../planner/schedule/schedule.ts";
import { ranges } from "../../planner/schedule/matrix.ts";
import { streamedTensors } from "../../planner/schedule/streaming.ts";
import { GpuError, lossCheck, withErrorScopes } from "./errors.ts";
import { compileKernels } from "./pipelines.ts";
import { mapped } from "./readback.ts";
import { Encoder } from "./encoder.ts";
import { Feed, type HostTensors } from "./feed.ts";

/** What goes into an execution besides the schedule. */
export interface ExecuteOptions {
  /** Tensors that upload steps read: arrays, or what gives their bytes by range. */
  readonly inputs?: HostTensors;
  /** Where tensors of readback steps go, by name; what is not named ends in `outputs`. */
  readonly sinks?: Readonly<Record<string, TensorSink>>;
  /** Dispatches that are handed to the queue together; some, where it is left out. */
  readonly together?: number | undefined;
  /** Called now and then with the steps done so far. */
  readonly onProgress?: (done: number, total: number) => void;
}

/** Results of a schedule by name, as bytes. */
export type Outputs = Readonly<Record<string, Uint8Array>>;

/** What came out of an execution. */
export interface Execution {
  /** Tensors that readback steps wrote and no sink took. */
  readonly outputs: Outputs;
  /** Most bytes of the host's memory that inputs, what was read ahead and outputs took at once. */
  readonly hostPeakBytes: number;
  /**
   * Milliseconds from the first dispatch to the end of the last, by the wall clock:
   * whatever crosses between host and device in between is part of it.
   */
  readonly milliseconds: number;
  /** Milliseconds spent compiling kernels that were not compiled yet. */
  readonly compileMilliseconds: number;
}

/** Submissions after which progress is reported, and the queue waited for. */
const SUBMISSIONS_PER_REPORT = 8;

/** Bytes that are uploaded before the queue is waited for, which keeps a copy of each until then. */
const UPLOAD_BYTES = 64 * 2 ** 20;

/**
 * Runs a schedule. The device stays the caller's; every buffer created here is
 * destroyed here, also when something fails.
 *
 * @throws {OutOfMemoryError} when the device has no memory for a buffer.
 * @throws {GpuError} when a kernel does not compile or the device is lost, or when the schedule
 *   is that of one rank of several.
 */
export async function execute(
  schedule: Schedule,
  device: GPUDevice,
  options: ExecuteOptions = {},
): Promise<Execution> {
  const begun = performance.now();
  return await withErrorScopes(device, async () => {
    const kernels = await compileKernels(device, schedule);
    const encoder = new Encoder(schedule, device, kernels, options.together);
    const compileMilliseconds = performance.now() - begun;
    try {
      const { done, value } = await walk(encoder, options).next();
      if (done) return { ...value, compileMilliseconds };
      // What is under way was begun before.
      const { op, what } = value as Collective;
      throw new GpuError(`Cannot run one rank alone: ${op} of ${what} needs the others`);
    } finally {
      encoder.destroyAll();
    }
  });
}

/** What walking over a schedule results in. */
export type Walked = Omit<Execution, "compileMilliseconds">;

/**
 * Walks over a schedule's steps. It stops at each collective and each landing, with all
 * work before it submitted and its buffers alive: whoever asks for the next one has
 * seen to it.
 */
export async function* walk(
  encoder: Encoder,
  { inputs = {}, sinks = {}, onProgress }: ExecuteOptions,
): AsyncGenerator<Collective | Landing, Walked> {
  const { schedule, device, device: { queue } } = encoder;
  const throwIfLost = lossCheck(device);
  const { steps, buffers } = schedule;
  const lives = lifetimes(schedule);
  const births = grouped(buffers, ({ name }) => lives.get(name)!.first);
  const deaths = grouped(buffers, ({ name }) => lives.get(name)!.last);
  const account = new HostAccount();
  const outputs = new OutputSinks(schedule, sinks, account);
  const windows = streamedTensors(schedule, ["input"]);
  const uploads = new Uploads(encoder, new Feed(schedule, inputs, account));
  const isWork = (step: Step) => step.kind === "dispatch" || step.kind === "clear";
  const [first, last] = [steps.findIndex(isWork), steps.findLastIndex(isWork)];
  let [begun, milliseconds] = [0, 0];
  let reported = 0;
  try {
    for (const [index, step] of steps.entries()) {
      if (step.kind === "upload" && windows.has(step.tensor)) await uploads.makeRoom();
      const born = births.get(index) ?? [];
      for (const spec of born) encoder.create(spec);
      if (born.length > 0) await encoder.allocated();
      throwIfLost();
      if (step.kind === "upload") await uploads.play(step);
      else if (step.kind === "readback") await readBack(encoder, step, outputs.of(step.tensor));
      else if (step.kind === "collective" || step.kind === "landing") {
        encoder.submit();
        yield step;
      } else {
        if (index === first) {
          await queue.onSubmittedWorkDone();
          begun = performance.now();
        }
        encoder.encode(step);
      }
      if (index === last) {
        encoder.submit();
        await queue.onSubmittedWorkDone();
        milliseconds = performance.now() - begun;
      }
      const dying = deaths.get(index) ?? [];
      if (dying.length > 0) encoder.submit();
      for (const { name } of dying) encoder.destroy(name);
      if (onProgress && encoder.submissions - reported >= SUBMISSIONS_PER_REPORT) {
        reported = encoder.submissions;
        await queue.onSubmittedWorkDone();
        onProgress(index + 1, steps.length);
      }
    }
    encoder.submit();
    await outputs.pad();
  } finally {
    await uploads.close();
  }
  return { outputs: outputs.arrays, milliseconds, hostPeakBytes: account.peakBytes };
}

/** Writes what upload steps bring into their buffers. */
class Uploads {
  /** Bytes written since the queue was last waited for. */
  #written = 0;

  constructor(readonly encoder: Encoder, readonly feed: Feed) {}

  /**
   * Waits until the device is done with the window before, whose memory is only
   * then given back: there is room for one. The next one is read meanwhile.
   */
  async makeRoom(): Promise<void> {
    this.encoder.submit();
    await this.encoder.device.queue.onSubmittedWorkDone();
    this.#written = 0;
  }

  async play(step: Upload): Promise<void> {
    const { queue } = this.encoder.device;
    for (let left = piecesOf(step).length; left > 0; left--) {
      if (this.#written >= UPLOAD_BYTES) {
        queue.submit([]);
        await this.makeRoom();
      }
      await this.feed.take((piece, bytes) => {
        this.#write(piece, bytes);
        this.#written += piece.bytes;
      });
    }
  }

  close(): Promise<void> {
    return this.feed.close();
  }

  /** Deno aborts the process when a write exceeds its source, so the last word is filled up. */
  #write({ buffer: name, offset, bytes: size }: Piece, bytes: Uint8Array): void {
    const { device: { queue } } = this.encoder;
    const buffer = this.encoder.buffer(name);
    const whole = bytes.length === size ? size : size - 4;
    if (whole > 0) {
      queue.writeBuffer(buffer, offset, bytes.subarray(0, whole) as BufferSource);
    }
    if (whole === size) return;
    const word = new Uint8Array(4);
    word.set(bytes.subarray(whole));
    queue.writeBuffer(buffer, offset + whole, word);
  }
}

/** What is written where no buffer held anything. */
const ZEROS = new Uint8Array(2 ** 14);

/** Where each result goes: a sink of the caller's, or an array that is made when it is first needed. */
class OutputSinks {
  readonly arrays: Record<string, Uint8Array> = {};

  constructor(
    readonly schedule: Schedule,
    readonly sinks: Readonly<Record<string, TensorSink>>,
    readonly account: HostAccount,
  ) {}

  of(tensor: string): TensorSink {
    return this.sinks[tensor] ??
      arraySink(
        this.arrays[tensor] ??= this.account.allocate(tensorBytes(this.schedule, tensor)),
      );
  }

  /** Writes the zeros of results that no buffer held. */
  async pad(): Promise<void> {
    for (const tensor of broughtBack(this.schedule)) {
      const { start, count } = paddingOf(this.schedule, tensor);
      for (const piece of ranges(count, ZEROS.length)) {
        await this.of(tensor).write(start + piece.start, ZEROS.subarray(0, piece.count));
      }
    }
  }
}

async function readBack(encoder: Encoder, step: Readback, sink: TensorSink): Promise<void> {
  const { slice, staging: via } = step;
  const staging = encoder.buffer(via.buffer);
  encoder.commands().copyBufferToBuffer(
    encoder.buffer(slice.buffer),
    slice.offset,
    staging,
    via.offset,
    slice.bytes,
  );
  encoder.submit();
  const bytes = await mapped(staging, step.tensor, { offset: via.offset, bytes: slice.bytes });
  await sink.write(step.targetOffset, new Uint8Array(bytes));
  staging.unmap();
}

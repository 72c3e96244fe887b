/**
 * The executor: walks a schedule's steps on a device. It creates a buffer at
 * the first step that uses it and destroys it after the last.
 *
 * @module
 */
import {
  type Collective,
  lifetimes,
  type Readback,
  type Schedule,
  type Step,
  type Upload,
} from "../../planner/schedule/schedule.ts";
import { GpuError, withErrorScopes } from "./errors.ts";
import { compileKernels } from "./pipelines.ts";
import { Stage } from "./encoder.ts";

/** Host tensors by name, as bytes in their storage type. */
export type HostTensors = Readonly<Record<string, Uint8Array>>;

/** What goes into an execution besides the schedule. */
export interface ExecuteOptions {
  /** Tensors that upload steps read. */
  readonly inputs?: HostTensors;
  /** Called now and then with the steps done so far. */
  readonly onProgress?: (done: number, total: number) => void;
}

/** What came out of an execution. */
export interface Execution {
  /** Tensors that readback steps wrote, as bytes. */
  readonly outputs: HostTensors;
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

/** Bytes that are uploaded before the queue may free its staging memory. */
const UPLOAD_BYTES = 64 * 2 ** 20;

/**
 * Runs a schedule. The device stays the caller's; every buffer created here is
 * destroyed here, also when something fails.
 *
 * @throws {GpuError} when a kernel does not compile, memory runs out or the device is lost, or
 *   when the schedule is that of one rank of several.
 */
export async function execute(
  schedule: Schedule,
  device: GPUDevice,
  options: ExecuteOptions = {},
): Promise<Execution> {
  const begun = performance.now();
  const stage = new Stage(schedule, device, await compileKernels(device, schedule));
  const compileMilliseconds = performance.now() - begun;
  return await withErrorScopes(device, async () => {
    try {
      const { done, value } = await walk(stage, options).next();
      if (done) return { ...value, compileMilliseconds };
      throw new GpuError(
        `Cannot run one rank alone: ${value.op} of ${value.what} needs the others`,
      );
    } finally {
      stage.destroyAll();
    }
  });
}

/**
 * Walks over a schedule's steps. It stops at each collective, with all work
 * before it submitted and its buffers alive: whoever asks for the next one has
 * seen to it.
 */
export async function* walk(
  stage: Stage,
  { inputs = {}, onProgress }: ExecuteOptions,
): AsyncGenerator<Collective, Pick<Execution, "outputs" | "milliseconds">> {
  const { schedule, device } = stage;
  const { steps, buffers } = schedule;
  const lives = lifetimes(schedule);
  const births = Map.groupBy(buffers, ({ name }) => lives.get(name)!.first);
  const deaths = Map.groupBy(buffers, ({ name }) => lives.get(name)!.last);
  const outputs: Record<string, Uint8Array> = {};
  const isWork = (step: Step) => step.kind === "dispatch" || step.kind === "clear";
  const [first, last] = [steps.findIndex(isWork), steps.findLastIndex(isWork)];
  let [begun, milliseconds] = [0, 0];
  let reported = 0;
  for (const [index, step] of steps.entries()) {
    for (const spec of births.get(index) ?? []) stage.create(spec);
    if (step.kind === "upload") upload(stage, step, inputs);
    else if (step.kind === "readback") {
      const target = outputs[step.tensor] ??= new Uint8Array(tensorBytes(schedule, step.tensor));
      await readBack(stage, step, target);
    } else if (step.kind === "collective") {
      stage.submit();
      yield step;
    } else {
      if (index === first) {
        await device.queue.onSubmittedWorkDone();
        begun = performance.now();
      }
      stage.play(step);
    }
    if (index === last) {
      stage.submit();
      await device.queue.onSubmittedWorkDone();
      milliseconds = performance.now() - begun;
    }
    const dying = deaths.get(index) ?? [];
    if (dying.length > 0) stage.submit();
    for (const { name } of dying) stage.destroy(name);
    if (onProgress && stage.submissions - reported >= SUBMISSIONS_PER_REPORT) {
      reported = stage.submissions;
      await device.queue.onSubmittedWorkDone();
      onProgress(index + 1, steps.length);
    }
  }
  stage.submit();
  return { outputs, milliseconds };
}

function upload(stage: Stage, { tensor, sourceOffset, slice }: Upload, inputs: HostTensors): void {
  const source = inputs[tensor];
  if (!source) throw new GpuError(`No host tensor ${tensor} to upload`);
  const { queue } = stage.device;
  for (let done = 0; done < slice.bytes; done += UPLOAD_BYTES) {
    const size = Math.min(UPLOAD_BYTES, slice.bytes - done);
    let piece = source.subarray(sourceOffset + done, sourceOffset + done + size);
    // Deno aborts the process when a write exceeds its source, so lengths are checked here.
    if (piece.length < size) {
      // The last word of an odd number of 16-bit elements; anything more is a wrong size.
      if (size - piece.length >= 4) {
        throw new GpuError(`Host tensor ${tensor} is ${size - piece.length} bytes short`);
      }
      const padded = new Uint8Array(size);
      padded.set(piece);
      piece = padded;
    }
    queue.writeBuffer(stage.buffer(slice.buffer), slice.offset + done, piece as BufferSource);
    if (size === UPLOAD_BYTES) queue.submit([]);
  }
}

async function readBack(stage: Stage, step: Readback, target: Uint8Array): Promise<void> {
  const { slice, staging: via } = step;
  const staging = stage.buffer(via.buffer);
  stage.encoder().copyBufferToBuffer(
    stage.buffer(slice.buffer),
    slice.offset,
    staging,
    via.offset,
    slice.bytes,
  );
  stage.submit();
  await staging.mapAsync(GPUMapMode.READ, via.offset, slice.bytes);
  target.set(
    new Uint8Array(staging.getMappedRange(via.offset, slice.bytes)),
    step.targetOffset,
  );
  staging.unmap();
}

function tensorBytes({ buffers }: Schedule, tensor: string): number {
  return buffers.reduce(
    (most, { holds, bytes }) =>
      holds?.tensor === tensor ? Math.max(most, holds.offset + bytes) : most,
    0,
  );
}

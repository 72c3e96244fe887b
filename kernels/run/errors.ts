/**
 * What can go wrong on a device, as exceptions.
 *
 * @module
 */

/**
 * A kernel did not compile, or the GPU reported an error or was lost.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { deviceProfile, LinearCrossEntropy, parseProblem, plan } from "@lce/lce";
 *
 * const device = await (await navigator.gpu.requestAdapter())!.requestDevice();
 * const planned = plan(parseProblem({ tokens: 2, hidden: 4, vocab: 8 }), deviceProfile(device));
 * device.destroy();
 * await assert.rejects(LinearCrossEntropy.create(device, planned), GpuError);
 * ```
 */
export class GpuError extends Error {
  /** Tells this error from others without `instanceof`. */
  override name = "GpuError";
}

/** A kernel's text is none that the device takes. */
export class CompileError extends GpuError {
  override name = "CompileError";
}

/**
 * The device has no memory for a buffer, a pipeline or a command.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * const error = new OutOfMemoryError("no memory", { refusedBytes: 4096, heldBytes: 1024 });
 * assert(error instanceof GpuError); // whoever catches one catches the other
 * ```
 */
export class OutOfMemoryError extends GpuError {
  /** Tells this error from others without `instanceof`. */
  override name = "OutOfMemoryError";
  /** Bytes of the buffer that was refused; `undefined` where it was none. */
  readonly refusedBytes: number | undefined;
  /** Bytes that were in use beside it; `undefined` likewise. */
  readonly heldBytes: number | undefined;

  /** Takes the message for people, and where it was a buffer, its size and what was in use. */
  constructor(
    message: string,
    of: { readonly refusedBytes?: number; readonly heldBytes?: number } = {},
  ) {
    super(message);
    this.refusedBytes = of.refusedBytes;
    this.heldBytes = of.heldBytes;
  }
}

/** This machine offers no WebGPU adapter, or would not give a device. */
export class NoDeviceError extends Error {
  override name = "NoDeviceError";

  /** Says what is wrong and, where it is known, what would mend it. */
  constructor(message: string, readonly remedy?: string) {
    super(message);
  }
}

/** Returns whether an error is of the device: ours, or what a call of WebGPU throws. */
export function isOfDevice(error: unknown): error is Error {
  // Nothing else that we use throws such.
  return error instanceof GpuError ||
    (error instanceof DOMException && error.name === "OperationError");
}

/** Filters of error scopes, in the order of what tells most: a buffer without memory is invalid wherever it is used. */
const FILTERS = ["out-of-memory", "internal", "validation"] as const;

/** What a device reported, by the filter of the scope that caught it. */
export interface Report {
  readonly filter: typeof FILTERS[number];
  readonly message: string;
}

/**
 * Begins to catch what the device reports. What is returned ends that, at once, and
 * resolves to the report that tells most, if there is one; it never rejects.
 *
 * Scopes are a stack of the device's: nothing else may catch between the two, unless it
 * begins and ends there.
 */
export function catchReports(device: GPUDevice): () => Promise<Report | undefined> {
  for (const filter of FILTERS) device.pushErrorScope(filter);
  return async () => {
    const popped = FILTERS.toReversed().map(async (filter) => ({
      filter,
      // A lost device may reject what it is asked; that it is lost is asked elsewhere.
      error: await device.popErrorScope().catch(() => null),
    }));
    const found = (await Promise.all(popped)).findLast(({ error }) => error);
    return found && { filter: found.filter, message: found.error!.message };
  };
}

/** Returns what the device reported, as an exception. */
export function reported({ filter, message }: Report): GpuError {
  return filter === "out-of-memory"
    ? new OutOfMemoryError(`The device is out of memory: ${message}`)
    : new GpuError(`The device reports: ${message}`);
}

/**
 * Runs something and turns errors that the device reports meanwhile, its loss
 * among them, into exceptions.
 *
 * @throws {OutOfMemoryError} when memory runs out.
 * @throws {GpuError} when a command is invalid or the device is lost.
 */
export async function withErrorScopes<T>(device: GPUDevice, run: () => Promise<T>): Promise<T> {
  const end = catchReports(device);
  const [outcome] = await Promise.allSettled([(async () => await run())()]);
  const report = await end();
  await throwIfLost(device);
  if (outcome.status === "rejected" && outcome.reason instanceof OutOfMemoryError) {
    throw outcome.reason;
  }
  if (report) throw reported(report);
  if (outcome.status === "rejected") throw outcome.reason;
  return outcome.value;
}

/** How each device that was asked about was lost; `undefined` while it is not. */
const LOSSES = new WeakMap<GPUDevice, { info: GPUDeviceLostInfo | undefined }>();

/**
 * Returns a check for whether the device has been lost, which costs nothing: work that a lost
 * device is given goes by without a word.
 */
export function lossCheck(device: GPUDevice): () => void {
  let loss = LOSSES.get(device);
  if (!loss) {
    const watched = loss = { info: undefined as GPUDeviceLostInfo | undefined };
    LOSSES.set(device, watched);
    device.lost.then((info) => watched.info = info);
  }
  return () => {
    if (loss.info) throw lostError(loss.info);
  };
}

/** @throws {GpuError} with the reason, where the device is lost. */
export async function throwIfLost(device: GPUDevice): Promise<void> {
  const lost = await lossOf(device);
  if (lost) throw lostError(lost);
}

/** Returns how the device was lost, where it is. */
export async function lossOf(device: GPUDevice): Promise<GPUDeviceLostInfo | undefined> {
  // A turn of the event loop later, a loss that has happened is known.
  let timer: ReturnType<typeof setTimeout> | undefined;
  const turn = new Promise<undefined>((resolve) => {
    timer = setTimeout(() => resolve(undefined), 0);
  });
  const lost = await Promise.race([device.lost, turn]);
  clearTimeout(timer);
  return lost;
}

function lostError({ reason, message }: GPUDeviceLostInfo): GpuError {
  const why = [reason, message].filter((text) => text && text !== "unknown").join(": ");
  return new GpuError(
    `The device was lost${why ? ` (${why})` : ""}: ask the adapter for a new one`,
  );
}

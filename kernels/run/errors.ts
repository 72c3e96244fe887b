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
 * import { deviceProfile, LinearCrossEntropy, parseProblem, plan } from "../../mod.ts";
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

/** This machine offers no WebGPU adapter, or would not give a device. */
export class NoDeviceError extends Error {
  override name = "NoDeviceError";

  /** Says what is wrong and, where it is known, what would mend it. */
  constructor(message: string, readonly remedy?: string) {
    super(message);
  }
}

/**
 * Runs something and turns errors that the device reports meanwhile, its loss
 * among them, into exceptions.
 *
 * @throws {GpuError} when memory runs out, a command is invalid or the device is lost.
 */
export async function withErrorScopes<T>(device: GPUDevice, run: () => Promise<T>): Promise<T> {
  device.pushErrorScope("out-of-memory");
  device.pushErrorScope("validation");
  const [outcome] = await Promise.allSettled([run()]);
  // A lost device rejects whatever it is asked with an error that does not say so.
  const scopes = await Promise.allSettled([device.popErrorScope(), device.popErrorScope()]);
  await throwIfLost(device);
  for (const scope of scopes) {
    if (scope.status === "rejected") throw scope.reason;
    if (scope.value) throw new GpuError(`The device reports: ${scope.value.message}`);
  }
  if (outcome.status === "rejected") throw outcome.reason;
  return outcome.value;
}

/** @throws {GpuError} with the reason, where the device is lost. */
export async function throwIfLost(device: GPUDevice): Promise<void> {
  // A turn of the event loop later, a loss that has happened is known.
  let timer: ReturnType<typeof setTimeout> | undefined;
  const turn = new Promise<undefined>((resolve) => {
    timer = setTimeout(() => resolve(undefined), 0);
  });
  const lost = await Promise.race([device.lost, turn]);
  clearTimeout(timer);
  if (!lost) return;
  const why = [lost.reason, lost.message].filter((text) => text && text !== "unknown").join(": ");
  throw new GpuError(
    `The device was lost${why ? ` (${why})` : ""}: ask the adapter for a new one`,
  );
}

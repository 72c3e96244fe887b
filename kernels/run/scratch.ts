/**
 * Scratch that several heads of one device share.
 *
 * @module
 */
import type { Plan } from "../../planner/plan.ts";
import type { Schedule } from "../../planner/schedule/schedule.ts";
import { scratchOf, sharedSizes } from "../../planner/schedule/scratch.ts";
import { withErrorScopes } from "./errors.ts";
import { bufferLabel } from "./labels.ts";
import { BufferUsage } from "./provider.ts";

/**
 * Scratch for the heads of some plans, which use it in turns: `sharedMemory(plans)` says what it
 * takes. Steps follow each other on the device's queue, so no head finds another's work half done.
 *
 * @example Two heads, and memory as predicted
 * ```ts
 * import assert from "node:assert/strict";
 * import {
 *   deviceProfile,
 *   LinearCrossEntropy,
 *   parseProblem,
 *   plan,
 *   Scratch,
 *   sharedMemory,
 * } from "@lce/lce";
 *
 * const device = await (await navigator.gpu.requestAdapter())!.requestDevice();
 * const plans = [64, 32].map((tokens) =>
 *   plan(parseProblem({ tokens, hidden: 8, vocab: 500, pass: "train" }), deviceProfile(device))
 * );
 * const scratch = await Scratch.create(device, plans);
 * assert.equal(scratch.bytes, sharedMemory(plans).scratchBytes);
 * const heads = await Promise.all(
 *   plans.map((plan) => LinearCrossEntropy.create(device, plan, { scratch })),
 * );
 *
 * for (const head of heads) head.destroy();
 * scratch.destroy();
 * device.destroy();
 * ```
 */
export class Scratch {
  readonly #buffers: readonly GPUBuffer[];
  /** Who recorded a step last. */
  #user: unknown;
  #destroyed = false;

  private constructor(buffers: readonly GPUBuffer[]) {
    this.#buffers = buffers;
  }

  /**
   * Allocates scratch for the heads of some plans.
   *
   * @throws {OutOfMemoryError} when the device has no memory for it; none is kept then.
   * @throws {GpuError} when the device is lost.
   */
  static async create(device: GPUDevice, plans: readonly Plan[]): Promise<Scratch> {
    const { STORAGE, COPY_SRC, COPY_DST } = BufferUsage;
    const buffers: GPUBuffer[] = [];
    const sizes = sharedSizes(plans.map(({ schedule }) => schedule));
    // deno-lint-ignore require-await -- what throws within is caught
    await withErrorScopes(device, async () => {
      for (const [place, size] of sizes.entries()) {
        const label = bufferLabel("scratch", `shared.${place}`);
        buffers.push(device.createBuffer({ label, size, usage: STORAGE | COPY_SRC | COPY_DST }));
      }
    }).catch((error: unknown) => {
      for (const buffer of buffers) buffer.destroy();
      throw error;
    });
    return new Scratch(buffers);
  }

  /** Bytes of it. */
  get bytes(): number {
    return this.#buffers.reduce((sum, { size }) => sum + size, 0);
  }

  /**
   * Returns the buffers for a schedule's scratch, by name.
   *
   * @throws {RangeError} where the schedule needs more: it is not of a plan that this was made for.
   */
  buffersFor(schedule: Schedule): ReadonlyMap<string, GPUBuffer> {
    return new Map(
      scratchOf(schedule).map(({ name, bytes }, place) => {
        const buffer = this.#buffers[place];
        if (buffer && buffer.size >= bytes) return [name, buffer];
        throw new RangeError(
          `Cannot share a scratch that has ${
            buffer?.size ?? 0
          } bytes where the plan needs ${bytes} for ${name}: give its plan to Scratch.create() too`,
        );
      }),
    );
  }

  /**
   * Notes who uses it from now on, and returns whether nobody else did since they last said so.
   *
   * @throws {TypeError} after `destroy()`.
   */
  use(user: unknown): boolean {
    if (this.#destroyed) throw new TypeError("Cannot use a Scratch after destroy()");
    const same = this.#user === user;
    this.#user = user;
    return same;
  }

  /** Gives the memory back. Heads that share it cannot be used any more. */
  destroy(): void {
    for (const buffer of this.#buffers) buffer.destroy();
    this.#destroyed = true;
  }
}

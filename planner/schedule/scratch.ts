/**
 * Scratch that several schedules use in turns: what one of them leaves there, none needs later. It
 * is made of as many buffers as the schedule with most, the largest first, each as large as the
 * largest that any has in that place. One buffer for all of a schedule's would not do: WebGPU does
 * not let a kernel read one range of a buffer and write another.
 *
 * @module
 */
import type { MemoryPrediction } from "./memory.ts";
import type { BufferSpec, Schedule } from "./schedule.ts";
import { visitBuffers } from "./schedule.ts";

/** Returns a schedule's scratch buffers, the largest first. */
export function scratchOf({ buffers }: Pick<Schedule, "buffers">): BufferSpec[] {
  return buffers
    .filter(({ category }) => category === "scratch")
    .sort((a, b) => b.bytes - a.bytes);
}

/** Returns the bytes of the buffers that some schedules can share, the largest first. */
export function sharedSizes(schedules: readonly Pick<Schedule, "buffers">[]): number[] {
  const sizes: number[] = [];
  for (const schedule of schedules) {
    scratchOf(schedule).forEach(({ bytes }, place) => {
      sizes[place] = Math.max(sizes[place] ?? 0, bytes);
    });
  }
  return sizes;
}

/**
 * Returns the first scratch buffer that both passes of a schedule use: the backward pass may need
 * what the forward pass left there.
 */
export function keptInScratch(schedule: Schedule): string | undefined {
  const { steps, backwardStart } = schedule;
  if (backwardStart === undefined) return undefined;
  const used = (from: number, to?: number) => {
    const names = new Set<string>();
    for (const step of steps.slice(from, to)) visitBuffers(step, (name) => names.add(name));
    return names;
  };
  const [forward, backward] = [used(0, backwardStart), used(backwardStart)];
  return scratchOf(schedule).find(({ name }) => forward.has(name) && backward.has(name))?.name;
}

/** Memory of some heads that share their scratch, in bytes of GPU buffers. */
export interface SharedMemory {
  /** What each has by itself, without inputs, gradients and results per token. */
  readonly ownBytes: readonly number[];
  /** What they share. */
  readonly scratchBytes: number;
  /** All of it. */
  readonly extraPeakBytes: number;
}

/**
 * Predicts the memory of heads that share their scratch: the sum of what is their own, and the
 * scratch once. That is as large as the largest of theirs where the same plan has the largest in
 * every place, and never larger than all together.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { parseProblem, plan, sharedMemory, SPECIFICATION_DEFAULTS } from "@lce/lce";
 *
 * const plans = [4096, 1024].map((tokens) =>
 *   plan(
 *     parseProblem({ tokens, hidden: 256, vocab: 50257, pass: "train" }),
 *     SPECIFICATION_DEFAULTS,
 *     { strategy: "windowed" },
 *   )
 * );
 * const apart = plans.reduce((sum, { memory }) => sum + memory.extraPeakBytes, 0);
 * assert(sharedMemory(plans).extraPeakBytes < apart);
 * ```
 */
export function sharedMemory(
  plans: readonly { readonly memory: MemoryPrediction; readonly schedule: Schedule }[],
): SharedMemory {
  const ownBytes = plans.map(({ memory }) => memory.extraPeakBytes - memory.byCategory.scratch);
  const sum = (values: readonly number[]) => values.reduce((a, b) => a + b, 0);
  const scratchBytes = sum(sharedSizes(plans.map(({ schedule }) => schedule)));
  return { ownBytes, scratchBytes, extraPeakBytes: sum(ownBytes) + scratchBytes };
}

/**
 * Memory of a schedule: a sweep over buffer lifetimes. Whatever the planner
 * says about bytes comes from here; no strategy has a formula of its own.
 *
 * @module
 */
import { type Category, lifetimes, type Schedule } from "./schedule.ts";

/** Peak memory of a schedule, in bytes of GPU buffers. */
export interface MemoryPrediction {
  /** Most bytes alive at any step. */
  readonly peakBytes: number;
  /** Most bytes alive at any step, without the caller's inputs and outputs. */
  readonly extraPeakBytes: number;
  /** Most bytes alive at any step, for each category by itself. */
  readonly byCategory: Readonly<Record<Category, number>>;
}

/** Adds up a schedule: each buffer counts for as long as its residency says. */
export function predictMemory(schedule: Schedule): MemoryPrediction {
  if (schedule.residency === "caller") {
    const byCategory = emptyCategories();
    for (const { category, bytes } of schedule.buffers) byCategory[category] += bytes;
    return heldThroughout(byCategory);
  }
  return sweepLives(schedule).memory;
}

/** Returns the step at which most bytes are first alive. */
export function peakStepOf(schedule: Schedule): number {
  return schedule.residency === "caller" ? 0 : sweepLives(schedule).peakStep;
}

function sweepLives(schedule: Schedule): { memory: MemoryPrediction; peakStep: number } {
  const born: number[][] = [];
  const dead: number[][] = [];
  const lives = lifetimes(schedule);
  schedule.buffers.forEach(({ name }, index) => {
    const life = lives.get(name);
    if (!life) throw new Error(`Buffer "${name}" of a schedule is used by no step`);
    (born[life.first] ??= []).push(index);
    (dead[life.last] ??= []).push(index);
  });
  const live = emptyCategories();
  const byCategory = emptyCategories();
  let peakBytes = 0;
  let extraPeakBytes = 0;
  let peakStep = 0;
  for (let step = 0; step < schedule.steps.length; step++) {
    for (const index of born[step] ?? []) {
      const { category, bytes } = schedule.buffers[index]!;
      live[category] += bytes;
      byCategory[category] = Math.max(byCategory[category], live[category]);
    }
    const extra = live.state + live.scratch + live.staging;
    const total = extra + live.input + live.output;
    extraPeakBytes = Math.max(extraPeakBytes, extra);
    if (total > peakBytes) [peakBytes, peakStep] = [total, step];
    for (const index of dead[step] ?? []) {
      const { category, bytes } = schedule.buffers[index]!;
      live[category] -= bytes;
    }
  }
  return { memory: { peakBytes, extraPeakBytes, byCategory }, peakStep };
}

/** Returns memory of buffers that are all there from the first step to the last. */
export function heldThroughout(
  byCategory: Readonly<Record<Category, number>>,
): MemoryPrediction {
  const { input, output, state, scratch, staging } = byCategory;
  const extraPeakBytes = state + scratch + staging;
  return { peakBytes: extraPeakBytes + input + output, extraPeakBytes, byCategory };
}

/** Returns zero for every category. */
export function emptyCategories(): Record<Category, number> {
  return { input: 0, output: 0, state: 0, scratch: 0, staging: 0 };
}

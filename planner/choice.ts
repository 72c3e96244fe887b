/**
 * The choice among candidates: memory against time.
 *
 * @module
 */
import type { Candidate } from "./candidate.ts";
import { formatBytes } from "./units.ts";

/**
 * Two schedules whose estimates differ by less than this count as equally fast,
 * and the one that needs less memory wins.
 */
export const AS_FAST = 1.03;

/**
 * A saving below this share of all memory is worth neither time nor a method of
 * its own: among schedules that need no more than this beyond the smallest, the
 * fastest wins, and two stages, the simplest, win where they are among them.
 */
const WORTHWHILE = 0.01;

/** The candidates that stay within a budget, in bytes; all of them without one. */
export function withinBudget(
  candidates: readonly Candidate[],
  budget: number | undefined,
): readonly Candidate[] {
  if (budget === undefined) return candidates;
  return candidates.filter(({ memory }) => memory.peakBytes <= budget);
}

/** The best of some candidates, of which there is at least one; `asFast` is the slack in time. */
export function best(candidates: readonly Candidate[], asFast: number): Candidate {
  const fastest = Math.min(...candidates.map(({ cost }) => cost.seconds));
  const fast = candidates.filter(({ cost }) => cost.seconds <= fastest * asFast);
  const smallest = Math.min(...fast.map(({ memory }) => memory.peakBytes));
  const small = fast
    .filter(({ memory }) => memory.peakBytes <= smallest * (1 + WORTHWHILE))
    .sort((a, b) =>
      a.cost.seconds - b.cost.seconds || a.memory.extraPeakBytes - b.memory.extraPeakBytes
    );
  return small.find(({ shape }) => shape.strategy === "two-stage") ?? small[0]!;
}

/** Whether a candidate needs no more than another and is no slower, and is not just as good. */
function beats(one: Candidate, other: Candidate): boolean {
  const [memory, seconds] = [
    one.memory.peakBytes - other.memory.peakBytes,
    one.cost.seconds - other.cost.seconds,
  ];
  return memory <= 0 && seconds <= 0 && memory + seconds < 0;
}

/** The candidates that none beats in both memory and time, the smallest first. */
export function paretoFront(candidates: readonly Candidate[]): Candidate[] {
  const front: Candidate[] = [];
  const bySize = [...candidates].sort((a, b) =>
    a.memory.peakBytes - b.memory.peakBytes || a.cost.seconds - b.cost.seconds
  );
  for (const candidate of bySize) {
    const last = front.at(-1);
    if (!last || candidate.cost.seconds < last.cost.seconds) front.push(candidate);
  }
  return front;
}

/** A candidate as people tell it from others: `chunked, block 512`. */
export function nameOf({ shape }: Candidate): string {
  return `${shape.strategy}, block ${shape.block}, window ${shape.window}${
    shape.streamed ? ", streamed" : ""
  }`;
}

/** Why a candidate was not chosen. */
export function verdict(
  candidate: Candidate,
  chosen: Candidate,
  front: readonly Candidate[],
  budget: number | undefined,
): string {
  if (candidate === chosen) return "chosen";
  const { memory, cost } = candidate;
  if (budget !== undefined && memory.peakBytes > budget) {
    return `${formatBytes(memory.peakBytes - budget)} over the budget`;
  }
  const better = front.find((other) => beats(other, candidate));
  if (better) {
    return `no better in anything than ${better === chosen ? "the chosen" : nameOf(better)}`;
  }
  const times = cost.seconds / chosen.cost.seconds;
  const more = memory.peakBytes - chosen.memory.peakBytes;
  if (times > 1) {
    return `saves ${formatBytes(-more)}, takes ${times.toFixed(2)} times as long`;
  }
  return `${((1 - times) * 100).toFixed(1)} % faster, needs ${formatBytes(more)} more`;
}

/**
 * The choice among candidates: memory against time.
 *
 * @module
 */
import type { Candidate } from "./candidate.ts";
import type { Shape } from "../schedule/shape.ts";
import { strategyNamed } from "../strategies/mod.ts";
import { AS_FAST, DISPATCH_SECONDS, WORTHWHILE } from "../tuning.ts";
import { formatBytes } from "../units.ts";

/** Returns whether a candidate takes no more than a budget, in bytes, if there is one. */
export function staysWithin({ memory }: Candidate, budget: number | undefined): boolean {
  return budget === undefined || memory.peakBytes <= budget;
}

/** Returns the candidates that stay within a budget; all of them without one. */
export function withinBudget(
  candidates: readonly Candidate[],
  budget: number | undefined,
): readonly Candidate[] {
  return candidates.filter((candidate) => staysWithin(candidate, budget));
}

/**
 * Returns the candidates none of whose dispatches is long enough for a watchdog, as far as that
 * was measured; where there are none such, those that come nearest.
 */
export function timely(candidates: readonly Candidate[]): readonly Candidate[] {
  const longest = ({ cost }: Candidate) => cost.longestDispatch ?? 0;
  const most = Math.max(DISPATCH_SECONDS, least(candidates.map(longest)));
  return candidates.filter((candidate) => longest(candidate) <= most);
}

/** Returns the least saving of memory that counts, beside so many bytes. */
export function worthwhile(bytes: number): number {
  return Math.min(WORTHWHILE.share * bytes, WORTHWHILE.bytes);
}

/**
 * Returns the candidate that a caller who said nothing gets, of at least one. Logits are
 * stored only where that takes next to nothing, however fast it may be: who wants
 * them for their speed says so, by a strategy or a budget.
 */
export function bestOf(candidates: readonly Candidate[]): Candidate {
  const storing = candidates.filter(({ shape }) => strategyNamed(shape.strategy).baseline);
  const others = candidates.filter(({ shape }) => !strategyNamed(shape.strategy).baseline);
  if (others.length === 0) return best(storing, AS_FAST);
  const chosen = best(others, AS_FAST);
  const simple = storing.filter(({ memory, cost }) =>
    memory.peakBytes <= chosen.memory.peakBytes + worthwhile(chosen.memory.peakBytes) &&
    cost.seconds <= chosen.cost.seconds * AS_FAST
  );
  return simple.length > 0 ? best(simple, AS_FAST) : chosen;
}

/**
 * Returns the fastest of the candidates that need little more than the smallest, among
 * those that are as fast as the fastest; `asFast` is the slack in time.
 */
export function best(candidates: readonly Candidate[], asFast: number): Candidate {
  const fastest = least(candidates.map(({ cost }) => cost.seconds));
  const fast = candidates.filter(({ cost }) => cost.seconds <= fastest * asFast);
  const smallest = least(fast.map(({ memory }) => memory.peakBytes));
  const small = fast
    .filter(({ memory }) => memory.peakBytes <= smallest + worthwhile(smallest))
    .sort((a, b) =>
      a.cost.seconds - b.cost.seconds || a.memory.extraPeakBytes - b.memory.extraPeakBytes
    );
  return small[0]!;
}

/** Returns the least of some numbers. */
function least(numbers: readonly number[]): number {
  return numbers.reduce((a, b) => Math.min(a, b));
}

/** Returns whether a candidate needs no more than another and is no slower, and is not just as good. */
function beats(one: Candidate, other: Candidate): boolean {
  const [memory, seconds] = [
    one.memory.peakBytes - other.memory.peakBytes,
    one.cost.seconds - other.cost.seconds,
  ];
  return memory <= 0 && seconds <= 0 && memory + seconds < 0;
}

/** Returns the candidates that none beats in both memory and time, the smallest first. */
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

/** Returns a candidate as people tell it from others: `chunked, block 512`. */
export function nameOf({ shape }: Candidate): string {
  return `${strategyOf(shape)}, block ${shape.block}, window ${shape.window}`;
}

/** Returns a shape's strategy, and how it differs from the strategy's plain form. */
export function strategyOf({ strategy, residency, oneSum }: Shape): string {
  return [
    strategy,
    ...(residency === "windows" ? ["streamed"] : []),
    ...(oneSum ? ["one sum"] : []),
  ].join(", ");
}

/** Returns why a candidate was not chosen. */
export function verdict(
  candidate: Candidate,
  chosen: Candidate,
  front: readonly Candidate[],
  budget: number | undefined,
): string {
  if (candidate.shape === chosen.shape) return "chosen";
  const { memory, cost } = candidate;
  if (budget !== undefined && memory.peakBytes > budget) {
    return `${formatBytes(memory.peakBytes - budget)} over the budget`;
  }
  const better = front.find((other) => beats(other, candidate));
  if (better) {
    return `takes no less memory and no less time than ${
      better.shape === chosen.shape ? "the chosen" : nameOf(better)
    }`;
  }
  const times = cost.seconds / chosen.cost.seconds;
  const more = memory.peakBytes - chosen.memory.peakBytes;
  if (times > 1) {
    return `saves ${formatBytes(-more)}, takes ${times.toFixed(2)} times as long`;
  }
  return `${((1 - times) * 100).toFixed(1)} % faster, needs ${formatBytes(more)} more`;
}

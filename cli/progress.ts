/**
 * How far a long job is, in words: for a terminal, from its first second on.
 *
 * @module
 */
import { formatSeconds } from "../planner/units.ts";

/** Takes what is being done and how much of it is. */
export type Progress = (what: string, done?: number, total?: number) => void;

/** Seconds before an estimate is more than a guess. */
const SURE_AFTER = 1;

/**
 * Returns what turns progress into lines.
 *
 * @param say takes a line.
 * @param units what is counted while something is done, by its name: how many there are of what.
 * @param now the time in milliseconds.
 */
export function progressLines(
  say: (line: string) => void,
  units: Readonly<Record<string, { readonly count: number; readonly of: string }>> = {},
  now: () => number = () => performance.now(),
): Progress {
  let current: { what: string; since: number; from: number } | undefined;
  return (what, done, total = 1) => {
    if (done === undefined) return say(what);
    const share = total === 0 ? 1 : done / total;
    // What was there before it began, as in a run that is taken up again, cost no time.
    if (current?.what !== what || share < current.from) {
      current = { what, since: now(), from: share };
    }
    const seconds = (now() - current.since) / 1e3;
    const rate = (share - current.from) / seconds;
    const unit = units[what];
    const parts = [what, `${Math.floor(100 * share)} %`];
    if (seconds >= SURE_AFTER && rate > 0 && share < 1) {
      if (unit) parts.push(`${Number((rate * unit.count).toPrecision(3))} ${unit.of}/s`);
      parts.push(`${formatSeconds((1 - share) / rate)} left`);
    }
    say(parts.join(", "));
  };
}

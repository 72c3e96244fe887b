/**
 * The most memory that is taken at any time, where runs of buffers come and go.
 *
 * @module
 */
import { stagingSize } from "./host_io.ts";
import { gcd, rowsBytes, segmentCount } from "./matrix.ts";
import { emptyCategories, type MemoryPrediction } from "./memory.ts";
import type { Category } from "./schedule.ts";
import type { Window } from "./shape.ts";
import type { Used } from "./workspace.ts";

/** The steps on a range of a loop: they are repeated for each range that it stands for. */
export interface Visit {
  readonly range: Window | undefined;
  /** When it began. */
  readonly since: number;
}

/** Adjacent buffers of a matrix, and a use of them: the first that each has, or the last. */
export interface Run {
  readonly from: number;
  readonly to: number;
  readonly time: number;
  /** The visit that is repeated, where one is: its repetitions use one buffer after the other. */
  readonly repeated: Visit | undefined;
}

/** Returns the bytes of a buffer, or of one of a matrix. */
export function bytesAt(used: Used, index: number): number {
  if (!("matrix" in used)) return used.bytes;
  const { rows, capacity } = used.matrix;
  return rowsBytes(used.matrix, Math.min(capacity, rows - index * capacity));
}

/** Returns the bytes of adjacent buffers: all but the last of a matrix are alike. */
function bytesOfRun(used: Used, { from, to }: Run): number {
  return (to - from) * bytesAt(used, from) + bytesAt(used, to);
}

/** A run of buffers that come or go. */
interface Change {
  readonly used: Used;
  readonly run: Run;
  readonly sign: 1 | -1;
  readonly time: number;
}

/** The most that is there at any time, from what comes and goes. */
export class Peak {
  readonly #changes: Change[] = [];
  readonly #live = emptyCategories();
  readonly #most = emptyCategories();
  /** Most bytes before results are read back, and from then on. */
  readonly #before = { peak: 0, extra: 0 };
  readonly #staged = { peak: 0, extra: 0 };
  #stagedFrom: number;

  constructor(end: number) {
    this.#stagedFrom = end;
  }

  /** Adds buffers that come when a run begins to be used, or go so long after the last use. */
  add(used: Used, run: Run, sign: 1 | -1, after = 0): void {
    this.#changes.push({ used, run, sign, time: run.time + after });
  }

  /** Says that a result is read back at a time. */
  stagedFrom(time: number): void {
    this.#stagedFrom = Math.min(this.#stagedFrom, time);
  }

  /** Returns the peak, with a buffer that results leave through. */
  find(largestResult: number): MemoryPrediction {
    const begins = ({ run, time }: Change) => run.repeated?.since ?? time;
    const changes = this.#changes.sort((a, b) =>
      begins(a) - begins(b) || a.time - b.time || a.sign - b.sign
    );
    let staged = false;
    for (let index = 0; index < changes.length;) {
      const { run: { repeated } } = changes[index]!;
      if (!staged && begins(changes[index]!) > this.#stagedFrom) {
        this.#look(this.#stagedFrom);
        staged = true;
      }
      let next = index + 1;
      while (repeated && changes[next]?.run.repeated === repeated) next++;
      if (repeated) this.#repeat(changes.slice(index, next), repeated.range!);
      else this.#change(changes[index]!);
      index = next;
    }
    if (!staged) this.#look(this.#stagedFrom);
    const staging = stagingSize(largestResult, this.#most.scratch);
    return {
      peakBytes: Math.max(this.#before.peak, this.#staged.peak + staging),
      extraPeakBytes: Math.max(this.#before.extra, this.#staged.extra + staging),
      byCategory: { ...this.#most, staging },
    };
  }

  #change({ used, run, sign, time }: Change): void {
    this.#live[used.category] += sign * bytesOfRun(used, run);
    if (sign > 0) this.#look(time, used.category);
  }

  /** Looks at what is there after something has come. */
  #look(time: number, category?: Category): void {
    const live = this.#live;
    if (category) this.#most[category] = Math.max(this.#most[category], live[category]);
    const extra = live.state + live.scratch;
    const most = time < this.#stagedFrom ? this.#before : this.#staged;
    most.extra = Math.max(most.extra, extra);
    most.peak = Math.max(most.peak, extra + live.input + live.output);
  }

  /**
   * Goes through the repetitions of some steps, in which buffers of one matrix come
   * while those of another go. Where all come or all go, their order is no matter.
   */
  #repeat(changes: readonly Change[], range: Window): void {
    const { sign } = changes[0]!;
    if (changes.every((change) => change.sign === sign)) {
      for (const change of changes) this.#change(change);
      return;
    }
    const next = changes.map(({ run }) => run.from);
    const at = changes.map((change) => repetitionOf(change, change.run.from, range));
    const { begin, end, period } = periodOf(changes);
    let skipped = false;
    for (;;) {
      let first = -1;
      let least = Infinity;
      // In the order of their steps: of those of one repetition, the earliest.
      for (let index = 0; index < at.length; index++) {
        if (at[index]! < least) [first, least] = [index, at[index]!];
      }
      if (first === -1) return;
      const change = changes[first]!;
      const { used, run, sign, time } = change;
      const row = rowOf(change, next[first]!);
      if (!skipped && row >= begin) {
        skipped = true;
        const rows = Math.floor((end - row) / period) * period;
        if (rows > 0) {
          // What is there rises or falls from one period to the next by the same: to the last one.
          changes.forEach(({ used, sign }, index) => {
            if (!isCut(used) || at[index] === Infinity) return;
            const buffers = rows / used.matrix.capacity;
            this.#live[used.category] += sign * buffers * bytesAt(used, next[index]!);
            next[index]! += buffers;
            at[index] = repetitionOf(changes[index]!, next[index]!, range);
          });
          continue;
        }
      }
      const buffer = next[first]!++;
      this.#live[used.category] += sign * bytesAt(used, buffer);
      if (sign > 0) this.#look(time, used.category);
      at[first] = buffer < run.to ? repetitionOf(change, buffer + 1, range) : Infinity;
    }
  }
}

/** Returns whether something is several buffers. */
function isCut(used: Used): used is Extract<Used, { readonly matrix: unknown }> {
  return "matrix" in used && segmentCount(used.matrix) > 1;
}

/** Returns the row of a matrix at which a buffer comes, or by which it is gone. */
function rowOf({ used, sign }: Change, buffer: number): number {
  return isCut(used) ? (sign > 0 ? buffer : buffer + 1) * used.matrix.capacity : 0;
}

/**
 * Returns after how many rows the same buffers come and go again in the same order, and from where
 * to where they do, but for the first time and the last.
 */
function periodOf(changes: readonly Change[]) {
  const cut = changes.filter(({ used }) => isCut(used));
  const period = cut.reduce((common, { used }) => {
    const { capacity } = (used as Extract<Used, { readonly matrix: unknown }>).matrix;
    return (common / gcd(common, capacity)) * capacity;
  }, 1);
  const begin = Math.max(...cut.map((change) => rowOf(change, change.run.from))) + period;
  const end = Math.min(...cut.map((change) => rowOf(change, change.run.to))) - period;
  return { begin, end, period };
}

/** Returns the repetition of a range's steps in which a buffer comes or goes. */
function repetitionOf({ used, sign }: Change, buffer: number, range: Window): number {
  const last = range.times - 1;
  if (!isCut(used)) return sign > 0 ? 0 : last;
  const { capacity } = used.matrix;
  const { start, count } = range;
  return sign > 0
    ? Math.max(0, Math.ceil((buffer * capacity - start) / count))
    : Math.min(last, Math.ceil(((buffer + 1) * capacity - start) / count) - 1);
}

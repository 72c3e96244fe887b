/**
 * Live bytes of a schedule's buffers over its steps, added up by what they hold.
 *
 * @module
 */
import {
  type BufferSpec,
  CATEGORIES,
  type Category,
  type Lifetime,
  lifetimes,
  type Schedule,
  wholeOf,
} from "../../planner/schedule/schedule.ts";

/** Bytes alive from a step on, until the next change. */
export interface Change {
  readonly step: number;
  readonly bytes: number;
}

/** All the buffers that hold one tensor, or one buffer of the schedule's own. */
export interface Track {
  readonly name: string;
  readonly category: Category;
  readonly buffers: number;
  /** Of all its buffers, alive at once or not. */
  readonly bytes: number;
  /** Most alive at once. */
  readonly peakBytes: number;
  /** First and last step at which any is alive. */
  readonly life: Lifetime;
  /** Where live bytes change, by step. */
  readonly changes: readonly Change[];
}

/** Returns the tracks of a schedule: by category, largest first. */
export function tracksOf(schedule: Schedule): Track[] {
  const lives = lifetimes(schedule);
  const groups = Map.groupBy(
    schedule.buffers,
    (buffer) => `${buffer.category} ${wholeOf(buffer)}`,
  );
  const tracks = [...groups.values()].map((parts): Track => {
    const { category } = parts[0]!;
    // A window that comes back is a buffer anew, and holds what it held before.
    const distinct = [
      ...new Map(parts.map((part) => [part.holds?.offset ?? part.name, part])).values(),
    ];
    const spans = parts.map((part) => lives.get(part.name)!);
    const changes = liveBytes(parts, lives);
    return {
      name: wholeOf(parts[0]!),
      category,
      buffers: distinct.length,
      bytes: distinct.reduce((sum, { bytes }) => sum + bytes, 0),
      peakBytes: Math.max(...changes.map(({ bytes }) => bytes)),
      life: {
        first: Math.min(...spans.map(({ first }) => first)),
        last: Math.max(...spans.map(({ last }) => last)),
      },
      changes,
    };
  });
  const rank = (category: Category) => CATEGORIES.indexOf(category);
  return tracks.sort((a, b) => rank(a.category) - rank(b.category) || b.peakBytes - a.peakBytes);
}

/** Returns where the live bytes of some buffers change: a buffer lives through its last step. */
export function liveBytes(
  buffers: readonly BufferSpec[],
  lives: ReadonlyMap<string, Lifetime>,
): Change[] {
  const deltas = new Map<number, number>([[0, 0]]);
  const add = (step: number, bytes: number) => deltas.set(step, (deltas.get(step) ?? 0) + bytes);
  for (const { name, bytes } of buffers) {
    const { first, last } = lives.get(name)!;
    add(first, bytes);
    add(last + 1, -bytes);
  }
  let live = 0;
  return [...deltas].sort(([a], [b]) => a - b).map(([step, delta]) => {
    live += delta;
    return { step, bytes: live };
  });
}

/** Steps of one kind in a row. */
export interface Run {
  readonly kind: "upload" | "compute" | "readback";
  readonly first: number;
  /** The step after its last. */
  readonly end: number;
}

/** Returns what a schedule does when: clears are part of the computation. */
export function runsOf({ steps }: Schedule): Run[] {
  const runs: { kind: Run["kind"]; first: number; end: number }[] = [];
  steps.forEach(({ kind }, index) => {
    const named = kind === "upload" || kind === "readback" ? kind : "compute";
    const last = runs.at(-1);
    if (last?.kind === named) last.end = index + 1;
    else runs.push({ kind: named, first: index, end: index + 1 });
  });
  return runs;
}

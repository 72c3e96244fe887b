/**
 * Memory of a schedule whose buffers come and go, from a sketch of it: what
 * `host_io.ts` and `streaming.ts` would write out. A job may have tens of thousands
 * of buffers, nearly all alike: a step of a sketch that stands for many uses a run
 * of a matrix's buffers, one after the other, and nothing here makes an object for
 * each of them.
 *
 * @module
 */
import { bytesAt, Peak, type Run, type Visit } from "./host_peak.ts";
import { matrixBytes, segmentCount } from "./matrix.ts";
import type { Problem } from "../problem.ts";
import type { MemoryPrediction } from "./memory.ts";
import {
  type Dispatch,
  PARAMS_BUFFER,
  type Residency,
  type Step,
  visitBuffers,
} from "./schedule.ts";
import type { Region, Window } from "./shape.ts";
import { streamedTensors } from "./streaming.ts";
import { type Tensor, TENSOR_KEYS, tensorOf } from "./tensors.ts";
import type { Used, Workspace } from "./workspace.ts";

/** What the rows of a matrix go by in a schedule's loops. */
type Axis = "block" | "window";

/** Returns what the rows that a slot holds go by; what is bound as a whole has none. */
function axisOf({ inRows, axis }: Tensor): Axis | undefined {
  if (!inRows) return undefined;
  return axis === "vocab" ? "window" : "block";
}

/** What the rows of each slot go by: a slot has a tensor's name, without its head's. */
const AXES: ReadonlyMap<string, Axis | undefined> = new Map(
  TENSOR_KEYS.map((slot) => [slot, axisOf(tensorOf(slot))]),
);

const NOWHERE: Visit = { range: undefined, since: 0 };

/** When the buffers of a matrix are first and last used. */
interface Lives {
  readonly used: Used;
  /** How many buffers there are. */
  readonly count: number;
  readonly births: Run[];
  /** Those of a loop come in the order of the buffers, and each loop uses all. */
  readonly deaths: Run[];
  /** Whether each window is moved when its turn comes: then births and deaths are of one visit each. */
  readonly streamed: boolean;
}

/** A buffer or a matrix that a step uses, and what its rows go by. */
export interface Use {
  readonly lives: Lives;
  readonly axis: Axis | undefined;
}

/** Lives of the buffers of a sketch, whose steps are told in order. */
export class HostLives {
  readonly #lives = new Map<string, Lives>();
  /** The matrices of which one window is on the device at a time. */
  readonly #streamed: ReadonlySet<string | undefined>;
  /** The time: two for each step, so that a readback fits in after it. Uploads are at 0. */
  #now = 0;
  #firstDispatch = 0;
  #lastDispatch = 0;
  #transferred = 0;
  #block = NOWHERE;
  #window = NOWHERE;

  constructor(problem: Problem, residency: Exclude<Residency, "caller">) {
    this.#streamed = streamedTensors({ problem, residency });
  }

  #livesOf(name: string, workspace: Workspace): Lives {
    let lives = this.#lives.get(name);
    if (!lives) {
      const used = workspace.used.get(name)!;
      const count = "matrix" in used ? segmentCount(used.matrix) : 1;
      const streamed = this.#streamed.has(name);
      lives = { used, count, births: [], deaths: [], streamed };
      this.#lives.set(name, lives);
    }
    return lives;
  }

  /** Returns what a dispatch uses, for {@linkcode use}. */
  usesOf({ bindings }: Dispatch, workspace: Workspace): Use[] {
    return bindings.map(({ slot, slice }) => ({
      lives: this.#livesOf(slice.buffer, workspace),
      axis: AXES.get(slot),
    }));
  }

  /** Counts a dispatch on a block and a window. */
  use(uses: readonly Use[], at: Region): void {
    const now = this.#now += 2;
    this.#firstDispatch ||= now;
    this.#lastDispatch = now;
    if (this.#block.range !== at.block) this.#block = { range: at.block, since: now };
    if (this.#window.range !== at.window) this.#window = { range: at.window, since: now };
    const repeated = this.#repeated();
    for (const { lives, axis } of uses) {
      const range = axis && at[axis];
      if (lives.streamed) this.#stay(lives, range!);
      else if (lives.count === 1 || !range) touch(lives, 0, lives.count - 1, now, repeated);
      else {
        const { start, count } = range;
        const last = start + (range.times - 1) * count;
        touch(lives, bufferWith(lives, start), bufferWith(lives, last), now, repeated);
      }
    }
  }

  /**
   * Returns the visit whose repetitions use one buffer after the other. What is used where both
   * loops are repeated is used before and after as well: it does not matter there.
   */
  #repeated(): Visit | undefined {
    if (stands(this.#block) > 1) return this.#block;
    // Where windows are streamed, what comes with one goes with it: each is like the first.
    return stands(this.#window) > 1 && this.#streamed.size === 0 ? this.#window : undefined;
  }

  /** Counts a use of the window that is on the device, or that comes there. */
  #stay({ used, births, deaths }: Lives, { start, times }: Window): void {
    const index = "matrix" in used ? start / used.matrix.capacity : 0;
    const run = { from: index, to: index, time: this.#now, repeated: undefined };
    if (deaths.at(-1)?.from === index) deaths[deaths.length - 1] = run;
    else {
      births.push(run);
      deaths.push(run);
      if (used.category === "input") this.#transferred += times * bytesAt(used, index);
    }
  }

  /** Counts a step that is no dispatch: it uses all of whatever it names. */
  step(step: Step, workspace: Workspace): void {
    this.#now += 2;
    visitBuffers(step, (name) => {
      const lives = this.#livesOf(name, workspace);
      touch(lives, 0, lives.count - 1, this.#now, undefined);
    });
  }

  /** Returns the memory with all transfers, and the bytes between host and device. */
  total(workspace: Workspace): { readonly memory: MemoryPrediction; readonly transferred: number } {
    const end = this.#now + 2;
    const params = this.#livesOf(PARAMS_BUFFER, workspace);
    touch(params, 0, 0, this.#firstDispatch, undefined);
    touch(params, 0, 0, this.#lastDispatch, undefined);
    const peak = new Peak(end);
    let transferred = this.#transferred;
    let largestResult = 0;
    for (const { used, count, births, deaths, streamed } of this.#lives.values()) {
      const { category } = used;
      const external = "matrix" in used
        ? category === "input" || category === "output"
        : used.holds !== undefined;
      const result = external && category !== "input";
      if (result) largestResult = Math.max(largestResult, bytesAt(used, 0));
      if (external && !(streamed && category === "input")) transferred += bytesOf(used);
      if (external && !result && !streamed) peak.add(used, whole(count, 0), 1);
      else for (const run of births) peak.add(used, run, 1);
      // A result lives until it is read back: a window's at once, others at the end.
      if (result && !streamed) continue;
      for (const run of deaths) peak.add(used, run, -1, result ? 2 : 1);
      if (result) peak.stagedFrom(Math.min(...deaths.map(({ time }) => time + 1)));
    }
    return { memory: peak.find(largestResult), transferred };
  }
}

function stands({ range }: Visit): number {
  return range?.times ?? 1;
}

/** Returns all buffers at a time. */
function whole(count: number, time: number): Run {
  return { from: 0, to: count - 1, time, repeated: undefined };
}

/** Counts a use of some buffers of a matrix. */
function touch(
  { births, deaths }: Lives,
  from: number,
  to: number,
  time: number,
  repeated: Visit | undefined,
): void {
  const born = births.length ? births.at(-1)!.to : -1;
  if (to > born) births.push({ from: Math.max(from, born + 1), to, time, repeated });
  // A loop over the matrix begins anew: it will use all of it.
  if (deaths.length && from < deaths.at(-1)!.from) deaths.length = 0;
  while (deaths.length && deaths.at(-1)!.from >= from) deaths.pop();
  const before = deaths.at(-1);
  if (before && before.to >= from) deaths[deaths.length - 1] = { ...before, to: from - 1 };
  deaths.push({ from, to, time, repeated });
}

/** Returns the index of the buffer that holds a row. */
function bufferWith({ used, count }: Lives, row: number): number {
  if (!("matrix" in used)) return 0;
  return Math.min(count - 1, Math.floor(row / used.matrix.capacity));
}

/** Returns the bytes of a buffer, or of all those of a matrix. */
function bytesOf(used: Used): number {
  return "matrix" in used ? matrixBytes(used.matrix) : used.bytes;
}

/**
 * Memory of a schedule whose buffers come and go, from a sketch of it: what
 * `host_io.ts` and `streaming.ts` would write out, as first and last uses in
 * arrays of numbers. A job may have thousands of buffers, and a search hundreds of
 * sketches: nothing here makes an object for each.
 *
 * @module
 */
import { stagingSize } from "./host_io.ts";
import { matrixBytes, rowsBytes, segmentCount } from "./matrix.ts";
import type { Problem } from "../problem.ts";
import { emptyCategories, type MemoryPrediction } from "./memory.ts";
import {
  CATEGORIES,
  type Category,
  type Dispatch,
  PARAMS_BUFFER,
  type Residency,
  type Step,
  visitBuffers,
} from "./schedule.ts";
import type { Region } from "./shape.ts";
import { streamedTensors } from "./streaming.ts";
import { type Tensor, tensorsOf } from "./tensors.ts";
import type { Used, Workspace } from "./workspace.ts";

/** When each buffer of a matrix is first and last used; -1 where it is not. */
interface Lives {
  readonly used: Used;
  readonly first: Int32Array;
  readonly last: Int32Array;
  /** Of a weight that is streamed: each stay of a window on the device. */
  readonly stays: { index: number; first: number; last: number }[] | undefined;
}

/** A buffer or a matrix that a step uses, and which row of it at a place. */
export interface Use {
  readonly lives: Lives;
  readonly row: (at: Region) => number;
}

/** Returns which row of a matrix a slot begins at; what is bound as a whole has none. */
function rowOf({ inRows, axis }: Tensor): (at: Region) => number {
  if (!inRows) return whole;
  if (axis === "tokens") return ({ block }) => block!.start;
  if (axis === "vocab") return ({ window }) => window!.start;
  return ({ row }) => row!;
}

const whole = () => 0;

/** Lives of the buffers of a sketch, whose steps are told in order. */
export class HostLives {
  readonly #lives = new Map<string, Lives>();
  readonly #rows: ReadonlyMap<string, (at: Region) => number>;
  readonly #streamed: ReadonlySet<string | undefined>;
  readonly #streamedInputs: ReadonlySet<string | undefined>;
  /** The time: two for each step, so that a readback fits in after it. Uploads are at 0. */
  #now = 0;
  #firstDispatch = 0;
  #lastDispatch = 0;
  #transferred = 0;

  constructor(problem: Problem, residency: Exclude<Residency, "caller">) {
    const tensors = [...tensorsOf(problem)];
    this.#rows = new Map(tensors.map(([slot, tensor]) => [slot, rowOf(tensor)]));
    this.#streamed = streamedTensors({ problem, residency });
    this.#streamedInputs = streamedTensors({ problem, residency }, ["input"]);
  }

  #livesOf(name: string, workspace: Workspace): Lives {
    let lives = this.#lives.get(name);
    if (!lives) {
      const used = workspace.used.get(name)!;
      const count = "matrix" in used ? segmentCount(used.matrix) : 1;
      const first = new Int32Array(count).fill(-1);
      const stays = this.#streamedInputs.has(name) ? [] : undefined;
      lives = { used, first, last: first.slice(), stays };
      this.#lives.set(name, lives);
    }
    return lives;
  }

  /** Returns what a dispatch uses, for {@linkcode use}. */
  usesOf({ bindings }: Dispatch, workspace: Workspace): Use[] {
    return bindings.map(({ slot, slice }) => ({
      lives: this.#livesOf(slice.buffer, workspace),
      row: this.#rows.get(slot) ?? whole,
    }));
  }

  /** Counts a dispatch at a place. */
  use(uses: readonly Use[], at: Region): void {
    this.#now += 2;
    this.#firstDispatch ||= this.#now;
    this.#lastDispatch = this.#now;
    for (const { lives, row } of uses) {
      const { used } = lives;
      const index = "matrix" in used ? Math.floor(row(at) / used.matrix.capacity) : 0;
      if (lives.stays) this.#stay(lives.stays, used, index, at.window!.stands);
      else this.#touch(lives, index);
    }
  }

  #touch({ first, last }: Lives, index: number): void {
    if (first[index] === -1) first[index] = this.#now;
    last[index] = this.#now;
  }

  #stay(stays: NonNullable<Lives["stays"]>, used: Used, index: number, times: number): void {
    const stay = stays.at(-1);
    if (stay?.index === index) stay.last = this.#now;
    else {
      stays.push({ index, first: this.#now, last: this.#now });
      this.#transferred += times * bytesAt(used, index);
    }
  }

  /** Counts a step that is no dispatch: it uses all of whatever it names. */
  step(step: Step, workspace: Workspace): void {
    this.#now += 2;
    visitBuffers(step, (name) => {
      const lives = this.#livesOf(name, workspace);
      for (let index = 0; index < lives.first.length; index++) this.#touch(lives, index);
    });
  }

  /** Returns the memory with all transfers, and the bytes between host and device. */
  total(workspace: Workspace): { readonly memory: MemoryPrediction; readonly transferred: number } {
    const end = this.#now + 2;
    const changes = new Changes(end + 2);
    const params = this.#livesOf(PARAMS_BUFFER, workspace);
    params.first[0] = this.#firstDispatch;
    params.last[0] = this.#lastDispatch;
    let transferred = this.#transferred;
    let staged = end;
    let largestResult = 0;
    for (const [name, { used, first, last, stays }] of this.#lives) {
      const { category } = used;
      const external = "matrix" in used
        ? category === "input" || category === "output"
        : used.holds !== undefined;
      const result = external && category !== "input";
      if (result) largestResult = Math.max(largestResult, bytesAt(used, 0));
      if (external && !stays) {
        transferred += "matrix" in used ? matrixBytes(used.matrix) : used.bytes;
      }
      for (const stay of stays ?? []) {
        changes.add(category, bytesAt(used, stay.index), stay.first, stay.last);
      }
      if (stays) continue;
      const streamed = this.#streamed.has(name);
      for (let index = 0; index < first.length; index++) {
        if (first[index] === -1) continue;
        const from = external && !result ? 0 : first[index]!;
        // A result lives until it is read back: a window's at once, others at the end.
        const until = !result ? last[index]! : streamed ? last[index]! + 1 : end;
        if (result && streamed) staged = Math.min(staged, until);
        changes.add(category, bytesAt(used, index), from, until);
      }
    }
    const bytes = stagingSize(largestResult, changes.sum().byCategory.scratch);
    changes.add("staging", bytes, staged, end);
    return { memory: changes.sum(), transferred };
  }
}

/** Bytes of a buffer, or of one of a matrix. */
function bytesAt(used: Used, index: number): number {
  if (!("matrix" in used)) return used.bytes;
  const { rows, capacity } = used.matrix;
  return rowsBytes(used.matrix, Math.min(capacity, rows - index * capacity));
}

/** What comes and goes at each time, by category. */
class Changes {
  readonly #changes: Readonly<Record<Category, Float64Array>>;

  constructor(readonly times: number) {
    const changes = () => new Float64Array(times);
    this.#changes = {
      input: changes(),
      output: changes(),
      state: changes(),
      scratch: changes(),
      staging: changes(),
    };
  }

  /** Adds a buffer that is there from one time to another, both included. */
  add(category: Category, bytes: number, first: number, last: number): void {
    const changes = this.#changes[category];
    changes[first]! += bytes;
    changes[last + 1]! -= bytes;
  }

  /** Returns the most that is there at any time. */
  sum(): MemoryPrediction {
    const live = emptyCategories();
    const byCategory = emptyCategories();
    let peakBytes = 0;
    let extraPeakBytes = 0;
    for (let time = 0; time < this.times; time++) {
      for (const category of CATEGORIES) {
        live[category] += this.#changes[category][time]!;
        byCategory[category] = Math.max(byCategory[category], live[category]);
      }
      const extra = live.state + live.scratch + live.staging;
      extraPeakBytes = Math.max(extraPeakBytes, extra);
      peakBytes = Math.max(peakBytes, extra + live.input + live.output);
    }
    return { peakBytes, extraPeakBytes, byCategory };
  }
}

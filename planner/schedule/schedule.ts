/**
 * A schedule is data: every buffer and every step of a job, in order. The
 * planner adds it up, the executor walks it, the renderer draws it and `--json`
 * prints it, so a prediction and its execution cannot drift apart.
 *
 * @module
 */
import type { Dtype } from "../dtype.ts";
import type { Params } from "./params.ts";
import { type Problem, vocabOf } from "../problem.ts";
import type { Tile } from "./tile.ts";

/**
 * What buffers are for; memory is reported by these.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { parseProblem, plan, SPECIFICATION_DEFAULTS } from "@lce/lce";
 *
 * const problem = parseProblem({ tokens: 64, hidden: 8, vocab: 500 });
 * const { schedule } = plan(problem, SPECIFICATION_DEFAULTS);
 * assert(schedule.buffers.every(({ category }) => CATEGORIES.includes(category)));
 * ```
 */
export const CATEGORIES = ["input", "output", "state", "scratch", "staging"] as const;

/** What a buffer is for. */
export type Category = typeof CATEGORIES[number];

/** One GPU buffer. */
export interface BufferSpec {
  /** Unique in the schedule: slices refer to the buffer by it. */
  readonly name: string;
  /** Size of the allocation; the least that a buffer of the caller's must have. */
  readonly bytes: number;
  /** The heading under which its memory is reported. */
  readonly category: Category;
  /** The host tensor that an input, an output or what is read like one holds, and where in it (bytes). */
  readonly holds?: { readonly tensor: string; readonly offset: number };
}

/** A byte range of a buffer. */
export interface Slice {
  /** Name of a buffer of the schedule. */
  readonly buffer: string;
  /** Bytes from the start of the buffer. */
  readonly offset: number;
  /** Length of the range. */
  readonly bytes: number;
}

/** A range of rows: of tokens, or of the vocabulary. */
export interface Range {
  /** The first. */
  readonly start: number;
  /** How many. */
  readonly count: number;
}

/** Kernels that a step can dispatch; `kernels/` holds one generator for each. */
export type KernelName =
  | "select-tokens"
  | "operand-bound"
  | "row-scales"
  | "forward"
  | "project"
  | "row-statistics"
  | "top-list"
  | "fusion-moments"
  | "fusion-strength"
  | "list-logits"
  | "distill-statistics"
  | "distill-mixture"
  | "distill-gradient"
  | "local-max"
  | "fold-partials"
  | "merge"
  | "reduce"
  | "coefficients"
  | "sub-tokens"
  | "sample-tokens"
  | "logit-gradient"
  | "stored-logit-gradient"
  | "weight-gradient"
  | "hidden-gradient"
  | "hidden-sum"
  | "round-gradient"
  | "bias-gradient";

/** A slice bound to a kernel's slot. */
export interface Binding {
  /** Name of the variable in the kernel's WGSL. */
  readonly slot: string;
  /** All that the kernel can reach through the slot. */
  readonly slice: Slice;
  /** Access mode of the variable: `read_write` for whatever the kernel writes. */
  readonly access: "read" | "read_write";
  /** Whether the kernel only reads, though the variable is `read_write`: that keeps loads where they are written. */
  readonly onlyRead?: true;
  /** Bytes that the kernel goes through, where it binds rows of which its window is a part. */
  readonly reached?: number;
}

/** The order in which a product's tiles are given to workgroups. */
export interface TileOrder {
  /**
   * Token tiles of a band. A band's tiles come one vocabulary tile after the
   * other, and the next band's after them; without bands, all token tiles at each.
   */
  readonly band?: number;
  /**
   * Vocabulary tiles that one workgroup takes, one after the other, with its statistics
   * in registers: one where it is left out.
   */
  readonly run?: number;
}

/** Runs a kernel over a grid of workgroups. */
export interface Dispatch {
  /** Tells a dispatch from the other steps. */
  readonly kind: "dispatch";
  /** Decides the WGSL, together with the tile and the slots. */
  readonly kernel: KernelName;
  /** Tile of a matrix kernel; absent for the others. */
  readonly tile?: Tile;
  /** Name of the head whose logits or gradients it is about, where there are several. */
  readonly head?: string;
  /** How many dispatches that cost the same this one stands for, in the sketch of a schedule. */
  readonly times?: number;
  /** Stretch of the depth that one workgroup sums, where a product's depth is cut into parts. */
  readonly span?: number;
  /** Operands of its product that are in bf16 and become halves on their way, where there are any. */
  readonly halving?: number;
  /** Ids of the lists that it takes its results into, where it does. */
  readonly listed?: number;
  /** Order of its tiles, where it is not the plain one. */
  readonly order?: TileOrder;
  /** Workgroups in x and in y. */
  readonly grid: readonly [number, number];
  /** In the order of `@binding`, from 1 on: 0 holds the params. */
  readonly bindings: readonly Binding[];
  /** Index into the schedule's `params`. */
  readonly params: number;
  /** The same for a step whose results are added to what the caller's gradient holds. */
  readonly adding?: number;
  /** Multiply-adds of the mathematics, counted as two. */
  readonly flops: number;
  /** FLOPs of one workgroup, tails of tiles included: what the time estimate uses. */
  readonly workgroupFlops: number;
  /** Bytes that it reads and writes, each once. */
  readonly traffic: number;
}

/** Copies rows of a host tensor into a buffer. */
export interface Upload {
  /** Tells an upload from the other steps. */
  readonly kind: "upload";
  /** Name of the host tensor that is read. */
  readonly tensor: string;
  /** Bytes of the host tensor before what is read. */
  readonly sourceOffset: number;
  /** Where the bytes go, and how many. */
  readonly slice: Slice;
}

/** Copies a buffer to a host tensor, by way of a staging buffer that the host can map. */
export interface Readback {
  /** Tells a readback from the other steps. */
  readonly kind: "readback";
  /** Name of the host tensor that is written. */
  readonly tensor: string;
  /** Bytes of the host tensor before what is written. */
  readonly targetOffset: number;
  /** Where the bytes come from, and how many. */
  readonly slice: Slice;
  /** Where they pass through: as long as `slice`, in the staging buffer. */
  readonly staging: Slice;
}

/** Fills a slice with zeros. */
export interface Clear {
  /** Tells a clear from the other steps. */
  readonly kind: "clear";
  /** The bytes that become zero. */
  readonly slice: Slice;
}

/** What ranks do with each other's numbers; a scatter leaves each rank its own rows of the sum. */
export type CollectiveOp =
  | "all-reduce-max"
  | "all-reduce-min"
  | "all-reduce-sum"
  | "reduce-scatter-sum"
  | "all-gather";

/**
 * Ranks of a group work on one tensor together. Only the schedule of a rank among
 * others has any ({@linkcode Share}), and every rank of a group comes to the same
 * ones in the same order.
 */
export interface Collective {
  /** Tells a collective from the other steps. */
  readonly kind: "collective";
  /** What becomes of the ranks' numbers. */
  readonly op: CollectiveOp;
  /** With whom: the ranks that split the vocabulary, or those that split the tokens. */
  readonly group: "tensor" | "data";
  /** Whether loss or gradients wait for it. */
  readonly pass: "forward" | "backward";
  /** Name of the tensor, for people. */
  readonly what: string;
  /** What its elements are reduced as. */
  readonly type: Dtype | "u32";
  /** Elements of the whole tensor: before a scatter, after a gather. */
  readonly elements: number;
  /** Bytes of the whole tensor. */
  readonly bytes: number;
  /** What the rank contributes, in order; the last slice may be padded to a whole word. */
  readonly source: readonly Slice[];
  /** Where the outcome goes: the same slices, where the rank gets the whole of what it gave. */
  readonly target: readonly Slice[];
  /**
   * Where it is only begun here, and steps up to its {@linkcode Landing} need none of its outcome:
   * a number of its own.
   */
  readonly flight?: number;
}

/** Waits for a collective that is under way, and puts its outcome in its place. */
export interface Landing {
  /** Tells a landing from the other steps. */
  readonly kind: "landing";
  /** Which collective it ends. */
  readonly flight: number;
  /** Where the outcome goes. */
  readonly target: readonly Slice[];
}

/** One step of a schedule. */
export type Step = Dispatch | Upload | Readback | Clear | Collective | Landing;

/**
 * A rank's part of a job that several devices do together. The problem of its
 * schedule is the rank's own: its rows of the weight, its replica's tokens.
 */
export interface Share {
  /** Ranks that split the vocabulary. */
  readonly tensor: number;
  /** Replicas of such a group, which split the tokens. */
  readonly data: number;
  /** Whether hidden states and their gradient are split by tokens over the tensor ranks. */
  readonly sequence: boolean;
  /** Whether gradients are told piece by piece, each while the next is computed. */
  readonly overlap?: boolean;
  /** Vocabulary id of the rank's first row of the weight. */
  readonly vocabStart: number;
  /** Rows of the weight on all ranks of a group together. */
  readonly wholeVocab: number;
}

/**
 * Names of the strategies, in the order they are tried and listed.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { parseProblem, plan, SPECIFICATION_DEFAULTS } from "@lce/lce";
 *
 * const problem = parseProblem({ tokens: 64, hidden: 8, vocab: 500 });
 * const { schedule, alternatives } = plan(problem, SPECIFICATION_DEFAULTS);
 * const names = [schedule.strategy, ...alternatives.map(({ strategy }) => strategy)];
 * assert.deepEqual(names.sort(), [...STRATEGIES].sort());
 * ```
 */
export const STRATEGIES = ["two-stage", "fused", "windowed", "chunked"] as const;

/** A way to do the job. */
export type StrategyName = typeof STRATEGIES[number];

/**
 * Who owns the buffers of a schedule, and for how long. `caller`: inputs,
 * gradients and results are the caller's and there throughout, and the schedule's
 * own stay allocated from step to step. `host`: inputs are uploaded and results
 * read back, and each buffer lives from its first use to its last. `windows`: as
 * `host`, and of the weight and its gradient one window is on the device at a time.
 */
export type Residency = "caller" | "host" | "windows";

/** Every buffer and every step of a job. */
export interface Schedule {
  /** Which strategy laid it out. */
  readonly strategy: StrategyName;
  /** What it computes. */
  readonly problem: Problem;
  /** Shape that all its matrix kernels share. */
  readonly tile: Tile;
  /** Largest window, and how many there are. */
  readonly window: { readonly vocab: number; readonly count: number };
  /** Largest token block, and how many there are. */
  readonly block: { readonly tokens: number; readonly count: number };
  /** Sets of partial statistics per token: one for each vocabulary tile of a window. */
  readonly splits: number;
  /** Row stride of the logit matrix in elements, where the strategy has one. */
  readonly logitStride: number;
  /** The same of the gradients with respect to logits. */
  readonly gradientStride: number;
  /** What the weight's gradient is rounded to, where it is not kept in f32. */
  readonly gradientDtype?: Dtype;
  /** Every buffer that a step uses, the caller's included. */
  readonly buffers: readonly BufferSpec[];
  /** Without repeats: dispatches with the same values share an entry. */
  readonly params: readonly Params[];
  /** Bytes from one dispatch's params to the next in the uniform buffer. */
  readonly paramsStride: number;
  /** In the order in which they run. */
  readonly steps: readonly Step[];
  /**
   * Index of the first step that needs the upstream gradient, where the steps
   * before it are a complete forward pass; `undefined` where the two interleave
   * or there is only one.
   */
  readonly backwardStart: number | undefined;
  /** Who owns the buffers, and for how long. */
  readonly residency: Residency;
  /** The part that a rank has in the whole, where there are several. */
  readonly share?: Share;
}

/** Returns whether other ranks hold rows of the weight too, so that statistics are reduced over all. */
export function splitsVocabulary(share: Share | undefined): share is Share {
  return share !== undefined && share.tensor > 1;
}

/** Rows of the weight on all ranks together: what targets and class weights go by. */
export function wholeVocab({ share, problem }: Pick<Schedule, "share" | "problem">): number {
  return share?.wholeVocab ?? vocabOf(problem);
}

/**
 * Returns what a buffer is a part of: a tensor, or a matrix of the schedule's own that is cut
 * into several.
 */
export function wholeOf({ name, holds }: Pick<BufferSpec, "name" | "holds">): string {
  return holds?.tensor ?? name.replace(/\.\d+$/, "");
}

/** Name of the uniform buffer that holds every dispatch's {@linkcode Params}. */
export const PARAMS_BUFFER = "params";

/** Calls `visit` with the name of each buffer that a step needs alive, repeats included. */
export function visitBuffers(step: Step, visit: (name: string) => void): void {
  if (step.kind === "dispatch") {
    visit(PARAMS_BUFFER);
    for (const { slice } of step.bindings) visit(slice.buffer);
  } else if (step.kind === "collective") {
    for (const { buffer } of [...step.source, ...step.target]) visit(buffer);
  } else if (step.kind === "landing") {
    for (const { buffer } of step.target) visit(buffer);
  } else {
    visit(step.slice.buffer);
    if (step.kind === "readback") visit(step.staging.buffer);
  }
}

/** First and last step at which a buffer is used. */
export interface Lifetime {
  readonly first: number;
  readonly last: number;
}

/**
 * When each buffer is alive: throughout where the caller owns its inputs, else
 * from its first use to its last.
 */
export function lifetimes(schedule: Schedule): Map<string, Lifetime> {
  if (schedule.residency === "caller") {
    const always = { first: 0, last: schedule.steps.length - 1 };
    return new Map(schedule.buffers.map(({ name }) => [name, always]));
  }
  const lives = new Map<string, { first: number; last: number }>();
  schedule.steps.forEach((step, index) =>
    visitBuffers(step, (name) => {
      const life = lives.get(name);
      if (life) life.last = index;
      else lives.set(name, { first: index, last: index });
    })
  );
  return lives;
}

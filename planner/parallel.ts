/**
 * Plans of a job that several devices do together. Tensor parallelism splits the
 * weight by vocabulary rows, data parallelism the tokens, over replicas of the
 * tensor-parallel group; sequence parallelism moreover keeps hidden states split
 * by tokens outside of the layer.
 *
 * A rank's job is an ordinary schedule over its own rows, with collectives among
 * its steps. The largest rank's shapes are planned and the others take them over,
 * so that ranks run in lockstep: same token blocks, same collectives.
 *
 * @module
 */
import type { DeviceProfile } from "./device.ts";
import { type MemoryPrediction, predictMemory } from "./schedule/memory.ts";
import { type HostMemory, planHostMemory } from "./schedule/host_memory.ts";
import { makePlan, type Plan } from "./plan.ts";
import { dimensionsOf, headOf, type Problem, resized } from "./problem.ts";
import type { Collective, CollectiveOp, Range, Schedule, Share } from "./schedule/schedule.ts";
import { listsRows, LONGEST_KEPT } from "./schedule/statistics.ts";
import { strategyNamed } from "./strategies/mod.ts";
import { emit } from "./search/evaluate.ts";
import { ask, type PlanOptions } from "./search/question.ts";
import { shapeOf } from "./search/shapes.ts";

/** How a job is split over devices. */
export interface Parallelism {
  /** Ranks that split the vocabulary. */
  readonly tensor: number;
  /** Replicas of such a group, which split the tokens. */
  readonly data: number;
  /** Whether hidden states and their gradient are split by tokens over the tensor ranks. */
  readonly sequence: boolean;
  /**
   * Whether gradients are told piece by piece, each while the next is computed: more
   * collectives, which wait for less.
   */
  readonly overlap?: boolean;
}

/**
 * A job cannot be split in this way: too many ranks, or parts that must be equal and are not.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { parseProblem, SPECIFICATION_DEFAULTS } from "@lce/lce";
 *
 * const problem = parseProblem({ tokens: 64, hidden: 8, vocab: 2 });
 * const split = { tensor: 3, data: 1, sequence: false };
 * assert.throws(() => planParallel(problem, SPECIFICATION_DEFAULTS, split), ParallelismError);
 * ```
 */
export class ParallelismError extends RangeError {
  /** Tells this error from others without `instanceof`. */
  override name = "ParallelismError";
}

/** One rank's part, and the memory that it takes. Tensor ranks are numbered first. */
export interface Rank {
  /** Its number among all, from 0. */
  readonly rank: number;
  /** Its index in its tensor-parallel group. */
  readonly tensorRank: number;
  /** Its replica: which group that is. */
  readonly dataRank: number;
  /** Tokens of its replica; all of them pass through the rank. */
  readonly tokens: Range;
  /** Rows of the weight that it holds. */
  readonly vocab: Range;
  /** Bytes of GPU buffers that its schedule keeps alive. */
  readonly memory: MemoryPrediction;
  /** Bytes of the host's memory, where it is the host that tensors come from. */
  readonly host?: HostMemory | undefined;
}

/** What a job that several devices do together takes. */
export interface ParallelPlan {
  /** The whole job. */
  readonly problem: Problem;
  /** How it is split. */
  readonly parallelism: Parallelism;
  /** The plan of rank 0, whose part is the largest. */
  readonly largest: Plan;
  /** Every rank, in order. */
  readonly ranks: readonly Rank[];
  /** What rank 0 takes part in, in order. */
  readonly collectives: readonly Collective[];
  /** What `planParallel()` was told. */
  readonly options: PlanOptions;
}

/**
 * Plans a job over `tensor * data` devices of a kind.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { parseProblem, SPECIFICATION_DEFAULTS } from "@lce/lce";
 *
 * const problem = parseProblem({ hidden: 4096, vocab: 256000 });
 * const split = { tensor: 8, data: 1, sequence: false };
 * const plan = planParallel(problem, SPECIFICATION_DEFAULTS, split);
 * assert.deepEqual(plan.ranks[7]!.vocab, { start: 224000, count: 32000 });
 * assert.deepEqual(plan.collectives.map(({ what }) => what), ["max", "sum", "target"]);
 * ```
 *
 * @throws {ParallelismError} when the job cannot be split that way.
 * @throws {DoesNotFitError} when no schedule fits the device or the budget, which is each device's.
 */
export function planParallel(
  problem: Problem,
  device: DeviceProfile,
  parallelism: Parallelism,
  options: PlanOptions = {},
): ParallelPlan {
  const { part, share } = rankPart(problem, parallelism);
  const { tensor, data } = parallelism;
  const vocabs = evenShares(headOf(problem).vocab, tensor);
  const tokens = evenShares(problem.tokens, data);
  const largest = makePlan(part, device, { ...options, share });
  const memories = new Map<string, Pick<Rank, "memory" | "host">>();
  const memoryOf = (part: Pick<Rank, "tokens" | "vocab">) => {
    // Ids do not matter to memory: parts as large take as much.
    const size = `${part.tokens.count} x ${part.vocab.count}`;
    const known = memories.get(size);
    if (known) return known;
    const schedule = rankSchedule({ problem, parallelism, largest, options }, part);
    const found = { memory: predictMemory(schedule), host: planHostMemory(schedule) };
    memories.set(size, found);
    return found;
  };
  const ranks = Array.from({ length: tensor * data }, (_, rank): Rank => {
    const [tensorRank, dataRank] = [rank % tensor, Math.floor(rank / tensor)];
    const part = { tokens: tokens[dataRank]!, vocab: vocabs[tensorRank]! };
    return { rank, tensorRank, dataRank, ...part, ...memoryOf(part) };
  });
  return {
    problem,
    parallelism,
    largest,
    ranks,
    collectives: collectivesOf(largest.schedule),
    options,
  };
}

/**
 * Returns the part of the largest rank, which is the first.
 *
 * @throws {ParallelismError} when the job cannot be split that way.
 */
export function rankPart(
  problem: Problem,
  parallelism: Parallelism,
): { readonly part: Problem; readonly share: Share | undefined } {
  checkParallelism(problem, parallelism);
  const { tensor, data } = parallelism;
  const vocab = { start: 0, count: Math.ceil(headOf(problem).vocab / tensor) };
  const tokens = Math.ceil(problem.tokens / data);
  return {
    part: partOf(problem, tokens, vocab.count),
    share: shareOf(problem, parallelism, vocab),
  };
}

/**
 * Returns the steps of a schedule that it shares with other ranks, in order.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { parseProblem, SPECIFICATION_DEFAULTS } from "@lce/lce";
 *
 * const problem = parseProblem({ tokens: 64, hidden: 8, vocab: 500 });
 * const split = { tensor: 2, data: 1, sequence: false };
 * const plan = planParallel(problem, SPECIFICATION_DEFAULTS, split);
 * const steps = collectivesOf(plan.largest.schedule);
 * assert.deepEqual(steps.map(({ op }) => op), [
 *   "all-reduce-max",
 *   "all-reduce-sum",
 *   "all-reduce-sum",
 * ]);
 * ```
 */
export function collectivesOf({ steps }: Schedule): Collective[] {
  return steps.filter((step): step is Collective => step.kind === "collective");
}

/**
 * Bytes that each rank of a group sends in one collective, on average, by the ring
 * algorithm, which is optimal for large tensors: twice the tensor less a rank's
 * part for an all-reduce, once for a gather or a scatter (Patarasu and Yuan,
 * Journal of Parallel and Distributed Computing 69, 2009).
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { parseProblem, SPECIFICATION_DEFAULTS } from "@lce/lce";
 *
 * const problem = parseProblem({ tokens: 64, hidden: 8, vocab: 500 });
 * const split = { tensor: 2, data: 1, sequence: false };
 * const plan = planParallel(problem, SPECIFICATION_DEFAULTS, split);
 * const [max] = plan.collectives;
 * assert.equal(sentBytes(max!, split), 4 * 64); // an f32 for each token
 * ```
 */
export function sentBytes({ op, group, bytes }: Collective, parallelism: Parallelism): number {
  const ranks = parallelism[group];
  return (passesOf(op) * bytes * (ranks - 1)) / ranks;
}

/** How often a tensor goes round: an all-reduce is a scatter of sums, and a gather of them. */
export function passesOf(op: CollectiveOp): number {
  return op.startsWith("all-reduce") ? 2 : 1;
}

/** Returns the bytes that a rank gives to a collective and gets from it: parts where it gathers or scatters. */
export function trafficOf(
  { op, bytes }: Pick<Collective, "op" | "bytes">,
  ranks: number,
): { readonly givenBytes: number; readonly gotBytes: number } {
  return {
    givenBytes: op === "all-gather" ? bytes / ranks : bytes,
    gotBytes: op === "reduce-scatter-sum" ? bytes / ranks : bytes,
  };
}

/**
 * Returns the schedule of one rank of a plan, in the shape of the largest as far as
 * it has room for it.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { parseProblem, SPECIFICATION_DEFAULTS } from "@lce/lce";
 *
 * const problem = parseProblem({ tokens: 64, hidden: 8, vocab: 500 });
 * const split = { tensor: 2, data: 1, sequence: false };
 * const plan = planParallel(problem, SPECIFICATION_DEFAULTS, split);
 * const schedule = rankSchedule(plan, plan.ranks[1]!);
 * assert.equal(schedule.share?.vocabStart, 250);
 * ```
 */
export function rankSchedule(
  { problem, parallelism, largest, options }: Omit<ParallelPlan, "ranks" | "collectives">,
  { tokens, vocab }: Pick<Rank, "tokens" | "vocab">,
): Schedule {
  const { device, shape } = largest;
  const part = partOf(problem, tokens.count, vocab.count);
  const question = ask(part, device, { ...options, share: shareOf(problem, parallelism, vocab) });
  const sizes = {
    tile: shape.tile,
    block: Math.min(shape.block, tokens.count),
    window: Math.min(shape.window, vocab.count),
  };
  const strategy = strategyNamed(shape.strategy);
  return emit(question, shapeOf(part, strategy, sizes, shape, device), "whole");
}

/** Returns the problem of a rank: of a sample, its share by its tokens. */
function partOf(problem: Problem, tokens: number, vocab: number): Problem {
  const { sampledTokens } = problem;
  return {
    ...resized(problem, { tokens, vocab }),
    ...(sampledTokens === undefined
      ? {}
      : { sampledTokens: Math.ceil(sampledTokens * tokens / problem.tokens) }),
  };
}

/** Returns a rank's part in a schedule's terms; none for a rank that is alone. */
function shareOf(problem: Problem, parallelism: Parallelism, vocab: Range): Share | undefined {
  if (parallelism.tensor * parallelism.data === 1) return undefined;
  return { ...parallelism, vocabStart: vocab.start, wholeVocab: headOf(problem).vocab };
}

/** Cuts `[0, total)` into ranges that differ by one at most, the larger ones first. */
function evenShares(total: number, parts: number): Range[] {
  const [least, larger] = [Math.floor(total / parts), total % parts];
  return Array.from({ length: parts }, (_, index) => ({
    start: index * least + Math.min(index, larger),
    count: least + (index < larger ? 1 : 0),
  }));
}

/** More ranks than anyone has, or can read a plan of. */
export const MAX_RANKS: number = 1 << 16;

function checkParallelism(problem: Problem, { tensor, data, sequence, overlap }: Parallelism) {
  if (problem.heads.length > 1) {
    throw new ParallelismError(
      `Cannot split the ${problem.heads.length} heads ${
        problem.heads.map(({ name }) => name).join(", ")
      } over ranks: these agree on the largest logit of one head, and sums of the others are relative to their own. Plan them on one device: with --weights streamed one window of each head is there at a time`,
    );
  }
  if (problem.distill) {
    throw new ParallelismError("Cannot split what learns from a list over ranks yet");
  }
  if (listsRows(problem) && tensor > 1) {
    throw new ParallelismError(
      `Cannot list the ${problem.topK} most likely ids of a vocabulary that is split over ranks: up to ${LONGEST_KEPT}, or keep it whole`,
    );
  }
  const { tokens, vocab } = dimensionsOf(problem);
  if (tensor > vocab) {
    throw new ParallelismError(
      `Cannot split ${vocab} vocabulary ${
        vocab === 1 ? "row" : "rows"
      } over ${tensor} tensor-parallel ranks: each needs a row, so use ${vocab} at most`,
    );
  }
  if (data > tokens) {
    throw new ParallelismError(
      `Cannot split ${tokens} ${
        tokens === 1 ? "token" : "tokens"
      } over ${data} data-parallel replicas: each needs one, so use ${tokens} at most`,
    );
  }
  if (tensor * data > MAX_RANKS) {
    throw new ParallelismError(
      `Cannot plan ${tensor} x ${data} ranks: ${MAX_RANKS} are the most that a plan may have`,
    );
  }
  if (overlap && tensor * data === 1) {
    throw new ParallelismError(
      "Overlap is of what ranks tell each other, and there is only one: ask for 2 or more, or leave it out",
    );
  }
  if (!sequence) return;
  if (tensor === 1) {
    throw new ParallelismError(
      "Sequence parallelism splits hidden states over the tensor-parallel ranks, and there is only one: ask for 2 or more of those as well",
    );
  }
  const parts = tensor * data;
  if (tokens % parts !== 0) {
    const padded = Math.ceil(tokens / parts) * parts;
    throw new ParallelismError(
      `Sequence parallelism gives all ${parts} ranks the same number of tokens, and ${tokens} do not divide: pad them to ${padded} with ignored targets, which change no other result`,
    );
  }
}

/**
 * What a strategy is: which sizes it may take on a device, and the order in which it
 * calls the draft's kernels.
 *
 * @module
 */
import type { DeviceProfile } from "../device.ts";
import type { Problem } from "../problem.ts";
import { listsRows, LONGEST_KEPT } from "../schedule/statistics.ts";
import type { StrategyName } from "../schedule/schedule.ts";
import type { ScheduleDraft } from "../schedule/draft.ts";
import type { Sizes } from "../schedule/shape.ts";
import type { Tile } from "../schedule/tile.ts";

/** A way to do the job. */
export interface Strategy {
  readonly name: StrategyName;
  /** One line for people: what it does with the logits. */
  readonly summary: string;
  /** What it can compute: the loss alone, or loss and gradients. */
  readonly passes: readonly Problem["pass"][];
  /** Whether it fuses heads, whose logits are then stored as far as it stores any. */
  readonly fuses?: boolean;
  /** What it can compute where a student learns from a teacher: the logits of both are stored. */
  readonly distills?: readonly Problem["pass"][];
  /** What it can compute beside lists that are made of whole rows of logits: it stores these. */
  readonly lists?: readonly Problem["pass"][];
  /** Whether it is what frameworks do, and what the others are compared with. */
  readonly baseline: boolean;
  /**
   * Whether it takes one window of the vocabulary after the other and keeps
   * statistics in between, so that the weight can be streamed; else it needs all of it.
   */
  readonly streams: boolean;
  /** Whether a caller may fix its windows: narrower than the limits ask for, which else they never are. */
  readonly cuts: boolean;
  /** Whether it is done with the gradients of a window before the next one, so that they can be rounded once. */
  readonly finishesWindows?: boolean;
  /** Returns the most tokens of a block. @throws {Infeasible} where not even the fewest can be. */
  mostTokens(problem: Problem, device: DeviceProfile): number;
  /**
   * Returns the most ids of a window beside a block of so many tokens. @throws {Infeasible} where
   * none can be.
   */
  mostIds(problem: Problem, device: DeviceProfile, tile: Tile, block: number): number;
  /** Returns blocks worth trying, the largest first. */
  blocks(most: number, granule: number): Iterable<number>;
  /** Returns windows worth trying, the largest first: multiples of `granule` up to `most`. */
  windows(
    most: number,
    granule: number,
    device: DeviceProfile,
    tile: Tile,
    block: number,
  ): Iterable<number>;
  /** Returns the bytes that go by the sizes: of stored logits, or else of statistics. */
  stored(problem: Problem, sizes: Sizes): number;
  /** Calls the draft's kernels in order. */
  emit(draft: ScheduleDraft): void;
}

/** Returns why a strategy cannot serve a problem at all, if so. */
export function unsuited(
  { passes, fuses = false, distills = [], lists = [] }: Strategy,
  problem: Problem,
): string | undefined {
  const { heads, fusion, distill, pass } = problem;
  if (listsRows(problem)) {
    return lists.includes(pass)
      ? undefined
      : `stores no whole rows of logits, of which lists of more than ${LONGEST_KEPT} ids are made`;
  }
  if (fusion) return fuses ? undefined : "cannot fuse heads";
  if (distill && distills.length === 0) {
    return "stores no logits, but those of both heads are needed at once";
  }
  if (distill && distills.includes(pass)) return undefined;
  if (heads.length > 1 && !distill) return `serves one head, and there are ${heads.length}`;
  // Shorter ones may be made of rows too: on large devices it takes less time.
  const asked = problem.topK > 0 ? [...passes, ...lists] : passes;
  if (!distill && asked.includes(pass)) return undefined;
  return pass === "train" ? "has no backward pass of its own" : "is a training strategy";
}

/**
 * The first of a search's generators: shapes worth a look.
 *
 * @module
 */
import type { DeviceProfile } from "../device.ts";
import { ownedBytes, type Problem, vocabOf } from "../problem.ts";
import { roundUp } from "../schedule/matrix.ts";
import { attempt, Infeasible, pairsOf, type Shape, type Sizes } from "../schedule/shape.ts";
import type { Tile } from "../schedule/tile.ts";
import { granulesOf, sizingDevice, splitsOf } from "../strategies/limits.ts";
import type { Strategy } from "../strategies/strategy.ts";
import { MANY_PAIRS, STREAMED_WINDOWS } from "../tuning.ts";
import { worthwhile } from "./choice.ts";
import { type Branch, type FixedSizes, rounding } from "./question.ts";

/** The choices of a shape that are no sizes. */
export type Choices = Pick<Shape, "residency" | "oneSum" | "gradientDtype">;

/** Returns the shape of a strategy in some sizes. */
export function shapeOf(
  problem: Problem,
  { name, streams }: Pick<Strategy, "name" | "streams">,
  sizes: Sizes,
  { residency, oneSum, gradientDtype }: Choices,
  { rates }: DeviceProfile,
): Shape {
  const { tile, block, window } = sizes;
  const splits = streams ? splitsOf(problem, sizes, rates) : 1;
  return {
    strategy: name,
    tile,
    block,
    window,
    splits,
    residency,
    ...(oneSum ? { oneSum } : {}),
    ...(gradientDtype ? { gradientDtype } : {}),
  };
}

/**
 * Yields the shapes of a branch with a tile, the largest first, within the sizes that are
 * fixed, and last, where there are none or no more, the reason.
 */
export function* shapesOf(
  branch: Branch,
  tile: Tile,
  fixed: FixedSizes,
): Generator<Shape | Infeasible> {
  const { question, strategy, residency } = branch;
  const { problem, device } = question;
  const choices = { residency, ...rounding(question) };
  const sizes = sizesToTry(branch, tile, fixed);
  for (;;) {
    const next = attempt(() => sizes.next());
    if (next instanceof Infeasible) yield next;
    else if (!next.done) yield shapeOf(problem, strategy, next.value, choices, device);
    if (next instanceof Infeasible || next.done) return;
  }
}

/** Yields sizes for as long as the schedule is short, or as short as the limits allow. */
function* sizesToTry(branch: Branch, tile: Tile, fixed: FixedSizes): Generator<Sizes> {
  const { question: { problem, device }, strategy, residency } = branch;
  const { tokens } = problem;
  const vocab = vocabOf(problem);
  checkWindow(strategy, problem, fixed);
  const most = strategy.mostTokens(problem, sizingDevice(device, { block: fixed.block }));
  const granules = granulesOf(problem, device);
  const blocks = strategy.blocks(most, granules.block);
  const asked = fixed.block !== undefined || fixed.window !== undefined;
  const negligible = worthwhile(ownedBytes(problem));
  const narrowest = Math.min(fixed.window ?? granules.window, vocab);
  let fewest = Infinity;
  for (const block of fixedOr(fixed.block, most, granules.block, tokens, "block", blocks)) {
    const largest = attempt(() => largestIds(branch, tile, block, fixed));
    // A smaller block may leave room for a window that this one does not.
    const smaller = block > granules.block && fixed.block === undefined;
    if (smaller && (largest instanceof Infeasible || largest < narrowest)) continue;
    if (largest instanceof Infeasible) throw largest;
    const ids = largest;
    const windows = strategy.cuts
      ? fixedOr(
        fixed.window,
        ids,
        granules.window,
        vocab,
        "window",
        strategy.windows(ids, granules.window, device, tile, block),
      )
      : [ids];
    let tried = 0;
    for (const window of windows) {
      const sizes = { tile, block, window };
      const pairs = pairsOf(problem, sizes);
      fewest = Math.min(fewest, pairs);
      if (!asked && pairs > Math.max(MANY_PAIRS, fewest)) break;
      yield sizes;
      tried++;
      // What is smaller saves nothing worth having.
      if (asked || residency === "windows") continue;
      if (strategy.stored(problem, sizes) <= negligible) break;
    }
    if (tried === 1 && strategy.stored(problem, { tile, block, window: ids }) <= negligible) break;
  }
}

/**
 * Returns the largest window beside a block.
 *
 * @throws {Infeasible} where not even the smallest can be bound.
 */
function largestIds(
  { question: { problem, device }, strategy, residency }: Branch,
  tile: Tile,
  block: number,
  fixed: FixedSizes,
): number {
  const most = strategy.mostIds(problem, sizingDevice(device, fixed), tile, block);
  if (fixed.window !== undefined || residency !== "windows") return most;
  const { window } = granulesOf(problem, device);
  return Math.min(most, roundUp(Math.ceil(vocabOf(problem) / STREAMED_WINDOWS), window));
}

/** @throws {Infeasible} where a strategy that needs the whole vocabulary is to work on windows. */
function checkWindow({ cuts }: Strategy, problem: Problem, { window }: FixedSizes): void {
  if (cuts || window === undefined || window >= vocabOf(problem)) return;
  throw new Infeasible("works on the whole vocabulary, not on windows of it");
}

/**
 * Returns the size that is fixed, or the candidates.
 *
 * @throws {Infeasible} where the fixed one is too large or not aligned.
 */
function fixedOr(
  fixed: number | undefined,
  most: number,
  granule: number,
  total: number,
  what: string,
  candidates: Iterable<number>,
): Iterable<number> {
  if (fixed === undefined) return candidates;
  if (fixed >= total && total <= most) return [total];
  if (fixed > most) {
    throw new Infeasible(`a ${what} of ${fixed} exceeds the largest that can be bound, ${most}`);
  }
  if (fixed % granule !== 0) {
    throw new Infeasible(
      `a ${what} of ${fixed} is not a multiple of ${granule}, as bindings must be`,
    );
  }
  return [fixed];
}

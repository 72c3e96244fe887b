/**
 * The smallest schedule of a strategy: what decides whether a problem fits.
 *
 * Smaller blocks and windows need less, until the parameters of their many
 * dispatches need more. Halvings of both are tried, those first that may be the
 * smallest, and from the best on ever smaller steps, so that no size that a caller
 * could fix would do with less.
 *
 * @module
 */
import type { Candidate } from "./candidate.ts";
import { evaluate, hasParts, type Question, unlessInfeasible } from "./question.ts";
import { headOf, ownedBytes } from "../problem.ts";
import type { Residency } from "../schedule/schedule.ts";
import { MAX_PAIRS, pairsOf } from "../schedule/shape.ts";
import { granulesOf, halvings, largestIds, type Strategy } from "../strategies/strategy.ts";
import type { Tile } from "../schedule/tile.ts";

/**
 * Points that are looked at with a tile where buffers come and go. The bound is far
 * below what they take at once there and ends few searches; along a valley, where less of
 * a block makes up for more of a window, there would be thousands.
 */
const MOST_TRIED = 32;

/** A point of the search: a block and a window. */
interface Point {
  readonly block: number;
  readonly window: number;
}

/** Candidates on the way to the smallest, which comes last. */
export function* leastSizes(
  strategy: Strategy,
  question: Question,
  residency: Residency,
): Generator<Candidate> {
  const best: Best = { candidate: undefined, point: undefined };
  for (const tile of tilesApart(question)) {
    const points = pointsOf(strategy, question, tile);
    if (points) yield* descend(best, strategy, question, residency, tile, points);
  }
}

/** The smallest so far, and where it was found. */
interface Best {
  candidate: Candidate | undefined;
  point: Point | undefined;
}

/** Tiles whose schedules take different memory: statistics and flags go by rows and columns. */
function tilesApart({ tiles }: Question): Tile[] {
  return [...new Map(tiles.map((tile) => [`${tile.rows} ${tile.cols}`, tile])).values()];
}

/** The sizes that there are with a tile. */
interface Points {
  readonly granules: ReturnType<typeof granulesOf>;
  readonly mostTokens: number;
  /** The largest window beside a block; 0 where there is none. */
  idsOf(block: number): number;
}

function pointsOf(
  strategy: Strategy,
  { problem, device, options: fixed }: Question,
  tile: Tile,
): Points | undefined {
  const mostTokens = unlessInfeasible(() => strategy.mostTokens(problem, device));
  if (mostTokens === undefined) return undefined;
  const ids = new Map<number, number>();
  return {
    granules: granulesOf(problem, device),
    mostTokens,
    idsOf(block) {
      const known = ids.get(block);
      if (known !== undefined) return known;

      const most = largestIds(strategy, problem, device, tile, block, false, fixed) ?? 0;
      ids.set(block, most);
      return most;
    },
  };
}

/** Halvings of both sizes, within what is fixed. */
function* grid({ streams }: Strategy, { problem, options }: Question, points: Points) {
  const { granules, mostTokens, idsOf } = points;
  for (const block of fitted(options.block, mostTokens, granules.block, problem.tokens)) {
    const most = idsOf(block);
    if (most === 0) continue;
    if (!streams) yield { block, window: most };
    else {
      for (const window of fitted(options.window, most, granules.window, headOf(problem).vocab)) {
        yield { block, window };
      }
    }
  }
}

/** Sizes a step away from others, where they may be. */
function* near(
  { streams }: Strategy,
  { options }: Question,
  points: Points,
  of: Point,
  step: number,
) {
  const { granules, mostTokens, idsOf } = points;
  const stepped = (size: number, granule: number, sign: number) =>
    (Math.floor(size / granule) + sign * step) * granule;
  for (const sign of [-1, 1]) {
    if (streams && options.window === undefined) {
      const window = stepped(of.window, granules.window, sign);
      if (window >= 1 && window <= idsOf(of.block)) yield { block: of.block, window };
    }
    if (options.block !== undefined) continue;
    const block = stepped(of.block, granules.block, sign);
    if (block < 1 || block > mostTokens) continue;
    const window = streams ? of.window : idsOf(block);
    if (window >= 1 && window <= idsOf(block)) yield { block, window };
  }
}

function* descend(
  best: Best,
  strategy: Strategy,
  question: Question,
  residency: Residency,
  tile: Tile,
  points: Points,
): Generator<Candidate> {
  const { problem, device } = question;
  const choices = { residency, oneSum: hasParts(problem) };
  const owned = residency === "caller" ? ownedBytes(problem) : 0;
  const { minUniformBufferOffsetAlignment } = device.limits;
  /** Less than any schedule of some sizes takes. */
  const bound = (point: Point) =>
    owned + strategy.stored(problem, { tile, ...point }) +
    minUniformBufferOffsetAlignment * pairsOf(problem, point);
  const seen = new Set<string>();
  /** Moves to the best of some points, if that is better. */
  const move = function* (all: Iterable<Point>): Generator<Candidate, boolean> {
    const bounded = [...all].filter((point) => pairsOf(problem, point) <= MAX_PAIRS)
      .map((point) => ({ point, bytes: bound(point) }))
      .sort((a, b) => a.bytes - b.bytes);
    let moved = false;
    for (const { point, bytes } of bounded) {
      if (best.candidate && bytes >= best.candidate.memory.peakBytes) break;
      const key = `${point.block} ${point.window}`;
      if (seen.has(key)) continue;
      if (residency !== "caller" && seen.size >= MOST_TRIED) break;
      seen.add(key);
      const candidate = unlessInfeasible(() =>
        evaluate(question, strategy, { tile, ...point }, choices)
      );
      if (!candidate) continue;
      if (best.candidate && candidate.memory.peakBytes >= best.candidate.memory.peakBytes) continue;
      [best.candidate, best.point] = [candidate, point];
      moved = true;
      yield candidate;
    }
    return moved;
  };
  yield* move(grid(strategy, question, points));
  if (best.point === undefined) return;
  const { granules } = points;
  const widest = Math.max(best.point.block / granules.block, best.point.window / granules.window);
  let step = 2 ** Math.floor(Math.log2(Math.max(1, widest)));
  while (step >= 1) {
    if (!(yield* move(near(strategy, question, points, best.point, step)))) step /= 2;
  }
}

/** The size that is fixed, where it can be, or halvings of the largest. */
function fitted(
  fixed: number | undefined,
  most: number,
  granule: number,
  total: number,
): Iterable<number> {
  if (fixed === undefined) return halvings(most, Math.min(granule, most));
  if (fixed >= total) return total <= most ? [total] : [];
  return fixed <= most && fixed % granule === 0 ? [fixed] : [];
}

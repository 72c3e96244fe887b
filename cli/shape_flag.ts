/**
 * Shapes as people write them: tokens x hidden x vocab.
 *
 * @module
 */
import { UsageError } from "./exit.ts";

/** Reads `1024x768x50257`. @throws {UsageError} when it is not three whole numbers from 1 up. */
export function parseShape(text: string): { tokens: number; hidden: number; vocab: number } {
  const match = /^(\d+)x(\d+)x(\d+)$/.exec(text);
  const [tokens, hidden, vocab] = match ? match.slice(1).map(Number) : [];
  if (!tokens || !hidden || !vocab) {
    throw new UsageError(`--shape ${text}: write tokens x hidden x vocab, such as 1024x768x50257`);
  }
  return { tokens, hidden, vocab };
}

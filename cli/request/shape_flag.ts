/**
 * Shapes as people write them: tokens x hidden x vocab.
 *
 * @module
 */
import { MAX_DIMENSION } from "../../planner/problem.ts";
import { parseNumber } from "../../planner/units.ts";
import { UsageError } from "../exit.ts";

/** Returns a size; nothing where the text is none. */
function sizeOf(text: string): number | undefined {
  try {
    const size = parseNumber(text);
    return Number.isInteger(size) && size >= 1 && size <= MAX_DIMENSION ? size : undefined;
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}

/** Reads `1024x768x50257` or `1kx768x50257`. @throws {UsageError} when it is not three whole numbers from 1 up. */
export function parseShape(text: string): { tokens: number; hidden: number; vocab: number } {
  const sizes = text.split("x").map(sizeOf);
  const [tokens, hidden, vocab] = sizes;
  if (sizes.length !== 3 || !tokens || !hidden || !vocab) {
    throw new UsageError(
      `--shape ${text}: write tokens x hidden x vocab, each from 1 to ${MAX_DIMENSION}, such as 1kx768x50257`,
    );
  }
  return { tokens, hidden, vocab };
}

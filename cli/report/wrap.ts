/**
 * Text on lines of a width.
 *
 * @module
 */

/**
 * Returns lines of a text that are no wider than `width`, broken at blanks; words that are wider
 * than that are broken where they must be.
 */
export function wrap(text: string, width: number): string[] {
  if (text.length <= width) return [text];
  const lines: string[] = [];
  let line = "";
  for (const word of text.split(" ").flatMap((word) => pieces(word, width))) {
    if (line === "") line = word;
    else if (line.length + 1 + word.length <= width) line += ` ${word}`;
    else {
      lines.push(line);
      line = word;
    }
  }
  return [...lines, line];
}

/** Returns the length of the longest word. */
export function longestWord(text: string): number {
  return text.split(" ").reduce((most, { length }) => Math.max(most, length), 0);
}

function pieces(word: string, width: number): string[] {
  const count = Math.max(1, Math.ceil(word.length / width));
  return Array.from(
    { length: count },
    (_, index) => word.slice(index * width, (index + 1) * width),
  );
}

/** Returns lines of prose, each wrapped by itself. */
export function wrapped(text: string, width = Infinity): string {
  return text.split("\n").flatMap((line) => wrap(line, width)).join("\n");
}

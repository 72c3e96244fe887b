/**
 * What a mistyped name may have meant.
 *
 * @module
 */
import { quoted } from "../../fixtures/printable.ts";

/** Most suggestions to make: more is a list to search, not a hint. */
const MOST = 3;

/**
 * Edits that turn one text into another: letters inserted, left out, replaced, or
 * two neighbours swapped (Damerau-Levenshtein distance, each pair swapped once).
 */
export function editDistance(from: string, to: string): number {
  let before: number[] = [];
  let last = Array.from({ length: to.length + 1 }, (_, column) => column);
  for (let row = 1; row <= from.length; row++) {
    const here = [row];
    for (let column = 1; column <= to.length; column++) {
      const same = from[row - 1] === to[column - 1];
      let edits = Math.min(
        last[column]! + 1,
        here[column - 1]! + 1,
        last[column - 1]! + (same ? 0 : 1),
      );
      const swapped = row > 1 && column > 1 && from[row - 1] === to[column - 2] &&
        from[row - 2] === to[column - 1];
      if (swapped) edits = Math.min(edits, before[column - 2]! + 1);
      here.push(edits);
    }
    [before, last] = [last, here];
  }
  return last[to.length]!;
}

/**
 * Returns the known names nearest to a name that is not known: those within a third of its length
 * in edits, else those that begin with it. Case and an organisation before a slash do not count.
 */
export function suggestions(name: string, known: readonly string[]): string[] {
  const wanted = name.toLowerCase().replace(/^.*\//, "");
  const near = known
    .map((candidate) => ({ candidate, edits: editDistance(wanted, candidate.toLowerCase()) }))
    .filter(({ edits }) => edits <= Math.ceil(wanted.length / 3))
    .sort((a, b) => a.edits - b.edits);
  const nearest = near.filter(({ edits }) => edits <= near[0]!.edits + 1);
  const found = nearest.length
    ? nearest.map(({ candidate }) => candidate)
    : known.filter((candidate) => wanted !== "" && candidate.toLowerCase().startsWith(wanted));
  return found.slice(0, MOST);
}

/**
 * Returns a sentence with the names that may have been meant, after a blank; nothing where there
 * are none.
 */
export function didYouMean(name: string, known: readonly string[]): string {
  const found = suggestions(name, known);
  return found.length ? ` Did you mean ${found.join(" or ")}?` : "";
}

/** Says that a name is not known, and what may have been meant. */
export function unknownName(
  what: string,
  name: string,
  known: readonly string[],
  list: string,
): string {
  return `there is no ${what} ${quoted(name)}.${didYouMean(name, known)} "${list}" lists them.`;
}

/**
 * Mutants: small errors to plant, one at a time, and what should notice each.
 *
 * @module
 */

/** Something that can notice an error: a test file, or a run of lce. */
export type Killer =
  | {
    /** A test file, from the root. */
    readonly test: string;
    /** Part of the names of the tests to run; all of the file's by default. */
    readonly filter?: string;
  }
  | {
    /** What to call lce with: an exit code other than 0 kills. */
    readonly lce: readonly string[];
  };

/** One small error, as an edit of a file's text. */
export interface Mutant {
  /** What the program does with the error in it. */
  readonly name: string;
  /** The file, from the root. */
  readonly file: string;
  /** A text that occurs in the file exactly once. */
  readonly find: string;
  readonly replace: string;
  /** Whom it would hurt, and how. */
  readonly why: string;
  /** What should notice it: each of them must. */
  readonly killers: readonly Killer[];
}

/** A killer in one line, as it would be called. */
export function formatKiller(killer: Killer): string {
  if ("lce" in killer) return `lce ${killer.lce.join(" ")}`;
  return killer.filter === undefined ? killer.test : `${killer.test}, "${killer.filter}"`;
}

/**
 * A file's text with a mutant in it.
 *
 * @throws {Error} when the mutant is stale: its text does not occur exactly once, or its edit
 *   changes nothing.
 */
export function plant({ name, file, find, replace }: Mutant, text: string): string {
  const parts = text.split(find);
  if (parts.length !== 2) {
    throw new Error(
      `Stale: "${name}" looks for a text that occurs ${parts.length - 1} times in ${file}: ${find}`,
    );
  }
  if (find === replace) throw new Error(`"${name}" changes nothing`);
  return parts.join(replace);
}

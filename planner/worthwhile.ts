/**
 * What saving of memory is worth anything.
 *
 * @module
 */

/**
 * A saving below both is worth neither time nor a method of its own: among
 * schedules that need no more than this beyond the smallest, the fastest wins, and
 * two stages, the simplest, win where they are among them. A share alone would not
 * do: 1 % of a large job is more than other methods take in all.
 */
const WORTHWHILE = { share: 0.01, bytes: 64 * 2 ** 20 };

/** Returns the least saving of memory that counts, beside so many bytes. */
export function worthwhile(bytes: number): number {
  return Math.min(WORTHWHILE.share * bytes, WORTHWHILE.bytes);
}

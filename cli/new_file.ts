/**
 * Files that a command writes on request: never over another without being told to.
 *
 * @module
 */
import { UsageError } from "./exit.ts";

/**
 * Refuses a path that exists, unless it may be replaced, and one whose name does
 * not end as what the file holds.
 *
 * @throws {UsageError} naming the flag and the path.
 */
export async function checkNewFile(
  flag: string,
  path: string,
  { force, ending, holds }: { force: boolean; ending: RegExp; holds: string },
): Promise<void> {
  if (!ending.test(path)) throw new UsageError(`${flag} ${path}: ${holds}`);
  const there = await Deno.lstat(path).then(() => true, () => false);
  if (there && !force) throw new UsageError(`${flag} ${path}: exists already; --force replaces it`);
}

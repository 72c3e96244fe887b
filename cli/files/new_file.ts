/**
 * Files that a command writes on request: never over another without being told to.
 *
 * @module
 */
import { InputError } from "../../fixtures/errors.ts";
import { systemReason, writeWhole } from "../../fixtures/files/write.ts";
import { UsageError } from "../exit.ts";
import type { Output } from "../output.ts";

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

/**
 * Refuses a folder that has something in it, unless its files may be replaced.
 *
 * @throws {UsageError} naming the folder.
 * @throws {InputError} when it is no folder, or cannot be read.
 */
export function checkNewFolder(path: string, force: boolean): void {
  try {
    const names = [...Deno.readDirSync(path)].map(({ name }) => name);
    if (names.length > 0 && !force) {
      throw new UsageError(
        `${path}: is a folder with files in it; --force replaces those of the same name`,
      );
    }
  } catch (error) {
    if (error instanceof UsageError) throw error;
    if (error instanceof Deno.errors.NotFound) return;
    throw new InputError(`Cannot write the folder ${path}: ${systemReason(error)}`);
  }
}

/** Flags that name a picture. */
type PictureFlag = "--svg" | "--timeline" | "--roofline";

/** Refuses what cannot become a picture, where one is asked for. @throws {UsageError} */
export async function checkPicture(
  flag: PictureFlag,
  path: string | undefined,
  force: boolean,
): Promise<void> {
  if (path === undefined) return;
  await checkNewFile(flag, path, {
    force,
    ending: /\.svg$/i,
    holds: "the file holds SVG, so its name must end in .svg",
  });
}

/** Writes a picture whole or not at all, and says so. */
export async function savePicture(
  flag: PictureFlag,
  path: string,
  svg: string,
  { force, output }: { force: boolean; output: Output },
): Promise<void> {
  await checkPicture(flag, path, force);
  await writeWhole(path, new TextEncoder().encode(svg));
  output.note(`Wrote ${path}.`);
}

/**
 * A copy of the tree, for errors to be planted in: the tree itself is only read.
 *
 * @module
 */
import type { Mutant } from "./mutant.ts";
import { plant } from "./mutant.ts";

/** The root of the tree. */
export const ROOT = decodeURIComponent(new URL("../..", import.meta.url).pathname);

/** A temporary copy of the tree. */
export class TreeCopy {
  private constructor(readonly path: string) {}

  /** Copies the tree, without what is hidden. */
  static async make(): Promise<TreeCopy> {
    const path = await Deno.makeTempDir({ prefix: "lce-mutants-" });
    await copyFolder(ROOT, path);
    return new TreeCopy(path);
  }

  /** Runs something while a mutant is in the copy, and takes it out again. */
  async with<T>(mutant: Mutant, run: () => Promise<T>): Promise<T> {
    const path = `${this.path}/${mutant.file}`;
    const sound = await Deno.readTextFile(path);
    await Deno.writeTextFile(path, plant(mutant, sound));
    try {
      return await run();
    } finally {
      await Deno.writeTextFile(path, sound);
    }
  }

  async remove(): Promise<void> {
    await Deno.remove(this.path, { recursive: true });
  }
}

async function copyFolder(from: string, to: string): Promise<void> {
  for await (const { name, isDirectory, isFile } of Deno.readDir(from)) {
    if (name.startsWith(".") || name === "node_modules") continue;
    if (isDirectory) {
      await Deno.mkdir(`${to}/${name}`);
      await copyFolder(`${from}/${name}`, `${to}/${name}`);
    } else if (isFile) await Deno.copyFile(`${from}/${name}`, `${to}/${name}`);
  }
}

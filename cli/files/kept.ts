/**
 * What commands measured on this machine, kept between runs in a file of the cache:
 * an entry by name for each.
 *
 * @module
 */
import { dirname, join } from "node:path";
import * as z from "zod";
import { InputError } from "../../fixtures/errors.ts";
import { systemReason, writeWhole } from "../../fixtures/files/write.ts";
import { userCache } from "./cache.ts";

/** Returns whether an error is of the file system: no such file, no folder, no permission. */
function isFileError(error: unknown): boolean {
  return error instanceof Deno.errors.NotFound || error instanceof Deno.errors.NotADirectory ||
    error instanceof Deno.errors.IsADirectory || error instanceof Deno.errors.PermissionDenied ||
    error instanceof Deno.errors.AlreadyExists;
}

/** What a file holds, whatever its entries are. */
const RECORD = z.record(z.string(), z.unknown());

/** A file of entries that a schema checks. */
export class Kept<Entry> {
  /** Keeps entries in a file of that name; the schema's output is an entry. */
  constructor(readonly name: string, readonly schema: z.core.$ZodType) {}

  /** The file, in the folder that the environment names, else the user's cache. */
  get path(): string {
    return join(Deno.env.get("LCE_CACHE") || userCache(), this.name);
  }

  /**
   * Reads what is kept. A file that is missing, out of reach or damaged counts as empty, and an
   * entry that is none as missing: both can be made again.
   */
  async readAll(): Promise<Readonly<Record<string, Entry>>> {
    try {
      const found = z.safeParse(RECORD, JSON.parse(await Deno.readTextFile(this.path)));
      const entries = Object.entries(found.success ? found.data : {}).flatMap(([name, entry]) => {
        const parsed = z.safeParse(this.schema, entry);
        return parsed.success ? [[name, parsed.data as Entry]] : [];
      });
      return Object.fromEntries(entries);
    } catch (error) {
      if (error instanceof SyntaxError || isFileError(error)) return {};
      throw error;
    }
  }

  /**
   * Finds out whether entries could be kept, before time is spent on measuring them.
   *
   * @throws {InputError} when the file cannot be written.
   */
  async check(): Promise<void> {
    await this.#makeFolder();
    const trial = `${this.path}.${crypto.randomUUID().slice(0, 8)}.tmp`;
    try {
      // Some bytes, for a full disk takes a file that has none.
      await Deno.writeFile(trial, new Uint8Array(1 << 14));
    } catch (error) {
      throw this.#refused(error);
    } finally {
      await Deno.remove(trial).catch(() => {});
    }
  }

  /**
   * Keeps an entry, in place of what was kept under its name before. What other processes keep at
   * the same time is kept too.
   *
   * @returns the file.
   * @throws {InputError} when it cannot be written.
   */
  async keep(name: string, entry: Entry): Promise<string> {
    await this.#makeFolder();
    const unlock = await this.#lock();
    try {
      const all = { ...await this.readAll(), [name]: entry };
      await writeWhole(this.path, new TextEncoder().encode(JSON.stringify(all, null, 2) + "\n"));
    } finally {
      unlock();
    }
    return this.path;
  }

  /** Waits until no other process keeps anything; where files cannot be locked, nobody waits. */
  async #lock(): Promise<() => void> {
    let file: Deno.FsFile | undefined;
    try {
      file = await Deno.open(`${this.path}.lock`, { create: true, write: true });
      await file.lock(true);
    } catch {
      // An entry that is lost so is measured again.
    }
    return () => file?.close();
  }

  async #makeFolder(): Promise<void> {
    try {
      await Deno.mkdir(dirname(this.path), { recursive: true });
    } catch (error) {
      throw this.#refused(error);
    }
  }

  #refused(error: unknown): InputError {
    return new InputError(
      `Cannot write ${this.path}: ${systemReason(error)}.\n` +
        "LCE_CACHE names another folder for it; --dry-run measures without keeping",
    );
  }
}

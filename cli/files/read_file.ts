/**
 * Reading a text file that a flag names.
 *
 * @module
 */
import { InputError } from "../../fixtures/errors.ts";

/** Reads text. @throws {InputError} naming the file, when it is missing or cannot be read. */
export async function readText(path: string): Promise<string> {
  try {
    return await Deno.readTextFile(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) throw new InputError(`${path} does not exist`);
    throw new InputError(`Cannot read ${path}: ${(error as Error).message}`);
  }
}

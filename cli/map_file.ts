/**
 * Files that hold a map of settings, in YAML, of which JSON is a part.
 *
 * @module
 */
import { InputError } from "../fixtures/errors.ts";
import { readText } from "./read_file.ts";

/**
 * Reads a map from a file. `what` ends the sentence "must be a map ...".
 *
 * @throws {InputError} when the file cannot be read, or holds no map.
 */
export async function readMap(path: string, what: string): Promise<Record<string, unknown>> {
  const text = await readText(path);
  // Most commands read no such file, and need not wait for the parser.
  const { parse: parseYaml } = await import("yaml");
  let value: unknown;
  try {
    value = parseYaml(text, { maxAliasCount: 100 });
  } catch (error) {
    throw new InputError(`${path} is neither YAML nor JSON: ${(error as Error).message.trim()}`);
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new InputError(`${path} must be a map ${what}`);
  }
  // Lets an editor find the schema.
  const { $schema: _, ...settings } = value as Record<string, unknown>;
  return settings;
}

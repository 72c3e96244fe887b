/**
 * Files that hold a map of settings, in YAML, of which JSON is a part.
 *
 * @module
 */
import type { Document } from "yaml";
import { InputError } from "../../fixtures/errors.ts";
import { duplicateKey } from "../../fixtures/json_keys.ts";
import { quoted } from "../../fixtures/printable.ts";
import { readText } from "./read_file.ts";

/**
 * Reads a map from a file. `what` ends the sentence "must be a map ...".
 *
 * @throws {InputError} when the file cannot be read, or holds no map.
 */
export async function readMap(path: string, what: string): Promise<Record<string, unknown>> {
  const text = await readText(path);
  const value = /\.json$/i.test(path) || /^\s*[{[]/.test(text)
    ? await parseJson(text, path)
    : await parseYaml(text, path);
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new InputError(`${path} must be a map ${what}`);
  }
  // Lets an editor find the schema.
  const { $schema: _, ...settings } = value as Record<string, unknown>;
  return settings;
}

/** Parses JSON; where a file's name does not promise it, YAML in JSON's brackets will do. */
async function parseJson(text: string, path: string): Promise<unknown> {
  try {
    const value = JSON.parse(text);
    const twice = duplicateKey(text);
    if (twice === undefined) return value;
    throw new InputError(`${path} has ${quoted(twice)} twice`);
  } catch (error) {
    if (error instanceof InputError) throw error;
    const plain = text.replace(STRING_OR_COMMENT, (match) => match.startsWith('"') ? match : " ");
    if (plain !== text && isJson(plain)) {
      throw new InputError(
        `${path} is JSON with comments, which JSON does not have: take them out`,
      );
    }
    if (!/\.json$/i.test(path)) return await parseYaml(text, path);
    throw new InputError(`${path} is not JSON: ${(error as Error).message}`);
  }
}

/** Strings, in which slashes are no comments, and the comments that some editors allow in JSON. */
const STRING_OR_COMMENT = /"(?:[^"\\]|\\.)*"|\/\/[^\n]*|\/\*[\s\S]*?\*\//g;

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

async function parseYaml(text: string, path: string): Promise<unknown> {
  // Most commands read no such file, and need not wait for the parser.
  const { parseAllDocuments } = await import("yaml");
  const documents = parseAllDocuments(text);
  if (documents.length > 1) {
    throw new InputError(
      `${path} holds ${documents.length} YAML documents, divided by lines of ---, but one is needed`,
    );
  }
  try {
    const [document] = documents as Document.Parsed[];
    if (document?.errors[0]) throw document.errors[0];
    return document?.toJS({ maxAliasCount: 100 });
  } catch (error) {
    throw new InputError(`${path} is neither YAML nor JSON: ${(error as Error).message.trim()}`);
  }
}

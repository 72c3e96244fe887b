/**
 * Files that hold a map of settings, in YAML, of which JSON is a part.
 *
 * @module
 */
import type { Document, ParsedNode, Scalar } from "yaml";
import { InputError } from "../../fixtures/errors.ts";
import { parseJson, readText } from "../../fixtures/files/text_file.ts";
import { named, quoted } from "../../fixtures/printable.ts";

/** Longest YAML that is parsed: settings take little, and the parser takes long over some nonsense. */
const MAX_YAML = 2 ** 16;

/** Deepest nesting of YAML that is followed; settings have three levels. */
const MAX_DEPTH = 32;

/**
 * Reads a map from a file. `what` ends the sentence "must be a map ...".
 *
 * @throws {InputError} when the file cannot be read, or holds no map.
 */
export async function readMap(path: string, what: string): Promise<Record<string, unknown>> {
  const text = await readText(path);
  const value = /\.json$/i.test(path) || /^\s*[{[]/.test(text)
    ? await parseBrackets(text, path)
    : await parseYaml(text, path);
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new InputError(`${path} must be a map ${what}`);
  }
  // Lets an editor find the schema.
  const { $schema: _, ...settings } = value as Record<string, unknown>;
  return settings;
}

/** Parses JSON; where a file's name does not promise it, YAML in JSON's brackets will do. */
async function parseBrackets(text: string, path: string): Promise<unknown> {
  if (isJson(text)) return parseJson(text, path);
  const plain = withoutComments(text);
  if (plain !== text && isJson(plain)) {
    throw new InputError(`${path} is JSON with comments, which JSON does not have: take them out`);
  }
  return /\.json$/i.test(path) ? parseJson(text, path) : await parseYaml(text, path);
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

/** Returns the text without the comments that some editors allow in JSON; slashes in strings are none. */
function withoutComments(text: string): string {
  const kept: string[] = [];
  const end = (mark: string, from: number) => {
    const at = text.indexOf(mark, from);
    return at < 0 ? text.length : at + mark.length;
  };
  let from = 0;
  for (let at = 0; at < text.length;) {
    const two = text.slice(at, at + 2);
    if (text[at] === '"') {
      for (at++; at < text.length && text[at] !== '"'; at++) if (text[at] === "\\") at++;
      at++;
    } else if (two === "//" || two === "/*") {
      kept.push(text.slice(from, at));
      from = at = two === "//" ? end("\n", at) : end("*/", at + 2);
    } else at++;
  }
  return [...kept, text.slice(from)].join(" ");
}

async function parseYaml(text: string, path: string): Promise<unknown> {
  if (text.length > MAX_YAML) {
    throw new InputError(
      `${path} is longer than the ${MAX_YAML} characters that settings in YAML may have`,
    );
  }
  // Most commands read no such file, and need not wait for the parser.
  const { isAlias, isMap, isScalar, isSeq, parseAllDocuments } = await import("yaml");
  /** Refuses what no settings have, before a value is made of it. */
  const check = (node: ParsedNode | null, depth = 0): void => {
    if (depth > MAX_DEPTH) throw new Error(`it is nested deeper than ${MAX_DEPTH} levels`);
    if (isSeq(node)) { for (const item of node.items) check(item as ParsedNode, depth + 1); }
    if (!isMap(node)) return;
    const keys = new Set<string>();
    for (const { key, value } of node.items) {
      if (isAlias(key) || !isScalar(key)) throw new Error("a key of a map is no text");
      const name = String((key as Scalar).value);
      if (keys.has(name)) {
        throw new Error(`Map keys must be unique: ${quoted(name)} is there twice`);
      }
      keys.add(name);
      check(value as ParsedNode | null, depth + 1);
    }
  };
  try {
    // Its own check for keys that are there twice compares each with each.
    const documents = parseAllDocuments(text, { uniqueKeys: false, logLevel: "silent" });
    if (documents.length > 1) {
      throw new InputError(
        `${path} holds ${documents.length} YAML documents, divided by lines of ---, but one is needed`,
      );
    }
    const [document] = documents as Document.Parsed[];
    if (document?.errors[0]) throw document.errors[0];
    check(document?.contents ?? null);
    return document?.toJS({ maxAliasCount: 100 });
  } catch (error) {
    if (error instanceof InputError) throw error;
    const reason = (error as Error).message.trim().split("\n").map(named).join("\n");
    throw new InputError(`${path} is neither YAML nor JSON: ${reason}`);
  }
}

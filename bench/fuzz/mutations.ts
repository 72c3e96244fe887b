/**
 * Hostile files, made of good ones: bits flipped, ends cut off, lengths that cannot be,
 * keys given twice, names that lead elsewhere, and what a terminal would obey.
 *
 * @module
 */
import type { Random } from "../../fixtures/random.ts";

/** A change of a file's bytes. */
type Mutation = (bytes: Uint8Array, random: Random) => Uint8Array;

const decoder = new TextDecoder();
const encoder = new TextEncoder();

/** Numbers at which readers have broken: bounds of types, and what JSON and YAML have beside them. */
const NUMBERS = [
  "0",
  "-0",
  "-1",
  "1",
  "0.5",
  "255",
  "65535",
  "2147483647",
  "2147483648",
  "4294967296",
  "9007199254740991",
  "9007199254740992",
  "9007199254740993",
  "18446744073709551615",
  "1e308",
  "1e999",
  "-1e999",
  "NaN",
  "Infinity",
  "-Infinity",
  ".inf",
  ".nan",
  "0x7fffffff",
  "1_000",
  "null",
  "true",
  "[]",
  "{}",
  '""',
  '"1"',
];

/** Text at which readers and terminals have broken. */
const TEXTS = [
  "../../../../etc/passwd",
  "/etc/passwd",
  "/dev/zero",
  "..",
  ".",
  "C:\\\\windows\\\\x",
  "a\\u0000b",
  "__proto__",
  "constructor",
  "hasOwnProperty",
  "toString",
  "__metadata__",
  "\\u001b[2J\\u001b]0;owned\\u0007",
  "\x1b[2J",
  "\u202egpj.exe",
  "\u009b31m",
  "\\ud800",
  "",
  "x".repeat(300),
  "x".repeat(5000),
];

/** Pieces of JSON, YAML and Python that stand where they should not. */
const PIECES = [
  '"',
  "\\",
  "'",
  ":",
  ",",
  "{",
  "}",
  "[",
  "]",
  "\n",
  "\r\n",
  "\t",
  "\0",
  " ",
  "---\n",
  "...\n",
  "&a ",
  "*a ",
  "<<: *a\n",
  "? ",
  "- ",
  "|\n",
  ">-\n",
  "!!js/function ",
  "!!binary ",
  "%YAML 9.9\n",
  "# \n",
  "//",
  "/*",
  "\ufeff",
  "True",
  "(",
  ")",
  "{".repeat(60),
  "[".repeat(400),
  '{"a":'.repeat(200),
  "? ".repeat(30),
  "&a [*a]",
];

const any = <T>(random: Random, from: readonly T[]): T => from[random.below(from.length)]!;

function joined(...parts: readonly (Uint8Array | string)[]): Uint8Array {
  const bytes = parts.map((part) => typeof part === "string" ? encoder.encode(part) : part);
  const whole = new Uint8Array(bytes.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of bytes) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

/** Two places in some bytes, in order, not too far from one another. */
function range({ length }: { length: number }, random: Random): [number, number] {
  const from = random.below(length + 1);
  return [from, Math.min(length, from + random.below(1 + any(random, [4, 40, 400])))];
}

const BYTES: readonly Mutation[] = [
  (bytes, random) => {
    const flipped = bytes.slice();
    for (let count = 1 + random.below(8); count > 0 && bytes.length > 0; count--) {
      flipped[random.below(bytes.length)]! ^= 1 << random.below(8);
    }
    return flipped;
  },
  (bytes, random) => bytes.slice(0, random.below(bytes.length + 1)),
  (bytes, random) => joined(bytes, new Uint8Array(random.below(100)).fill(random.below(256))),
  (bytes, random) => {
    const [from, to] = range(bytes, random);
    return joined(bytes.subarray(0, from), bytes.subarray(to));
  },
  (bytes, random) => {
    const [from, to] = range(bytes, random);
    return joined(bytes.subarray(0, to), bytes.subarray(from));
  },
  (bytes, random) => {
    const [from, to] = range(bytes, random);
    return joined(bytes.subarray(0, from), any(random, PIECES), bytes.subarray(to));
  },
  (bytes, random) => {
    const at = random.below(bytes.length + 1);
    return joined(bytes.subarray(0, at), any(random, PIECES), bytes.subarray(at));
  },
  (bytes, random) => {
    const at = random.below(bytes.length + 1);
    return joined(bytes.subarray(0, at), any(random, TEXTS), bytes.subarray(at));
  },
  () => new Uint8Array(),
];

/** Changes of text, by what stands there. */
const TEXT: readonly ((text: string, random: Random) => string)[] = [
  (text, random) => replaced(text, /-?\d+(\.\d+)?([eE][-+]?\d+)?/g, random, any(random, NUMBERS)),
  (text, random) => replaced(text, /"(?:[^"\\]|\\.)*"/g, random, `"${any(random, TEXTS)}"`),
  (text, random) => replaced(text, /"(?:[^"\\]|\\.)*"/g, random, any(random, NUMBERS)),
  (text, random) => replaced(text, /[\w.]+/g, random, any(random, TEXTS)),
  (text, random) => replaced(text, /"(?:[^"\\]|\\.)*"\s*:/g, random, twice),
  (text, random) => replaced(text, /\[[^[\]]*\]|\{[^{}]*\}/g, random, any(random, NUMBERS)),
  (text, random) => replaced(text, /\[[^[\]]*\]|\{[^{}]*\}/g, random, (found) => `[${found}]`),
  (text, random) => replaced(text, /[^\n]+\n/g, random, (found) => found + found),
];

/** Replaces one of what an expression finds. */
function replaced(
  text: string,
  expression: RegExp,
  random: Random,
  by: string | ((found: string) => string),
): string {
  const found = [...text.matchAll(expression)];
  if (found.length === 0) return text;
  const { 0: match, index } = any(random, found);
  const next = typeof by === "string" ? by : by(match);
  return text.slice(0, index) + next + text.slice(index + match.length);
}

/** A key and the same key again, with some value between. */
const twice = (key: string) => `${key} 1, ${key}`;

/** Changes of the JSON header of a safetensors file, whose length is then right again. */
const inHeader: Mutation = (bytes, random) => {
  if (bytes.length < 8) return bytes;
  const length = Number(new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0, true));
  if (!(8 + length <= bytes.length)) return bytes;
  const text = decoder.decode(bytes.subarray(8, 8 + length));
  const header = encoder.encode(any(random, TEXT)(text, random));
  const prefix = new Uint8Array(8);
  new DataView(prefix.buffer).setBigUint64(0, BigInt(header.length), true);
  return joined(prefix, header, bytes.subarray(8 + length));
};

/** Another length in front. */
const otherLength: Mutation = (bytes, random) => {
  const changed = bytes.slice();
  if (bytes.length < 12) return changed;
  const value = any(random, [
    0n,
    1n,
    8n,
    2n ** 31n,
    2n ** 32n,
    2n ** 53n,
    2n ** 63n,
    2n ** 64n - 1n,
  ]);
  new DataView(changed.buffer).setBigUint64(any(random, [0, 0, 2, 4]), value, true);
  return changed;
};

const asText: Mutation = (bytes, random) =>
  encoder.encode(any(random, TEXT)(decoder.decode(bytes), random));

/** What a file is, as far as it decides how it is changed. */
export type FileKind = "safetensors" | "npy" | "text";

const OF_KIND: Readonly<Record<FileKind, readonly Mutation[]>> = {
  safetensors: [...BYTES, otherLength, ...Array(8).fill(inHeader)],
  npy: [...BYTES, otherLength, ...Array(4).fill(asLatin)],
  text: [...BYTES, ...Array(10).fill(asText)],
};

/** As text in which each byte is a character, so that binary data stays what it is. */
function asLatin(bytes: Uint8Array, random: Random): Uint8Array {
  const text = any(random, TEXT)(String.fromCharCode(...bytes), random);
  return Uint8Array.from(text, (character) => character.charCodeAt(0));
}

/** Changes a file in one to three ways. */
export function mutated(bytes: Uint8Array, kind: FileKind, random: Random): Uint8Array {
  let changed = bytes;
  for (let count = 1 + random.below(3); count > 0; count--) {
    changed = any(random, OF_KIND[kind])(changed, random);
  }
  return changed;
}

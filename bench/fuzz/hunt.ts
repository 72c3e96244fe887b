/**
 * Hostile files, read one after the other, and what must be true of each: it is read,
 * or refused as its owner's mistake, in little time and memory, without leaving its
 * folder and without a word that a terminal obeys.
 *
 * @module
 */
import process from "node:process";
import { explain } from "../../cli/exit.ts";
import { printableLines } from "../../fixtures/printable.ts";
import { Random } from "../../fixtures/random.ts";
import { mutated } from "./mutations.ts";
import type { Reader } from "./readers.ts";

/** Longest that one file may take of the processor, in milliseconds: thousands of times what a good one takes. */
const MOST_MILLISECONDS = 2000;

/** Longest message: the longest path that there is, and what is wrong with it. */
const MOST_CHARACTERS = 4096 + 300;

/** Bytes of one array that a file of no size may have: blocks of text are read into such. */
const FREE_BYTES = 2 ** 17;

/** Faults of a reader that are kept: after some, more say nothing new. */
const MOST_FAULTS = 20;

/** What came of the files that one reader was given. */
export interface Hunt {
  readonly reader: string;
  inputs: number;
  /** Files that were read after all. */
  readGood: number;
  /** Different messages, numbers and names aside. */
  readonly messages: Set<string>;
  slowestMilliseconds: number;
  /** The largest array that was made, in bytes. */
  largestArray: number;
  readonly faults: Fault[];
}

/** A file that a reader did not take as it should. */
export interface Fault {
  readonly what: string;
  readonly bytes: Uint8Array;
}

/** Starts the record of a reader. */
export function beginHunt({ name }: Reader): Hunt {
  return {
    reader: name,
    inputs: 0,
    readGood: 0,
    messages: new Set(),
    slowestMilliseconds: 0,
    largestArray: 0,
    faults: [],
  };
}

/** Gives a reader some hostile files of a seed. */
export async function hunt(
  reader: Reader,
  folder: string,
  record: Hunt,
  { seed, count }: { readonly seed: number; readonly count: number },
): Promise<void> {
  const random = new Random(seed);
  const path = `${folder}/${reader.file}`;
  const before = await Deno.readFile(path).catch(() => undefined);
  for (let index = 0; index < count; index++) {
    const start = reader.seeds[random.below(reader.seeds.length)]!;
    await tryFile(reader, folder, record, mutated(start, reader.kind, random));
  }
  if (before) await Deno.writeFile(path, before);
  else await Deno.remove(path);
}

/** Gives a reader one file, and records what comes of it. */
export async function tryFile(
  reader: Reader,
  folder: string,
  record: Hunt,
  bytes: Uint8Array,
): Promise<void> {
  Deno.writeFileSync(`${folder}/${reader.file}`, bytes);
  const begun = process.cpuUsage();
  const { outcome, opened, largest } = await watched(() => reader.read(folder));
  // The processor's time: a machine that is busy otherwise is no fault of the file.
  const { user, system } = process.cpuUsage(begun);
  const milliseconds = (user + system) / 1000;
  record.inputs++;
  record.slowestMilliseconds = Math.max(record.slowestMilliseconds, milliseconds);
  record.largestArray = Math.max(record.largestArray, largest);
  const faults: string[] = [];
  if (milliseconds > MOST_MILLISECONDS) faults.push(`took ${milliseconds.toFixed(0)} ms`);
  // 16-bit elements are widened, and a good shard beside it may be larger than a file cut short.
  if (largest > FREE_BYTES + 4 * bytes.length) faults.push(`an array of ${largest} bytes`);
  const outside = opened.find((path) => !path.startsWith(`${folder}/`));
  if (outside !== undefined && !reader.usage) faults.push(`opens ${outside}`);
  if (outcome.status === "fulfilled") record.readGood++;
  else {faults.push(...unfit(outcome.reason, reader, [
      `${folder}/`,
      ...opened.map((path) => path.slice(0, 100)),
    ], record));}
  for (const what of faults) {
    if (record.faults.length < MOST_FAULTS) record.faults.push({ what, bytes });
  }
}

/** What is wrong with an error. */
function* unfit(
  error: unknown,
  reader: Reader,
  places: readonly string[],
  record: Hunt,
): Generator<string> {
  const { code, text = "" } = explain(error);
  const isUsage = code === 2 && reader.usage;
  if (code !== 4 && !isUsage) yield `exit code ${code}: ${(error as Error)?.stack ?? error}`;
  if (printableLines(text) !== text) yield `a control character in: ${printableLines(text)}`;
  if (text.length > MOST_CHARACTERS) yield `${text.length} characters of message`;
  if (code === 4 && !places.some((place) => text.includes(place))) yield `no file in: ${text}`;
  const plain = text.replaceAll(places[0]!, "").replaceAll(/"[^]*?"|\d+/g, "_").slice(0, 60);
  record.messages.add(plain);
}

/** Does something while its largest array and the files that it opens are noted. */
async function watched(use: () => Promise<unknown>) {
  const opened: string[] = [];
  let largest = 0;
  const { open } = Deno;
  const Plain = Uint8Array;
  globalThis.Uint8Array = new Proxy(Plain, {
    construct(target, given, as) {
      if (typeof given[0] === "number") largest = Math.max(largest, given[0]);
      return Reflect.construct(target, given, as === globalThis.Uint8Array ? target : as);
    },
  });
  Deno.open = (path, ...options) => {
    opened.push(String(path));
    return open(path, ...options);
  };
  try {
    const [outcome] = await Promise.allSettled([use()]);
    return { outcome, opened, largest };
  } finally {
    globalThis.Uint8Array = Plain;
    Deno.open = open;
  }
}

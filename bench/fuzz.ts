// deno-lint-ignore-file no-console -- a script prints
/**
 * Gives every reader of files of strangers hostile ones, for some minutes, and writes
 * the figures to `bench/fuzz.md`. Fails if a reader does not take one as it should.
 *
 *     deno task fuzz [minutes] [seed] [processes]
 *
 * @module
 */
import { markdown } from "../cli/report/formats.ts";
import { beginHunt, type Hunt, hunt } from "./fuzz/hunt.ts";
import { openReaders } from "./fuzz/readers.ts";

/** Files of a reader until it is the next one's turn. */
const ROUND = 200;

/** What one process found, as it prints it. */
interface Found {
  readonly hunts: readonly (Omit<Hunt, "messages" | "faults"> & {
    readonly messages: readonly string[];
    readonly faults: readonly { readonly what: string; readonly bytes: readonly number[] }[];
  })[];
  /** Seeds that it came through, and its resident bytes after the first and at most. */
  readonly seeds: number;
  readonly residentBefore: number;
  readonly residentMost: number;
}

const [minutes, firstSeed, processes, child] = [10, 1, 1, NaN]
  .map((value, index) => Number(Deno.args[index] ?? value)) as [number, number, number, number];

/** Hunts by the seeds of one process, which are every so many-th. */
async function huntAlone(first: number): Promise<Found> {
  // In memory where there is such a disk: what is measured is no disk.
  const shared = await Deno.stat("/dev/shm").then(() => "/dev/shm", () => undefined);
  const folder = await Deno.makeTempDir(shared === undefined ? {} : { dir: shared });
  const readers = await openReaders(folder);
  const hunts = readers.map(beginHunt);
  const begun = performance.now();
  let [seeds, residentBefore, residentMost] = [0, 0, 0];
  for (; performance.now() - begun < 60_000 * minutes; seeds++) {
    for (const [index, reader] of readers.entries()) {
      const seed = first + seeds * processes;
      await hunt(reader, folder, hunts[index]!, { seed, count: ROUND });
    }
    const { rss } = Deno.memoryUsage();
    residentBefore ||= rss;
    residentMost = Math.max(residentMost, rss);
  }
  await Deno.remove(folder, { recursive: true });
  return {
    hunts: hunts.map((each) => ({
      ...each,
      messages: [...each.messages],
      faults: each.faults.map(({ what, bytes }) => ({ what, bytes: [...bytes] })),
    })),
    ...{ seeds, residentBefore, residentMost },
  };
}

/** Lets a process of its own hunt, for the time that a file takes is that of its process. */
async function huntApart(index: number): Promise<Found> {
  const args = ["run", "--quiet", "--allow-all", import.meta.filename!, ...Deno.args.slice(0, 3)];
  const { stdout, success } = await new Deno.Command("deno", {
    args: [...args, `${index}`],
    stderr: "inherit",
  }).output();
  if (!success) throw new Error(`The process of seed ${firstSeed + index} ended early`);
  return JSON.parse(new TextDecoder().decode(stdout));
}

if (!Number.isNaN(child)) {
  console.log(JSON.stringify(await huntAlone(firstSeed + child)));
  Deno.exit(0);
}
const begun = performance.now();
const found = processes === 1
  ? [await huntAlone(firstSeed)]
  : await Promise.all(Array.from({ length: processes }, (_, index) => huntApart(index)));
const took = (performance.now() - begun) / 60_000;
const [residentBefore, residentMost] = (["residentBefore", "residentMost"] as const)
  .map((name) => Math.max(...found.map((each) => each[name]))) as [number, number];
const seeds = found.reduce((sum, each) => sum + each.seeds, 0);
const hunts = found[0]!.hunts.map(({ reader }, index) => {
  const parts = found.map(({ hunts }) => hunts[index]!);
  const sum = (of: (part: typeof parts[number]) => number) =>
    parts.reduce((total, part) => total + of(part), 0);
  return {
    reader,
    inputs: sum(({ inputs }) => inputs),
    readGood: sum(({ readGood }) => readGood),
    messages: new Set(parts.flatMap(({ messages }) => messages)),
    slowestMilliseconds: Math.max(...parts.map((part) => part.slowestMilliseconds)),
    largestArray: Math.max(...parts.map((part) => part.largestArray)),
    faults: parts.flatMap(({ faults }) => faults),
  };
});

const count = (value: number) => value.toLocaleString("en-GB");
const total = hunts.reduce((sum, { inputs }) => sum + inputs, 0);
const faults = hunts.flatMap(({ reader, faults }) => faults.map((fault) => ({ reader, ...fault })));
const rows = hunts.map((hunt) => [
  hunt.reader,
  count(hunt.inputs),
  count(hunt.readGood),
  count(hunt.inputs - hunt.readGood),
  count(hunt.messages.size),
  hunt.slowestMilliseconds.toFixed(0),
  count(hunt.largestArray),
]);
const mebibytes = (bytes: number) => `${count(Math.round(bytes / 2 ** 20))} MiB`;
const page = `# Hostile files

${count(total)} files, each made of a good one by bits flipped, ends cut off, pieces moved, numbers,
names and keys replaced (\`bench/fuzz/mutations.ts\`), written to a folder and read as a command
reads them. Each was read, or refused as its owner's mistake: an error with exit code 4 that names
the file (or 2, where a plan lacks what a flag may say), in less than two seconds, with no array
larger than four times the file and 128 KiB, nothing opened outside of the folder and no control
character in the message. ${
  faults.length === 0 ? "None was taken otherwise" : `**${faults.length} were taken otherwise**`
}. By \`deno task fuzz ${[minutes, firstSeed, processes].join(" ")}\`, Deno ${Deno.version.deno}, ${
  new Date().toISOString().slice(0, 10)
}: ${took.toFixed(0)} minutes in ${
  processes === 1 ? "one process" : `${processes} processes`
}, ${seeds} seeds from ${firstSeed} on; a process had ${
  mebibytes(residentBefore)
} after the first round and ${mebibytes(residentMost)} at most.

${
  markdown([
    ["reader", "files", "read", "refused", "messages", "slowest, ms", "largest array, bytes"],
    ...rows,
  ])
}
`;
const path = decodeURIComponent(new URL("fuzz.md", import.meta.url).pathname);
await Deno.writeTextFile(path, page);
const config = decodeURIComponent(new URL("../deno.json", import.meta.url).pathname);
await new Deno.Command("deno", { args: ["fmt", "--quiet", `--config=${config}`, path] }).output();
for (const { reader, what, bytes } of faults) {
  const text = JSON.stringify(new TextDecoder().decode(Uint8Array.from(bytes)));
  console.log(`${reader}: ${what.slice(0, 400)}\n  ${text.slice(0, 400)}`);
}
console.log(`${count(total)} files, ${faults.length} not taken as they should`);
Deno.exit(faults.length > 0 ? 1 : 0);

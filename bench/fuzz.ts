// deno-lint-ignore-file no-console -- a script prints
/**
 * Gives every reader of files of strangers hostile ones, for some minutes, and writes
 * the figures to `bench/fuzz.md`. Fails if a reader does not take one as it should.
 *
 *     deno task fuzz [minutes] [seed]
 *
 * @module
 */
import { markdown } from "../cli/report/formats.ts";
import { beginHunt, hunt } from "./fuzz/hunt.ts";
import { openReaders } from "./fuzz/readers.ts";

/** Files of a reader until it is the next one's turn. */
const ROUND = 200;

const minutes = Number(Deno.args[0] ?? 10);
const firstSeed = Number(Deno.args[1] ?? 1);

// In memory where there is such a disk: what is measured is no disk.
const shared = await Deno.stat("/dev/shm").then(() => "/dev/shm", () => undefined);
const folder = await Deno.makeTempDir(shared === undefined ? {} : { dir: shared });
const readers = await openReaders(folder);
const hunts = readers.map(beginHunt);
const begun = performance.now();
const elapsed = () => (performance.now() - begun) / 60_000;
let seed = firstSeed;
let [residentBefore, residentMost] = [0, 0];
for (; elapsed() < minutes; seed++) {
  for (const [index, reader] of readers.entries()) {
    await hunt(reader, folder, hunts[index]!, { seed, count: ROUND });
  }
  const { rss } = Deno.memoryUsage();
  residentBefore ||= rss;
  residentMost = Math.max(residentMost, rss);
}
const took = elapsed();
await Deno.remove(folder, { recursive: true });

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
}. By \`deno task fuzz ${minutes} ${firstSeed}\`, Deno ${Deno.version.deno}, ${
  new Date().toISOString().slice(0, 10)
}: ${took.toFixed(0)} minutes, seeds ${firstSeed} to ${seed - 1}; the process had ${
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
  const text = JSON.stringify(new TextDecoder().decode(bytes));
  console.log(`${reader}: ${what.slice(0, 400)}\n  ${text.slice(0, 400)}`);
}
console.log(`${count(total)} files, ${faults.length} not taken as they should`);
Deno.exit(faults.length > 0 ? 1 : 0);

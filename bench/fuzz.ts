// deno-lint-ignore-file no-console -- a script prints
/**
 * Gives every reader of files of strangers hostile ones, for some minutes, and writes
 * `bench/fuzz.md`. Fails if a reader does not take one as it should.
 *
 *     deno run -A bench/fuzz.ts [minutes] [seed]
 *
 * @module
 */
import { beginHunt, hunt } from "./fuzz/hunt.ts";
import { openReaders } from "./fuzz/readers.ts";

/** Files of a reader until it is the next one's turn. */
const ROUND = 200;

const minutes = Number(Deno.args[0] ?? 10);
const firstSeed = Number(Deno.args[1] ?? 1);
const shared = await Deno.stat("/dev/shm").then(() => "/dev/shm", () => undefined);
const folder = await Deno.makeTempDir(shared === undefined ? {} : { dir: shared });
const readers = await openReaders(folder);
const hunts = readers.map(beginHunt);
const begun = performance.now();
const elapsed = () => (performance.now() - begun) / 60_000;
let seed = firstSeed;
for (; elapsed() < minutes; seed++) {
  for (const [index, reader] of readers.entries()) {
    await hunt(reader, folder, hunts[index]!, { seed, count: ROUND });
  }
}
await Deno.remove(folder, { recursive: true });
for (
  const { reader, inputs, readGood, slowestMilliseconds, largestArray, faults, messages } of hunts
) {
  console.log(reader, {
    inputs,
    readGood,
    slowestMilliseconds,
    largestArray,
    messages: messages.size,
    faults: faults.length,
  });
  const seen = new Set<string>();
  for (const { what, bytes } of faults) {
    const key = what.replaceAll(/\d+/g, "").slice(0, 160);
    if (seen.has(key)) continue;
    seen.add(key);
    console.log(
      "   ",
      what.slice(0, 700),
      "\n     ",
      JSON.stringify(new TextDecoder().decode(bytes.subarray(0, 300))),
    );
  }
}

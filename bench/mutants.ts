// deno-lint-ignore-file no-console -- a script prints
/**
 * Plants small errors in a copy of the tree, one at a time, and runs what should
 * notice each. Fails if any survives, or no longer fits the tree. A hunt for all of
 * them takes some tens of minutes, and its figures go to `bench/mutants.md`.
 *
 *     deno task mutants               all of them
 *     deno task mutants --check       only whether each still fits the tree
 *     deno task mutants bias band     those whose name or file contains one of the words
 *
 * @module
 */
import { parseArgs } from "node:util";
import { AGAINST } from "./mutants/against.ts";
import { ADAPTERS } from "./mutants/adapter.ts";
import { ROOT, TreeCopy } from "./mutants/copy.ts";
import { IN_BF16 } from "./mutants/bf16.ts";
import { CALIBRATIONS } from "./mutants/calibration.ts";
import { CHOICE } from "./mutants/choice.ts";
import { CODES } from "./mutants/codebook.ts";
import { DRAFT } from "./mutants/draft.ts";
import { ESTIMATES } from "./mutants/estimates.ts";
import { EXECUTOR } from "./mutants/executor.ts";
import { FAULTY } from "./mutants/faulty.ts";
import { DISTILLATIONS } from "./mutants/distill.ts";
import { LISTS } from "./mutants/lists.ts";
import { OBJECTIVES } from "./mutants/objectives.ts";
import { FUSIONS } from "./mutants/fusion.ts";
import { GENERATORS } from "./mutants/generators.ts";
import { HOST } from "./mutants/host.ts";
import { IN_MATRICES } from "./mutants/matrices.ts";
import { RANKS } from "./mutants/ranks.ts";
import { ROUNDS } from "./mutants/rounds.ts";
import { IN_SUB_TOKENS } from "./mutants/sub_tokens.ts";
import { IN_SAMPLES } from "./mutants/sampled.ts";
import { type Fate, hunt, runKiller } from "./mutants/hunt.ts";
import { formatKiller, type Mutant, plant } from "./mutants/mutant.ts";
import { page } from "./mutants/report.ts";

const MUTANTS: readonly Mutant[] = [
  ...GENERATORS,
  ...IN_MATRICES,
  ...IN_BF16,
  ...DRAFT,
  ...EXECUTOR,
  ...FAULTY,
  ...HOST,
  ...ROUNDS,
  ...RANKS,
  ...CALIBRATIONS,
  ...CHOICE,
  ...ESTIMATES,
  ...CODES,
  ...DISTILLATIONS,
  ...LISTS,
  ...OBJECTIVES,
  ...FUSIONS,
  ...ADAPTERS,
  ...IN_SUB_TOKENS,
  ...IN_SAMPLES,
  ...AGAINST,
];

/** Copies that are hunted in at the same time: a software device keeps more than one core busy. */
const JOBS = 2;

/** What is wrong with a mutant that no longer fits the tree. */
async function staleness(mutant: Mutant): Promise<string | undefined> {
  try {
    plant(mutant, await Deno.readTextFile(ROOT + mutant.file));
    for (const killer of mutant.killers) {
      if ("test" in killer && !await Deno.stat(ROOT + killer.test).catch(() => false)) {
        throw new Error(
          `Stale: "${mutant.name}" is for ${killer.test} to notice, which is not there`,
        );
      }
    }
    return undefined;
  } catch (error) {
    return (error as Error).message;
  }
}

/** Does something for each item, in as many copies of the tree as there are jobs. */
async function inCopies<T, U>(
  items: readonly T[],
  work: (item: T, copy: TreeCopy) => Promise<U>,
): Promise<U[]> {
  const results: U[] = [];
  const waiting = [...items.entries()];
  await Promise.all(Array.from({ length: JOBS }, async () => {
    const copy = await TreeCopy.make();
    try {
      for (let next = waiting.shift(); next; next = waiting.shift()) {
        results[next[0]] = await work(next[1], copy);
      }
    } finally {
      await copy.remove();
    }
  }));
  return results;
}

/** The killers of some mutants, each once. */
function killersOf(mutants: readonly Mutant[]) {
  const all = mutants.flatMap(({ killers }) => killers);
  return [...new Map(all.map((killer) => [formatKiller(killer), killer])).values()];
}

async function deviceName(): Promise<string> {
  const { stdout } = await new Deno.Command("deno", {
    args: ["run", "--quiet", "-A", "cli/main.ts", "device", "--json"],
    cwd: ROOT,
  }).output();
  return JSON.parse(new TextDecoder().decode(stdout)).name;
}

/** What was asked for. A hunt is long: a flag that is not known must not begin one. */
function asked() {
  try {
    const { values, positionals } = parseArgs({
      args: Deno.args,
      allowPositionals: true,
      options: { check: { type: "boolean" }, help: { type: "boolean" } },
    });
    if (!values.help) return { check: values.check === true, words: positionals };
  } catch (error) {
    console.error((error as Error).message);
  }
  console.error("usage: deno task mutants [--check] [WORD...]");
  Deno.exit(Deno.args.includes("--help") ? 0 : 2);
}

const { check, words } = asked();
const wanted = MUTANTS.filter(({ name, file }) =>
  words.length === 0 || words.some((word) => name.includes(word) || file.includes(word))
);

const stale = (await Promise.all(wanted.map(staleness))).filter((what) => what !== undefined);
for (const what of stale) console.error(what);
if (stale.length > 0 || wanted.length === 0 || check) {
  console.log(`${wanted.length} mutants, ${stale.length} stale`);
  Deno.exit(stale.length > 0 || wanted.length === 0 ? 1 : 0);
}

const begun = performance.now();
console.log("Without any error:");
const sound = await inCopies(killersOf(wanted), async (killer, copy) => {
  const verdict = await runKiller(killer, copy);
  console.log(`  ${verdict.outcome}  ${formatKiller(killer)}  ${verdict.what}`);
  return verdict.outcome === "passed";
});
if (sound.includes(false)) {
  console.error("What fails on the tree as it is cannot notice anything.");
  Deno.exit(1);
}

console.log("With one error each:");
const fates: Fate[] = await inCopies(wanted, async (mutant, copy) => {
  const fate = await hunt(mutant, copy);
  const { outcome, noticed, seconds } = fate;
  console.log(`  ${outcome}  ${mutant.name}  (${noticed.join("; ")})  ${seconds.toFixed(0)} s`);
  return fate;
});

const survivors = fates.filter(({ outcome }) => outcome !== "killed");
for (const { mutant, outcome, problem } of survivors) {
  console.error(`\n${outcome}: ${mutant.name} (${mutant.file})\n  ${problem}\n  ${mutant.why}`);
}
if (words.length === 0) {
  await Deno.writeTextFile(
    `${ROOT}bench/mutants.md`,
    page(fates, {
      date: new Date().toISOString().slice(0, 10),
      device: await deviceName(),
      minutes: (performance.now() - begun) / 60000,
      jobs: JOBS,
    }),
  );
  await new Deno.Command("deno", { args: ["fmt", "--quiet", "bench/mutants.md"], cwd: ROOT })
    .output();
}
console.log(`\n${fates.length} mutants, ${survivors.length} not killed`);
Deno.exit(survivors.length > 0 ? 1 : 0);

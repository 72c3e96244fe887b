/**
 * `lce fixture`: lists, inspects and makes inputs.
 *
 * @module
 */
import { Command } from "commander";
import * as z from "zod";
import { type CheckpointLayout, writeCheckpoint } from "../../fixtures/files/checkpoint_writer.ts";
import { roleOf } from "../../fixtures/head_tensors.ts";
import { weightOf } from "../../fixtures/codebook.ts";
import type { Fixture } from "../../fixtures/fixture.ts";
import { Random } from "../../fixtures/random.ts";
import { HEADS_MODES, type Modes, modesShape } from "../request/modes_shape.ts";
import { checkCodes, checkDistill, checkFusion } from "../request/plan_modes.ts";
import { writeCase } from "../../fixtures/files/case_writer.ts";
import { codebookTensors } from "../../fixtures/files/codebook_file.ts";
import { DEFAULT_FIXTURE, findFixtures } from "../../fixtures/files/open.ts";
import { printable } from "../../fixtures/printable.ts";
import { SafetensorsFile } from "../../fixtures/files/safetensors.ts";
import { generateSynthetic, generateWeight, syntheticBytes } from "../../fixtures/synthetic.ts";
import { headOf, learnerOf, type Problem, resized } from "../../planner/problem.ts";
import { problemSchema } from "../../planner/problem_schema.ts";
import { formatBytes } from "../../planner/units.ts";
import { UsageError } from "../exit.ts";
import { parseNumber } from "../request/flags.ts";
import { checkNewFile, checkNewFolder } from "../files/new_file.ts";
import type { Output } from "../output.ts";
import { table } from "../report/table.ts";
import { checkWith, flagName } from "../request/request.ts";
import { settingFlag, settingFlags, type Settings } from "../request/settings.ts";

/** The command and its three parts. */
export function fixtureCommand(output: Output): Command {
  return new Command("fixture")
    .description("list, inspect and make inputs for lce run")
    .addCommand(list(output))
    .addCommand(inspect(output))
    .addCommand(make(output))
    .addHelpText(
      "after",
      `
Example:
  $ lce fixture list`,
    );
}

/** The flag of those that print. */
interface JsonFlag {
  readonly json?: boolean;
}

function list(output: Output): Command {
  return new Command("list")
    .description("fixtures in a folder; without one, those that come with lce")
    .argument("[folder]")
    .option("--json", "print JSON alone")
    .addHelpText(
      "after",
      `
Examples:
  $ lce fixture list
  $ lce fixture list checkpoints --json`,
    )
    .action(async (folder: string | undefined, { json }: JsonFlag) => {
      const places = folder
        ? [folder]
        : [DEFAULT_FIXTURE.folder, new URL("oracle", DEFAULT_FIXTURE.folder)]
          .map(({ pathname }) => decodeURIComponent(pathname));
      const found = (await Promise.all(places.map(findFixtures))).flat();
      output.print(
        json ? JSON.stringify(found, null, 2) : table(found.map(({ path, kind }) => [kind, path])),
      );
    });
}

function inspect(output: Output): Command {
  return new Command("inspect")
    .description("tensors and metadata of a safetensors file")
    .argument("<file>")
    .option("--json", "print JSON alone")
    .addHelpText(
      "after",
      `
Example:
  $ lce fixture inspect checkpoints/small/model.safetensors`,
    )
    .action(async (path: string, { json }: JsonFlag) => {
      const { header: { tensors, metadata } } = await SafetensorsFile.open(path);
      const rows = [...tensors].map(([name, { dtype, shape, start, end }]) => ({
        name,
        dtype,
        shape,
        bytes: end - start,
      }));
      if (json) return output.print(JSON.stringify({ tensors: rows, metadata }, null, 2));
      output.print(table(
        rows.map(({ name, dtype, shape, bytes }) => [
          printable(name),
          dtype,
          `[${shape.join(", ")}]`,
          formatBytes(bytes),
        ]),
        ["left", "left", "left", "right"],
      ));
      for (const [key, value] of Object.entries(metadata)) {
        output.print(`${printable(key)}: ${printable(value)}`);
      }
    });
}

/** Settings that a synthetic checkpoint may have. */
const SETTINGS = ["tokens", "hidden", "vocab", "dtype", "softcap", "bias"] as const;

/** What makes a checkpoint small where nobody says otherwise. */
const SMALL = {
  tokens: { initial: 96 },
  hidden: { initial: 128 },
  vocab: { initial: 5003 },
  dtype: { initial: "bf16" },
  bias: {},
};

/** What says that other heads are made beside it; lists of a teacher's are not made. */
const MADE_MODES = HEADS_MODES.filter((name) => name !== "teacherList");

/** What of the flags is no problem's: seeds that differ in what they make, and the files' layout. */
const ownShape = {
  seed: z.int().min(0).max(2 ** 32 - 1),
  tensorName: z.string().min(1).optional(),
  shards: z.int().min(1).max(99999).optional(),
  batch: z.int().min(1).optional(),
  codes: z.int().min(1).optional(),
};

/** The flags of `make`: a problem's, and its own. */
interface MakeFlags
  extends
    Settings<typeof SETTINGS[number]>,
    Pick<Modes, typeof MADE_MODES[number]>,
    Omit<CheckpointLayout, "embedding" | "others"> {
  readonly seed: number;
  readonly codes?: number;
  readonly force?: boolean;
}

function make(output: Output): Command {
  const command = new Command("make")
    .description(
      "write a synthetic checkpoint folder, or a file of several heads, the same for the same flags",
    )
    .argument(
      "<folder>",
      "the folder; with --distill or --fusion, a file: it must end in .safetensors",
    );
  return settingFlags(command, [...SETTINGS, ...MADE_MODES], SMALL)
    .option("--seed <number>", "where the random numbers start", parseNumber, DEFAULT_FIXTURE.seed)
    .option(
      "--tensor-name <name>",
      "of the output embedding: of a head, such as lm_head.weight, with another embedding beside it, or of a tied embedding, such as wte.weight (default: model.embed_tokens.weight)",
    )
    .option(
      "--shards <count>",
      "files that the model is in, with an index (default: 1)",
      parseNumber,
    )
    .option(
      "--batch <count>",
      "sequences: hidden states are [batch, sequence, hidden] (default: [tokens, hidden])",
      parseNumber,
    )
    .addOption(settingFlag("codes"))
    .option("--force", "write into a folder that has files in it, over those of the same name")
    .addHelpText(
      "after",
      `
With --codes, many rows of the output embedding are the same, and codebook.safetensors in the
folder has those that differ and which of them each id has.

With --distill, one file has the tensors of a student's head and of its teacher's, as lce run
takes them: student_hidden, student_weight, teacher_hidden, teacher_weight and targets. With --fusion it has those of a large model, of an
expert and of its base: large.hidden, large.weight, tuned.hidden, base.hidden and so on.

Examples:
  $ lce fixture make checkpoints/synthetic
  $ lce fixture make checkpoints/capped --vocab 32000 --hidden 64 --dtype f16 --softcap 30
  $ lce fixture make checkpoints/sharded --shards 3 --tensor-name lm_head.weight --bias
  $ lce fixture make pair.safetensors --distill forward-kl --teacher-hidden 256
  $ lce fixture make fused.safetensors --fusion --expert-hidden 48`,
    )
    .action(async (path: string, given: MakeFlags) => {
      const { seed, force = false, tensorName, shards, batch, codes, ...flags } = given;
      const own = checkWith(z.strictObject(ownShape), { seed, tensorName, shards, batch, codes });
      const isMode = (name: string) => MADE_MODES.some((each) => each === name);
      const picked = (modes: boolean) =>
        Object.fromEntries(Object.entries(flags).filter(([name]) => isMode(name) === modes));
      const modes = checkWith(z.strictObject(modesShape), picked(true));
      const single = checkWith(problemSchema(), picked(false));
      const asked = { ...modes, codes };
      const problem = checkFusion(checkDistill(single, asked), asked);
      if (problem.heads.length > 1) {
        checkWithoutLayout({ tensorName, shards, batch }, problem);
        if (problem.fusion) checkPlain(problem);
        return await makeHeads(path, problem, { seed, force }, output);
      }
      await makeCheckpoint(path, problem, { ...own, force }, output);
    });
}

/** Makes a file of several heads. @throws {UsageError} where there is one, or its name says otherwise. */
async function makeHeads(
  path: string,
  problem: Problem,
  { seed, force }: { readonly seed: number; readonly force: boolean },
  output: Output,
): Promise<void> {
  await checkNewFile("file", path, {
    force,
    ending: /\.safetensors$/i,
    holds: `with ${modeOf(problem)} it holds tensors, so its name must end in .safetensors`,
  });
  checkMemory(problem);
  await writeCase(path, syntheticOf(problem, seed));
  output.print(`Wrote ${path}: run it with "lce run ${path}".`);
}

/** Makes a checkpoint folder. @throws {UsageError} where that cannot be. */
async function makeCheckpoint(
  folder: string,
  problem: Problem,
  { seed, force, tensorName, shards, batch, codes }: z.output<z.ZodObject<typeof ownShape>> & {
    readonly force: boolean;
  },
  output: Output,
): Promise<void> {
  if (/\.safetensors$/i.test(folder)) {
    throw new UsageError(
      `${folder}: a checkpoint is a folder: name it without .safetensors, or make a file of several heads by --distill or --fusion`,
    );
  }
  if (batch !== undefined && problem.tokens % batch !== 0) {
    throw new UsageError(
      `--batch ${batch}: ${problem.tokens} tokens do not divide into ${batch} sequences`,
    );
  }
  checkNewFolder(folder, force);
  checkMemory(problem);
  const role = tensorName === undefined ? "embedding" : roleOf(tensorName);
  const { fixture, others } = codes === undefined
    ? { fixture: syntheticOf(problem, seed), others: {} }
    : overCodes(problem, codes, seed);
  await writeCheckpoint(folder, fixture, {
    tensorName,
    shards,
    batch,
    others,
    // Whoever took it for the head would get other numbers.
    ...(role === "head"
      ? { embedding: generateWeight(headOf(problem), (seed + 1) % 2 ** 32) }
      : {}),
  });
  const named = role === undefined ? ` --weight-tensor ${tensorName}` : "";
  output.print(`Wrote ${folder}: run it with "lce run ${folder}${named}".`);
  if (codes === undefined) return;
  output.print(
    `With its codes, "lce run ${folder}${named} --codebook ${folder}/${CODEBOOK_FILE}" has the same loss.`,
  );
}

/** Returns the flag that has several heads made. */
function modeOf({ fusion }: Problem): string {
  return fusion ? "--fusion" : "--distill";
}

/** Refuses heads that no file of fused ones has. @throws {UsageError} */
function checkPlain(problem: Problem): void {
  const { bias, softcap } = learnerOf(problem);
  const [other] = Object.entries({ bias: bias || undefined, softcap })
    .find(([, value]) => value !== undefined) ?? [];
  if (other === undefined) return;
  throw new UsageError(
    `--fusion and ${flagName(other)} cannot be given together: files of fused heads have none`,
  );
}

/** Refuses what is about the files of a checkpoint. @throws {UsageError} */
function checkWithoutLayout(
  layout: Readonly<Record<string, unknown>>,
  problem: Problem,
): void {
  const [other] = Object.entries(layout).find(([, value]) => value !== undefined) ?? [];
  if (other === undefined) return;
  throw new UsageError(
    `${modeOf(problem)} and ${
      flagName(other)
    } cannot be given together: that is about a checkpoint's files`,
  );
}

/** Makes inputs. @throws {UsageError} where one is longer than an array can be. */
function syntheticOf(problem: Problem, seed: number): Fixture {
  try {
    return generateSynthetic(problem, seed);
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    throw new UsageError(
      `These inputs are too large to make (${error.message}): make them smaller`,
    );
  }
}

/** The file of a codebook in a folder. */
const CODEBOOK_FILE = "codebook.safetensors";

/**
 * Makes inputs of which many ids have the same row of the weight, and their codebook.
 *
 * @throws {UsageError} where so many codes cannot be.
 */
function overCodes(problem: Problem, count: number, seed: number) {
  checkCodes(problem, count);
  const { hidden, vocab, dtype } = headOf(problem);
  const made = syntheticOf(resized(problem, { vocab: count }), seed);
  const random = new Random((seed + 2) % 2 ** 32);
  // Each code has an id, whatever else it has.
  const codes = Int32Array.from(
    { length: vocab },
    (_, id) => id < count ? id : random.below(count),
  );
  const ids = Map.groupBy(codes.keys(), (id) => codes[id]!);
  const targets = made.tensors.targets.map((code) => {
    if (code === problem.ignoreIndex) return code;
    const own = ids.get(code)!;
    return own[random.below(own.length)]!;
  });
  const codebook = { rows: made.tensors.weight, count, codes, dtype, hidden };
  return {
    fixture: {
      ...made,
      problem,
      tensors: { ...made.tensors, targets, weight: weightOf(codebook) },
    },
    others: { [CODEBOOK_FILE]: codebookTensors(codebook) },
  };
}

/** Refuses inputs that this machine's memory does not hold. @throws {UsageError} */
function checkMemory(problem: Problem): void {
  const needed = syntheticBytes(problem);
  const { available } = Deno.systemMemoryInfo();
  if (needed <= available) return;
  const { tokens } = problem;
  const { hidden, vocab, dtype } = learnerOf(problem);
  throw new UsageError(
    `--tokens ${tokens} --hidden ${hidden} --vocab ${vocab}: making hidden states in ${dtype}, and what there is for each id, takes ${
      formatBytes(needed)
    } of memory, of which ${formatBytes(available)} are free: make them smaller`,
  );
}

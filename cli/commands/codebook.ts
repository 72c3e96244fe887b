/**
 * `lce codebook`: codes that stand for the rows of a head's weight.
 *
 * @module
 */
import { Command } from "commander";
import * as z from "zod";
import { decodeElements, encodeElements } from "../../fixtures/elements.ts";
import { codebookTensors } from "../../fixtures/files/codebook_file.ts";
import { type HeadWeight, openHeadWeight, readRows } from "../../fixtures/files/head_weight.ts";
import { writeSafetensors } from "../../fixtures/files/safetensors.ts";
import { Random } from "../../fixtures/random.ts";
import { type Clusters, kMeans } from "../../kernels/codebook/k_means.ts";
import { DEFAULT_FIXTURE } from "../../fixtures/files/open.ts";
import { parseProblem } from "../../planner/problem_schema.ts";
import { checkNewFile } from "../files/new_file.ts";
import type { Output } from "../output.ts";
import { madeJson, madeText } from "../report/codebook.ts";
import { openDevice } from "../request/device.ts";
import { parseNumber, quietFlag } from "../request/flags.ts";
import { checkCodes } from "../request/plan_modes.ts";
import { checkWith } from "../request/request.ts";
import { settingFlag } from "../request/settings.ts";
import { type WebGpuChoice, webgpuFlag } from "../request/webgpu.ts";

/** The command and its part. */
export function codebookCommand(output: Output): Command {
  return new Command("codebook")
    .description("make codebooks: codes that stand for the rows of a head (VQ-Logits)")
    .addCommand(make(output))
    .addHelpText(
      "after",
      `
Example:
  $ lce codebook make path/to/model --codes 4096 --output codebook.safetensors`,
    );
}

/** Times that rows are given to codes, where nobody says how many: as others do. */
const ROUNDS = 25;

const ownShape = {
  codes: z.int().min(1),
  rounds: z.int().min(1).max(10_000),
  seed: z.int().min(0).max(2 ** 32 - 1),
};

/** The flags of `make`. */
interface MakeFlags {
  readonly codes: number;
  readonly output: string;
  readonly rounds: number;
  readonly seed: number;
  readonly weightTensor?: string;
  readonly webgpu?: WebGpuChoice;
  readonly force?: boolean;
  readonly json?: boolean;
  readonly quiet?: boolean;
}

function make(output: Output): Command {
  return new Command("make")
    .description("make a codebook of a checkpoint's output embedding by k-means, on the device")
    .argument("<checkpoint>", "a checkpoint folder, or a safetensors file")
    .addOption(settingFlag("codes").makeOptionMandatory())
    .requiredOption("--output <file>", "the safetensors file to write")
    .option(
      "--rounds <count>",
      "times that rows are given to codes, unless none moves any more",
      parseNumber,
      ROUNDS,
    )
    .option(
      "--seed <number>",
      "decides which rows the codes are at first",
      parseNumber,
      DEFAULT_FIXTURE.seed,
    )
    .option(
      "--weight-tensor <name>",
      "name of the output embedding (default: by the config, and the names in use)",
    )
    .addOption(webgpuFlag())
    .option("--force", "replace the file of --output")
    .option("--json", "print JSON alone")
    .addOption(quietFlag())
    .addHelpText(
      "after",
      `
The file has codebook, [codes, hidden] in the type of the weight, and codes, [vocab] in I32,
the code of each id. The same weight, seed and device give the same file.

Examples:
  $ lce codebook make path/to/model --codes 4096 --output codebook.safetensors
  $ lce run path/to/model --codebook codebook.safetensors`,
    )
    .action(async (path: string, flags: MakeFlags) => {
      const { output: target, weightTensor, webgpu, force = false, json, quiet: _, ...own } = flags;
      const { codes, rounds, seed } = checkWith(z.strictObject(ownShape), own);
      await checkNewFile("--output", target, {
        force,
        ending: /\.safetensors$/i,
        holds: "the file holds tensors, so its name must end in .safetensors",
      });
      const weight = await openHeadWeight(path, weightTensor);
      const { vocab, hidden, dtype } = weight;
      const head = checkCodes(parseProblem({ tokens: 1, vocab, hidden, dtype }), codes);
      const acquired = await openDevice({ webgpu });
      let found: Clusters;
      try {
        found = await kMeans(
          acquired,
          { count: vocab, columns: hidden, read: (first, count) => readRows(weight, first, count) },
          someOf(vocab, codes, new Random(seed)),
          {
            rounds,
            stored: (values) => decodeElements(dtype, encodeElements(dtype, values)),
            onProgress: (round, rows) =>
              output.progress(
                `round ${round} of at most ${rounds}, ${Math.floor(100 * rows / vocab)} %`,
              ),
          },
        );
      } finally {
        acquired.device.destroy();
      }
      await writeCodebook(target, weight, found);
      const made = { path: target, weight: weight.name, head, found };
      output.print(
        json ? JSON.stringify(madeJson(made), null, 2) : madeText(made, { width: output.width }),
      );
    });
}

/** Returns so many different ids of a vocabulary, in the order in which they are drawn (Floyd). */
function someOf(vocab: number, count: number, random: Random): number[] {
  const drawn = new Set<number>();
  for (let last = vocab - count; last < vocab; last++) {
    const id = random.below(last + 1);
    drawn.add(drawn.has(id) ? last : id);
  }
  return [...drawn];
}

async function writeCodebook(
  path: string,
  { name, dtype, hidden }: HeadWeight,
  { codes, map }: Clusters,
): Promise<void> {
  const stored = {
    rows: encodeElements(dtype, codes),
    count: codes.length / hidden,
    codes: map,
    dtype,
    hidden,
  };
  await writeSafetensors(path, codebookTensors(stored), { weight: name });
}

/**
 * `lce run`: runs fixtures on this machine's device and checks them.
 *
 * @module
 */
import { Command, Option } from "commander";
import * as z from "zod";
import { isTensorPath } from "../../fixtures/files/activations.ts";
import { type ReferenceMode, REFERENCES } from "../../fixtures/reference/scope.ts";
import { EXIT, UsageError } from "../exit.ts";
import { checkRunOutput } from "../files/run_output.ts";
import type { Remarks } from "../bench/calibrated.ts";
import type { Output } from "../output.ts";
import { checkStrategy } from "../request/contradictions.ts";
import { checkSplit, type Crew, RANK_TIMEOUT, withCrew } from "../request/crew.ts";
import { calibrateFlag, type CalibrateFlags, remarksOf } from "../request/calibrate.ts";
import { openDevice } from "../request/device.ts";
import { choiceFlags, parallelFlags, parseNumber, quietFlag } from "../request/flags.ts";
import {
  checkChoices,
  checkWith,
  choicesShape,
  parallelismOf,
  parallelShape,
} from "../request/request.ts";
import { checkActivations, checkRounds, checkThorough } from "../request/run_flags.ts";
import { settingFlags, type Settings } from "../request/settings.ts";
import { type WebGpuChoice, webgpuFlag } from "../request/webgpu.ts";
import { runAll } from "../run/run_all.ts";
import { sourcesOf, type Tally } from "../run/sources.ts";

/** Settings of a problem that win over those of a fixture. */
const PROBLEM_SETTINGS = [
  "gradientFilter",
  "statistics",
  "topK",
  "sampleTemperature",
  "subTokens",
  "subTokenScale",
  "sampledTokens",
] as const;

/** The flags of the command. */
interface Flags extends
  Settings<
    | "pass"
    | typeof PROBLEM_SETTINGS[number]
    | keyof typeof choicesShape
    | keyof typeof parallelShape
  >,
  CalibrateFlags {
  readonly mpi?: boolean;
  readonly rankTimeout?: number;
  readonly limits: "adapter" | "default";
  readonly webgpu?: WebGpuChoice;
  readonly checkpoint?: string;
  readonly weightTensor?: string;
  readonly codebook?: string;
  readonly adapter?: string;
  readonly hidden?: string;
  readonly targets?: string;
  readonly mask?: string;
  readonly bytes?: number | string;
  readonly shift?: number;
  readonly sample?: number;
  readonly sampledSeed?: number;
  readonly reference: ReferenceMode;
  readonly thorough?: boolean;
  readonly output?: string;
  readonly round?: number;
  readonly resume?: boolean;
  readonly force?: boolean;
  readonly json?: boolean;
}

/** The command. `exit` takes the exit code of a run that disagrees. */
export function runCommand(output: Output, exit: (code: number) => void): Command {
  const command = new Command("run")
    .description("run fixtures on this machine's device; verify numbers and memory")
    .argument("[fixture...]", "safetensors files, checkpoint folders, or folders of either");
  choiceFlags(command);
  parallelFlags(command);
  return settingFlags(command, ["pass", ...PROBLEM_SETTINGS], {
    sampleTemperature: {
      about: "the temperature at which --sample draws (default: 1)",
    },
    pass: {
      about: "loss alone, or loss and gradients (default: train for fixtures with gradients)",
    },
  })
    .option(
      "--sample <seed>",
      "draw an id of each token from its softmax, the same for the same seed",
      parseNumber,
    )
    .option(
      "--sampled-seed <seed>",
      "what --sampled-tokens are drawn by (default: 0)",
      parseNumber,
    )
    .addOption(
      new Option("--limits <which>", "adapter: all the device has; default: the specification's")
        .choices(["adapter", "default"]).default("adapter"),
    )
    .addOption(webgpuFlag())
    .addOption(calibrateFlag())
    .option("--checkpoint <folder>", "a checkpoint folder, as an argument is one")
    .option(
      "--weight-tensor <name>",
      "name of the output embedding in the file (default: by the config, and the names in use)",
    )
    .option(
      "--codebook <file>",
      "a codebook in the place of the output embedding, as lce codebook make writes one",
    )
    .option(
      "--adapter <path>",
      "a low-rank adapter on the head: PEFT's folder, or a safetensors file of lora_A and lora_B; it alone has gradients",
    )
    .option(
      "--hidden <tensor>",
      "hidden states of a checkpoint, FILE.safetensors:TENSOR or FILE.npy (default: activations.safetensors:hidden_states)",
    )
    .option(
      "--targets <tensor>",
      "their targets, likewise (default: activations.safetensors:targets)",
    )
    .option(
      "--mask <tensor>",
      "an attention mask of the tokens, likewise: 0 where there is padding",
    )
    .option(
      "--bytes <count|tensor>",
      "bytes of text that the targets are, for bits per byte: in all, or a tensor with those of each id of --targets",
      (text) => isTensorPath(text) ? text : parseNumber(text),
    )
    .option(
      "--shift <count>",
      "row t predicts target t + count of its sequence: 1 where targets are the model's inputs (default: 0)",
      parseNumber,
    )
    .addOption(
      new Option(
        "--reference <extent>",
        "how much is compared in float64: full, sampled, or auto: all of it where that takes less than a minute, and 256 MiB",
      ).choices(REFERENCES).default("auto"),
    )
    .option(
      "--thorough",
      "run in every strategy, in several windows and blocks, streamed, and on buffers that hold another step",
    )
    .option(
      "--output <file>",
      "write results per token, as the name says: .safetensors, with gradients in training, .json or .csv",
    )
    .option(
      "--round <tokens>",
      "tokens that are run to their end before others begin, in a forward pass (default: 8192, of 64 MiB of hidden states at most)",
      parseNumber,
    )
    .option("--resume", "go on behind the last round that a run with this --output finished")
    .option(
      "--mpi",
      "this process is one rank of those that Open MPI's mpirun started: each takes its part of the split",
    )
    .option(
      "--rank-timeout <seconds>",
      `seconds that a rank may keep the others waiting, with --mpi (default: ${RANK_TIMEOUT})`,
      parseNumber,
    )
    .option("--force", "replace the file of --output, and what --resume would go on from")
    .addOption(quietFlag())
    .option("--json", "print JSON alone: an array with an entry for each fixture")
    .addHelpText(
      "after",
      `
A checkpoint folder has activations.safetensors beside its weights: hidden_states, [tokens,
hidden] or [batch, sequence, hidden], and targets of the same rows. --hidden and --targets
take them from other files. Row t predicts target t, or t + count with --shift, and -100 is no
target; with --mask, neither is padding, nor does it have one.

Where the device refuses memory that it promised, a fixture is run once more within what it
gave, and that is reported; with --window or --resume it is not, nor where rounds are kept.

A forward pass of many tokens is run in rounds, which are kept beside the file of --output until
it is whole: where the run is broken off, by Ctrl-C or otherwise, --resume goes on and ends with
the same bytes. Gradients are sums over all tokens: they are computed in one round.

A fixture that cannot be read or does not fit is reported, and the others run. The exit
code is 1 where a result disagrees, else that of the first fixture that could not run.

Without a fixture, a small checkpoint that comes with lce is run. With a split, all
ranks run in turns on this device, and exchange what a cluster's would; with --mpi they
are processes, each with a device of its own or a share of one, and the first reports.

Examples:
  $ lce run
  $ lce run fixtures/oracle --json
  $ lce run fixtures/oracle/mean.safetensors --thorough
  $ lce run path/to/model --sample 7 --sample-temperature 0.8 --top-k 5 --output drawn.csv
  $ lce run --checkpoint path/to/model --hidden states.npy --targets batch.safetensors:ids --shift 1
  $ lce run --pass train --sub-tokens 4
  $ lce run path/to/model --adapter path/to/adapter --pass train --output adapter.safetensors
  $ lce run --pass train --sampled-tokens 32 --sampled-seed 7
  $ lce run --tensor-parallel 3 --pass train
  $ mpirun -n 3 lce run --mpi --tensor-parallel 3 --pass train
  $ lce run --pass train --weights streamed --output gradients.safetensors
  $ lce run path/to/model --round 1k --output losses.safetensors --resume
  $ lce run --strategy two-stage fixtures/oracle/bias.safetensors`,
    )
    .action(async (paths: string[], { mpi, rankTimeout, ...given }: Flags) => {
      if (!mpi) {
        if (rankTimeout !== undefined) {
          throw new UsageError("--rank-timeout: is of --mpi: leave it out, or add that");
        }
        return await run(paths, given, output, exit);
      }
      await withCrew(
        { splitOf: (ranks) => checkSplit(parallelismOf(given), ranks), rankTimeout },
        output,
        exit,
        (crew, output) => run(paths, given, output, exit, crew),
      );
    });
}

/** Runs fixtures one after the other, on this process's device. */
async function run(
  paths: readonly string[],
  given: Flags,
  output: Output,
  exit: (code: number) => void,
  crew?: Crew,
): Promise<void> {
  // Ranks are to plan alike, and would measure each other.
  const remarks = crew ? undefined : remarksOf(given, output);
  const prepare = () => prepared(paths, given, remarks, crew !== undefined);
  const { sources, acquired, how } = await (crew?.agreed(prepare) ?? prepare());
  let tally: Tally;
  try {
    tally = await runAll(sources, acquired, how, output, crew);
  } finally {
    acquired.device.destroy();
  }
  if (tally.exitCode !== EXIT.ok) exit(tally.exitCode);
}

/** Checks the flags, finds the fixtures and opens the device. */
async function prepared(
  paths: readonly string[],
  given: Flags,
  remarks: Remarks | undefined,
  ranked: boolean,
) {
  const {
    pass,
    limits,
    webgpu,
    json,
    weightTensor,
    codebook,
    adapter,
    checkpoint,
    hidden,
    targets,
    mask,
    bytes,
    shift,
    sample,
    sampledSeed,
    reference,
    thorough,
    output: path,
    round,
    resume = false,
    force = false,
  } = given;
  const settings = withSample(picked(given, PROBLEM_SETTINGS), sample);
  checkSampled(settings, sampledSeed, ranked);
  const choices = picked(given, keysOf(choicesShape));
  const split = picked(given, keysOf(parallelShape));
  const options = checkChoices(choices);
  const parallelism = parallelismOf(checkWith(z.strictObject(parallelShape), split));
  checkStrategy(options.strategy, pass, { orStudent: true });
  if (thorough) {
    checkThorough({
      ...choices,
      ...split,
      pass,
      gradientFilter: settings.gradientFilter,
      subTokens: settings.subTokens,
      sampledTokens: settings.sampledTokens,
      reference,
      mpi: ranked || undefined,
      adapter,
    });
  }
  if (path !== undefined) await checkRunOutput(path, { force, resume });
  checkRounds({ round, resume }, path, pass);
  const activations = { hidden, targets, mask, bytes, shift };
  const folders = checkpoint === undefined ? paths : [checkpoint, ...paths];
  checkActivations(activations, folders);
  const opening = { weightTensor, ...activations };
  const sources = await sourcesOf(folders, opening, thorough ?? false);
  if (path !== undefined && (sources.length !== 1 || parallelism || thorough)) {
    throw new UsageError(
      `--output ${path}: holds one fixture's results, run once on one device: name one, without ${
        thorough ? "--thorough" : parallelism ? "ranks" : "others"
      }`,
    );
  }
  const how = {
    ...{
      pass,
      settings,
      sample,
      sampledSeed: sampledSeed ?? 0,
      codebook,
      adapter,
      options,
      parallelism,
      reference,
    },
    ...{ thorough: thorough ?? false, path, round, resume, json: json ?? false },
  };
  return { sources, how, acquired: await openDevice({ limits, webgpu, remarks }) };
}

/** @throws {UsageError} where a number is no seed. */
function checkSeed(flag: string, seed: number): void {
  if (Number.isInteger(seed) && seed >= 0 && seed < 2 ** 32) return;
  throw new UsageError(`${flag} ${seed}: must be a whole number from 0 to ${2 ** 32 - 1}`);
}

/** Checks what a sample of tokens is drawn by. @throws {UsageError} where there is none, or ranks have parts of it. */
function checkSampled(
  { sampledTokens }: Pick<Flags, "sampledTokens">,
  seed: number | undefined,
  ranked: boolean,
): void {
  if (seed !== undefined) checkSeed("--sampled-seed", seed);
  if (sampledTokens === undefined && seed !== undefined) {
    throw new UsageError("--sampled-seed: is of --sampled-tokens: leave it out, or add that");
  }
  if (sampledTokens !== undefined && ranked) {
    throw new UsageError(
      "--sampled-tokens and --mpi cannot be given together: a sample is drawn from all tokens, on one device",
    );
  }
}

/** Returns the settings at which ids are drawn, where there is a seed for it. @throws {UsageError} */
function withSample<Some extends Pick<Flags, "sampleTemperature">>(
  settings: Some,
  seed: number | undefined,
): Some {
  const { sampleTemperature } = settings;
  if (seed === undefined) {
    if (sampleTemperature === undefined) return settings;
    throw new UsageError("--sample-temperature: is of --sample SEED: leave it out, or add that");
  }
  checkSeed("--sample", seed);
  return { ...settings, sampleTemperature: sampleTemperature ?? 1 };
}

/** Returns those of some flags that are given. */
function picked<Name extends keyof Flags>(flags: Flags, names: readonly Name[]): Pick<Flags, Name> {
  const found = names.filter((name) => flags[name] !== undefined);
  return Object.fromEntries(found.map((name) => [name, flags[name]])) as Pick<Flags, Name>;
}

function keysOf<Shape extends object>(shape: Shape): (keyof Shape)[] {
  return Object.keys(shape) as (keyof Shape)[];
}

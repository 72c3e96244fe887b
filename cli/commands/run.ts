/**
 * `lce run`: runs fixtures on this machine's device and checks them.
 *
 * @module
 */
import { Command, Option } from "commander";
import process from "node:process";
import * as z from "zod";
import { settingFlag, type Settings } from "../request/settings.ts";
import { type ActivationOptions, isTensorPath } from "../../fixtures/files/activations.ts";
import type { CheckpointOptions } from "../../fixtures/files/checkpoint.ts";
import type { Fixture } from "../../fixtures/fixture.ts";
import { withCodebookOf } from "../../fixtures/files/codebook_file.ts";
import { findFixtures, openDefault, openFixture } from "../../fixtures/files/open.ts";
import { UnsupportedCaseError } from "../../fixtures/files/case.ts";
import { type ReferenceMode, REFERENCES } from "../../fixtures/verify/scope.ts";
import { runThoroughly, thoroughExtras, type Variant } from "../../fixtures/verify/thorough.ts";
import { onceMore } from "../../fixtures/verify/once_more.ts";
import { type Verification, verify } from "../../fixtures/verify/verify.ts";
import { verifyRanks } from "../../fixtures/verify/verify_ranks.ts";
import type { AcquiredDevice } from "../../kernels/run/device.ts";
import { strategyNamed } from "../../planner/strategies/mod.ts";
import type { Parallelism } from "../../planner/parallel.ts";
import type { PlanOptions } from "../../planner/plan.ts";
import { type Problem, problemSchema } from "../../planner/problem.ts";
import type { StrategyName } from "../../planner/schedule/schedule.ts";
import { checkStrategy } from "../request/contradictions.ts";
import { EXIT, explain, UsageError } from "../exit.ts";
import {
  choiceFlags,
  gradientFilterFlag,
  parallelFlags,
  parseNumber,
  quietFlag,
} from "../request/flags.ts";
import { openDevice } from "../request/device.ts";
import { type WebGpuChoice, webgpuFlag } from "../request/webgpu.ts";
import type { Output } from "../output.ts";
import { progressLines } from "../progress.ts";
import { RunJournal } from "../files/run_journal.ts";
import { checkRunOutput, openRunOutput } from "../files/run_output.ts";
import { ranksJson, ranksText } from "../report/ranks.ts";
import { retriedText } from "../report/retried.ts";
import { runJson, runText } from "../report/run.ts";
import type { Layout } from "../report/table.ts";
import { thoroughJson, thoroughText } from "../report/thorough.ts";
import {
  checkChoices,
  checkWith,
  type choicesShape,
  flagName,
  parallelismOf,
  parallelShape,
} from "../request/request.ts";

/** The flags of the command. */
interface Flags extends
  Settings<
    "pass" | "gradientFilter" | keyof typeof choicesShape | keyof typeof parallelShape
  > {
  readonly limits: "adapter" | "default";
  readonly webgpu?: WebGpuChoice;
  readonly checkpoint?: string;
  readonly weightTensor?: string;
  readonly codebook?: string;
  readonly hidden?: string;
  readonly targets?: string;
  readonly mask?: string;
  readonly bytes?: number | string;
  readonly shift?: number;
  readonly reference: ReferenceMode;
  readonly thorough?: boolean;
  readonly output?: string;
  readonly round?: number;
  readonly resume?: boolean;
  readonly force?: boolean;
  readonly quiet?: boolean;
  readonly json?: boolean;
}

/** The command. `exit` takes the exit code of a run that disagrees. */
export function runCommand(output: Output, exit: (code: number) => void): Command {
  const command = new Command("run")
    .description("run fixtures on this machine's device; verify numbers and memory")
    .argument("[fixture...]", "safetensors files, checkpoint folders, or folders of either");
  choiceFlags(command);
  return parallelFlags(command)
    .addOption(settingFlag("pass", {
      about: "loss alone, or loss and gradients (default: train for fixtures with gradients)",
    }))
    .addOption(gradientFilterFlag())
    .addOption(
      new Option("--limits <which>", "adapter: all the device has; default: the specification's")
        .choices(["adapter", "default"]).default("adapter"),
    )
    .addOption(webgpuFlag())
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
ranks run in turns on this device, and exchange what a cluster's would.

Examples:
  $ lce run
  $ lce run fixtures/oracle --json
  $ lce run fixtures/oracle/mean.safetensors --thorough
  $ lce run --checkpoint path/to/model --hidden states.npy --targets batch.safetensors:ids --shift 1
  $ lce run --tensor-parallel 3 --pass train
  $ lce run --pass train --weights streamed --output gradients.safetensors
  $ lce run path/to/model --round 1k --output losses.safetensors --resume
  $ lce run --strategy two-stage fixtures/oracle/bias.safetensors`,
    )
    .action(async (paths: string[], given: Flags) => {
      const {
        pass,
        limits,
        webgpu,
        json,
        gradientFilter,
        weightTensor,
        codebook,
        checkpoint,
        hidden,
        targets,
        mask,
        bytes,
        shift,
        reference,
        thorough,
        output: path,
        round,
        resume = false,
        force = false,
        quiet: _,
        ...rest
      } = given;
      const { tensorParallel, dataParallel, sequenceParallel, ...choices } = rest;
      const split = { tensorParallel, dataParallel, sequenceParallel };
      const options = checkChoices(choices);
      const parallelism = parallelismOf(checkWith(z.strictObject(parallelShape), split));
      checkStrategy(options.strategy, pass);
      if (thorough) checkThorough({ ...choices, ...split, pass, gradientFilter, reference });
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
      const acquired = await openDevice({ limits, webgpu });
      const tally = new Tally();
      const entries: unknown[] = [];
      try {
        for (const [index, { name, open, skippable }] of sources.entries()) {
          const say = (line: string) =>
            output.progress(`${name} (${index + 1} of ${sources.length}): ${line}`);
          try {
            say("reading");
            const opened = await open();
            const fixture = codebook === undefined
              ? opened
              : await withCodebookOf(codebook, opened);
            for (const note of fixture.notes ?? []) output.note(`${fixture.name}: ${note}`);
            const problem = {
              ...fixture.problem,
              ...(thorough ? {} : { pass: pass ?? defaultPass(fixture, options.strategy) }),
              ...(gradientFilter === undefined ? {} : { gradientFilter }),
            };
            const prepared = { ...fixture, problem: checkWith(problemSchema, problem) };
            checkStrategy(options.strategy, prepared.problem.pass);
            checkRounds({ round, resume }, path, prepared.problem.pass);
            const progress = progressLines(say, {
              running: { count: prepared.problem.tokens, of: "tokens" },
            });
            const kept = { path, resume, round, note: output.note };
            const found = thorough
              ? await thoroughly(prepared, acquired, progress)
              : await once(prepared, acquired, {
                ...{ parallelism, options, reference, progress, ...kept },
              });
            tally.ran(found.ok);
            if (json) entries.push(found.json());
            else output.print(found.text({ width: output.width }) + "\n");
          } catch (error) {
            if (error instanceof UnsupportedCaseError && skippable) {
              output.note(`Skipped: ${error.message}`);
              continue;
            }
            const { code, text } = explain(error);
            // A device that failed may fail everything after it; a defect of ours is no fixture's.
            if (code === EXIT.device || code === EXIT.internal || sources.length === 1) throw error;
            tally.failed(code);
            output.note(`lce: ${text}`);
            if (json) entries.push({ fixture: name, ok: false, error: text, exitCode: code });
          }
        }
      } finally {
        acquired.device.destroy();
      }
      if (json) output.print(JSON.stringify(entries, null, 2));
      else if (sources.length > 1) output.print(tally.summary());
      if (tally.exitCode !== EXIT.ok) exit(tally.exitCode);
    });
}

/** What a run found, in JSON and for people; neither is made before it is asked for. */
interface Found {
  readonly ok: boolean;
  json(): object;
  text(layout: Layout): string;
}

/** How a fixture is run once. */
interface Once {
  readonly parallelism: Parallelism | undefined;
  readonly options: PlanOptions;
  readonly reference: ReferenceMode;
  readonly path: string | undefined;
  readonly round: number | undefined;
  readonly resume: boolean;
  readonly progress: (what: string, done: number, total: number) => void;
  readonly note: (text: string) => void;
  /** Told how many rounds there are to go on from, where a run breaks off. */
  readonly onKept?: (rounds: number) => void;
}

/** Runs a fixture once, and where the device has no memory for that, once more in less. */
async function once(fixture: Fixture, acquired: AcquiredDevice, how: Once): Promise<Found> {
  // What a round resulted in is of its plan: another would have to begin anew.
  let keptRounds = 0;
  const { value: found, retried } = await onceMore(
    how.options,
    (options) =>
      attempt(fixture, acquired, { ...how, options, onKept: (rounds) => keptRounds = rounds }),
    () => keptRounds === 0 && !how.resume,
  );
  if (!retried) return found;
  return {
    ok: found.ok,
    json: () => ({ ...found.json(), retried }),
    text: (layout) => `${found.text(layout)}\n${retriedText(retried, layout)}`,
  };
}

/** Runs a fixture on one device or on several simulated ranks; its file is whole or not there. */
async function attempt(
  fixture: Fixture,
  acquired: AcquiredDevice,
  { parallelism, options, reference, path, round, resume, progress, note, onKept }: Once,
): Promise<Found> {
  const how = { reference, onProgress: progress };
  if (parallelism) {
    const found = await verifyRanks(fixture, acquired, parallelism, options, how);
    return {
      ok: found.ok,
      json: () => ranksJson(found),
      text: (layout) => ranksText(found, layout),
    };
  }
  const file = path === undefined ? undefined : await openRunOutput(path, fixture);
  const kept = path === undefined ? undefined : new RunJournal(path, fixture, resume);
  let found: Verification;
  try {
    found = await verify(fixture, acquired, options, {
      ...how,
      round,
      stores: file?.stores ?? {},
      ...(kept ? { journal: (plan, rounds) => kept.open(plan, rounds) } : {}),
    });
    await file?.finish(found);
    await kept?.remove();
  } catch (error) {
    await file?.abort();
    onKept?.(kept?.finished ?? 0);
    const remark = kept?.leave();
    if (remark !== undefined) note(remark);
    throw error;
  }
  const resident = residentPeakBytes();
  return {
    ok: found.ok,
    json: () => runJson(found, resident),
    text: (layout) => runText(found, resident, layout),
  };
}

/** Most memory that the process has had at once, device of software included, as the system counts it. */
function residentPeakBytes(): number {
  return 1024 * process.resourceUsage().maxRSS;
}

/** Runs a fixture in every way. */
async function thoroughly(
  fixture: Fixture,
  acquired: AcquiredDevice,
  progress: (what: string) => void,
): Promise<Found> {
  const variants: Variant[] = [];
  for await (const variant of runThoroughly(fixture, acquired, progress)) variants.push(variant);
  const ok = variants.length > 0 && variants.every(({ ok }) => ok);
  return {
    ok,
    json: () => thoroughJson(fixture, variants, ok),
    text: () => thoroughText(fixture, variants, ok),
  };
}

/** A fixture that is opened when its turn comes. */
interface Source {
  readonly name: string;
  readonly open: () => Promise<Fixture>;
  /** Whether it was found in a folder, so that a kind which lce cannot run is left out. */
  readonly skippable: boolean;
}

/** What the paths stand for; the default fixture where there are none. */
async function sourcesOf(
  paths: readonly string[],
  options: CheckpointOptions,
  thorough: boolean,
): Promise<Source[]> {
  const extras = thorough
    ? thoroughExtras().map((fixture) => ({
      name: fixture.name,
      open: () => Promise.resolve(fixture),
      skippable: false,
    }))
    : [];
  if (paths.length === 0) {
    return [{ name: "tiny-lm", open: openDefault, skippable: false }, ...extras];
  }
  const sources: Source[] = [];
  for (const path of paths) {
    for (const found of await findFixtures(path)) {
      sources.push({
        name: found.path,
        open: () => openFixture(found, options),
        skippable: found.path !== path,
      });
    }
  }
  return [...sources, ...extras];
}

/** What came of all fixtures. */
class Tally {
  #agreed = 0;
  #disagreed = 0;
  readonly #failures: number[] = [];

  ran(ok: boolean): void {
    if (ok) this.#agreed++;
    else this.#disagreed++;
  }

  failed(code: number): void {
    this.#failures.push(code);
  }

  get exitCode(): number {
    return this.#disagreed > 0 ? EXIT.verification : this.#failures[0] ?? EXIT.ok;
  }

  summary(): string {
    const parts = [
      `${this.#agreed} agree`,
      ...(this.#disagreed > 0 ? [`${this.#disagreed} FAILED`] : []),
      ...(this.#failures.length > 0 ? [`${this.#failures.length} could not run`] : []),
    ];
    return this.exitCode === EXIT.ok
      ? `All ${this.#agreed} fixtures agree.`
      : `${parts.join(", ")}.`;
  }
}

/** @throws {UsageError} where rounds are asked for, or are to be gone on with, and there are none. */
function checkRounds(
  { round, resume }: { readonly round: number | undefined; readonly resume: boolean },
  path: string | undefined,
  pass: Problem["pass"] | undefined,
): void {
  if (round !== undefined && !(Number.isInteger(round) && round > 0)) {
    throw new UsageError(`--round ${round}: must be a whole number of tokens, 1 or more`);
  }
  if (resume && path === undefined) {
    throw new UsageError("--resume: goes on with a run that has an --output: name its file");
  }
  const flag = resume ? "--resume" : round === undefined ? undefined : "--round";
  if (flag === undefined || pass !== "train") return;
  throw new UsageError(
    `${flag}: gradients are sums over all tokens, and are computed in one go: leave it out, or ask for --pass forward`,
  );
}

/** @throws {UsageError} where a flag names no tensor, the shift is none, or there is no checkpoint for them. */
function checkActivations(
  { shift, bytes, ...tensors }: ActivationOptions,
  folders: readonly string[],
): void {
  for (const [name, path] of Object.entries(tensors)) {
    if (path === undefined || isTensorPath(path)) continue;
    throw new UsageError(
      `--${name} ${path}: names no tensor: FILE.safetensors:TENSOR or FILE.npy is needed`,
    );
  }
  if (shift !== undefined && !(Number.isInteger(shift) && shift >= 0)) {
    throw new UsageError(`--shift ${shift}: must be a whole number, 0 or more`);
  }
  if (typeof bytes === "number" && !(Number.isInteger(bytes) && bytes > 0)) {
    throw new UsageError(`--bytes ${bytes}: must be a whole number, 1 or more, or name a tensor`);
  }
  const given = Object.entries({ ...tensors, bytes, shift }).find(([, value]) =>
    value !== undefined
  );
  if (given && folders.length === 0) {
    throw new UsageError(`--${given[0]}: is of a checkpoint: name its folder`);
  }
}

/** @throws {UsageError} where a flag decides what a thorough run tries in turn. */
function checkThorough(given: Readonly<Record<string, unknown>>): void {
  const decided = Object.entries(given)
    .filter(([name, value]) => value !== undefined && !(name === "reference" && value === "auto"));
  if (decided.length === 0) return;
  const [name] = decided[0]!;
  throw new UsageError(
    `--thorough tries every strategy, pass and size in turn, and compares all of it: leave ${
      flagName(name)
    } out`,
  );
}

/** Training where the fixture has gradients to compare with, and the strategy can train. */
function defaultPass(
  { expected }: Fixture,
  strategy: StrategyName | undefined,
): Problem["pass"] {
  if (strategy && !strategyNamed(strategy).passes.includes("train")) return "forward";
  return expected?.gradHidden || expected?.gradWeight ? "train" : "forward";
}

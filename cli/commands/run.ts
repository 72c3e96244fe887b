/**
 * `lce run`: runs fixtures on this machine's device and checks them.
 *
 * @module
 */
import { Command, Option } from "@commander-js/extra-typings";
import * as z from "zod";
import type { CheckpointOptions } from "../../fixtures/checkpoint.ts";
import type { Fixture } from "../../fixtures/fixture.ts";
import { findFixtures, openDefault, openFixture } from "../../fixtures/open.ts";
import { UnsupportedCaseError } from "../../fixtures/oracle.ts";
import { PASSES, type Problem, problemSchema } from "../../planner/problem.ts";
import type { StrategyName } from "../../planner/schedule.ts";
import { checkStrategy } from "../contradictions.ts";
import { EXIT } from "../exit.ts";
import { choiceFlags, gradientFilterFlag, parallelFlags } from "../flags.ts";
import { openDevice } from "../gpu.ts";
import { type Output, rendered } from "../output.ts";
import { ranksJson, ranksText } from "../render/ranks.ts";
import { runJson, runText } from "../render/run.ts";
import { checkChoices, checkWith, parallelismOf, parallelShape } from "../request.ts";
import { verify } from "../verify.ts";
import { verifyRanks } from "../verify_ranks.ts";

/** The command. `exit` takes the exit code of a run that disagrees. */
export function runCommand(output: Output, exit: (code: number) => void): Command {
  const command = new Command("run")
    .description("run fixtures on this machine's device; verify numbers and memory")
    .argument("[fixture...]", "safetensors files, checkpoint folders, or folders of either");
  choiceFlags(command as unknown as Command);
  return parallelFlags(command)
    .addOption(
      new Option(
        "--pass <pass>",
        "loss alone, or loss and gradients (default: train for fixtures with gradients)",
      ).choices(PASSES),
    )
    .addOption(gradientFilterFlag())
    .addOption(
      new Option("--limits <which>", "adapter: all the device has; default: the specification's")
        .choices(["adapter", "default"] as const).default("adapter" as const),
    )
    .option(
      "--weight-tensor <name>",
      "name of the output embedding in the file (default: by the config, and the names in use)",
    )
    .option("--json", "print JSON alone: an array with an entry for each fixture")
    .addHelpText(
      "after",
      `
A checkpoint folder has activations.safetensors beside its weights: hidden_states, [tokens,
hidden] or [batch, sequence, hidden], and targets of the same rows. Nothing is shifted: row t
predicts target t, and -100 is no target.

Without a fixture, a small checkpoint that comes with lce is run. With a split, all
ranks run in turns on this device, and exchange what a cluster's would.

Examples:
  $ lce run
  $ lce run fixtures/oracle --json
  $ lce run --tensor-parallel 3 --pass train
  $ lce run --strategy two-stage fixtures/oracle/bias.safetensors`,
    )
    .action(async (paths, { pass, limits, json, gradientFilter, weightTensor, ...rest }) => {
      const { tensorParallel, dataParallel, sequenceParallel, ...choices } = rest;
      const split = { tensorParallel, dataParallel, sequenceParallel };
      const options = checkChoices(choices);
      const parallelism = parallelismOf(checkWith(z.strictObject(parallelShape), split));
      checkStrategy(options.strategy, pass);
      const fixtures = await openAll(paths, output, { weightTensor });
      const acquired = await openDevice({ limits });
      const entries: unknown[] = [];
      let ok = true;
      try {
        for (const [index, fixture] of fixtures.entries()) {
          const problem = {
            ...fixture.problem,
            pass: pass ?? defaultPass(fixture, options.strategy),
            ...(gradientFilter === undefined ? {} : { gradientFilter }),
          };
          const prepared = { ...fixture, problem: checkWith(problemSchema, problem) };
          const progress = (what: string, done: number, total: number) =>
            output.progress(
              `${fixture.name} (${index + 1} of ${fixtures.length}): ${what}, ${
                Math.floor((100 * done) / total)
              } %`,
            );
          const found = parallelism
            ? rendered(
              await verifyRanks(prepared, acquired, parallelism, options, progress),
              ranksJson,
              ranksText,
            )
            : rendered(await verify(prepared, acquired, options, progress), runJson, runText);
          ok &&= found.of.ok;
          if (json) entries.push(found.json());
          else output.print(found.text() + "\n");
        }
      } finally {
        acquired.device.destroy();
      }
      if (json) output.print(JSON.stringify(entries, null, 2));
      else if (fixtures.length > 1) {
        output.print(ok ? `All ${fixtures.length} fixtures agree.` : "Some fixtures FAILED.");
      }
      if (!ok) exit(EXIT.verification);
    }) as unknown as Command;
}

/** Opens what the paths stand for; cases that lce cannot run are left out of folders, and named. */
async function openAll(
  paths: readonly string[],
  output: Output,
  options: CheckpointOptions,
): Promise<Fixture[]> {
  if (paths.length === 0) return [await openDefault()];
  const fixtures: Fixture[] = [];
  for (const path of paths) {
    for (const found of await findFixtures(path)) {
      try {
        const fixture = await openFixture(found, options);
        for (const note of fixture.notes ?? []) output.note(`${fixture.name}: ${note}`);
        fixtures.push(fixture);
      } catch (error) {
        if (!(error instanceof UnsupportedCaseError) || found.path === path) throw error;
        output.note(`Skipped: ${error.message}`);
      }
    }
  }
  return fixtures;
}

/** Training where the fixture has gradients to compare with, and the strategy can train. */
function defaultPass(
  { expected }: Fixture,
  strategy: StrategyName | undefined,
): Problem["pass"] {
  if (strategy === "fused") return "forward";
  return expected?.gradHidden || expected?.gradWeight ? "train" : "forward";
}

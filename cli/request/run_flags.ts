/**
 * What the flags of `lce run` may say together, and the pass where they do not say.
 *
 * @module
 */
import { type ActivationOptions, isTensorPath } from "../../fixtures/files/activations.ts";
import type { Fixture } from "../../fixtures/fixture.ts";
import type { Problem } from "../../planner/problem.ts";
import type { StrategyName } from "../../planner/schedule/schedule.ts";
import { strategyNamed } from "../../planner/strategies/mod.ts";
import { UsageError } from "../exit.ts";
import { flagName } from "./request.ts";

/**
 * Checks the flags of runs in rounds.
 *
 * @throws {UsageError} where rounds are asked for, or are to be gone on with, and there are none.
 */
export function checkRounds(
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

/**
 * Checks the flags that name a checkpoint's tensors.
 *
 * @throws {UsageError} where one names no tensor, the shift is none, or there is no checkpoint.
 */
export function checkActivations(
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

/**
 * Checks what is given beside `--thorough`.
 *
 * @throws {UsageError} where a flag decides what a thorough run tries in turn.
 */
export function checkThorough(given: Readonly<Record<string, unknown>>): void {
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

/**
 * Returns the pass of a fixture where nobody says: training where it has gradients to compare with
 * and the strategy can train.
 */
export function defaultPass(
  { expected }: Fixture,
  strategy: StrategyName | undefined,
): Problem["pass"] {
  if (strategy && !strategyNamed(strategy).passes.includes("train")) return "forward";
  return expected?.gradHidden || expected?.gradWeight ? "train" : "forward";
}

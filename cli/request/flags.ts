/**
 * Groups of flags that commands share, and what they ask for.
 *
 * @module
 */
import { type Command, Option } from "commander";
import { headSettings } from "../../planner/models/head.ts";
import { problemShape } from "../../planner/problem_schema.ts";
import { parseNumber as readNumber } from "../../planner/units.ts";
import { calibrateFlag } from "./calibrate.ts";
import { type ConfigFiles, readConfigs, type RequestedModel, requestedModel } from "./model.ts";
import { checkRequest, choicesShape, parallelShape, storedShape } from "./request.ts";
import { readArgument, type Setting, settingFlags } from "./settings.ts";
import { webgpuFlag } from "./webgpu.ts";

/** Reads a number from an argument, as {@linkcode readNumber} does. */
export function parseNumber(text: string): number {
  return readArgument(readNumber, text);
}

/** Returns the flag that has a command say nothing of how far it is. */
export function quietFlag(): Option {
  return new Option("--quiet", "say nothing of how far it is, not even on a terminal");
}

/** Adds every flag of a command that plans; {@linkcode requestOf} reads them. */
export function planningFlags(command: Command): Command {
  const shapes = { ...problemShape(), ...choicesShape, ...storedShape };
  const settings = Object.keys(shapes) as Setting[];
  return settingFlags(command, [...settings, "model", "device"])
    .option(
      "--config <file>",
      "plan file in YAML or JSON, or a model's config.json; flags win over it; give both for both",
      (path: string, before: string[] | undefined) => [...(before ?? []), path],
    )
    .addOption(webgpuFlag())
    .addOption(calibrateFlag());
}

/** A request with the model that it names or describes, if any. */
export type PlanRequest = ReturnType<typeof checkRequest> & {
  readonly model?: RequestedModel | undefined;
};

/**
 * Checks the flags of a command that plans, with what they name: flags win over a
 * plan file, and a plan file wins over a model.
 */
export async function requestOf(
  { config, ...flags }: Record<string, unknown>,
  files?: ConfigFiles,
): Promise<PlanRequest> {
  const named = files ?? await readConfigs(config as string[] | undefined);
  const { path, described, settings } = named;
  const model = await requestedModel(named, flags);
  const checked = checkRequest(flags, {
    path: path ?? described?.path,
    settings,
    model: model ? headSettings(model) : {},
  });
  return { ...checked, model };
}

/** Adds the flags that split a job over devices. */
export function parallelFlags(command: Command): Command {
  return settingFlags(command, Object.keys(parallelShape) as (keyof typeof parallelShape)[]);
}

/** Adds the flags that take choices out of the planner's hands. */
export function choiceFlags(command: Command): Command {
  return settingFlags(command, Object.keys(choicesShape) as (keyof typeof choicesShape)[]);
}

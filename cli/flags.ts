/**
 * Flags of the commands that plan, one for each setting of a plan file.
 *
 * @module
 */
import { type Command, InvalidArgumentError, Option } from "@commander-js/extra-typings";
import { DTYPES } from "../planner/dtype.ts";
import { headSettings } from "../planner/models/head.ts";
import { EXTRA_STATISTICS, GRADIENTS, OBJECTIVES, PASSES, REDUCTIONS } from "../planner/problem.ts";
import { STRATEGIES } from "../planner/schedule.ts";
import { WEIGHT_PLACEMENTS } from "../planner/question.ts";
import { DEVICE_FILE } from "./device_file.ts";
import { besidePath, type RequestedModel, requestedModel } from "./model.ts";
import { checkRequest } from "./request.ts";

/** Reads a number strictly: no empty text, no trailing letters, no hexadecimal. */
export function parseNumber(text: string): number {
  if (!/^-?\d+(\.\d+)?(e[+-]?\d+)?$/i.test(text)) {
    throw new InvalidArgumentError("It must be a number.");
  }
  return Number(text);
}

function parseList(text: string): string[] {
  return text.split(",").map((part) => part.trim()).filter((part) => part !== "");
}

/** Adds every flag of a command that plans; {@linkcode requestOf} reads them. */
export function planningFlags<Args extends unknown[]>(command: Command<Args>) {
  return (choiceFlags(problemFlags(command as unknown as Command)) as unknown as Command<Args>)
    .option(
      "--model <name|file>",
      "a published model by name (lce model lists them), or the file or folder of its config.json",
    )
    .option(
      "--device <name|file>",
      "a device by name (lce device --list), auto (this machine's), or a profile's file",
    )
    .option(
      "--config <file>",
      "plan file in YAML or JSON, or a model's config.json; flags win over it; give both for both",
      (path: string, before: string[] | undefined) => [...(before ?? []), path],
    );
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
  { config = [], ...flags }: Record<string, unknown>,
): Promise<PlanRequest> {
  const { model, path, described, settings } = await requestedModel(config as string[], flags);
  const checked = checkRequest(flags, {
    path: path ?? described,
    settings: withDevicePath(settings, path),
    model: model ? headSettings(model) : {},
  });
  return { ...checked, model };
}

/** A device's file is looked for beside the plan file that names it. */
function withDevicePath(
  settings: Record<string, unknown>,
  path: string | undefined,
): Record<string, unknown> {
  const { device } = settings;
  if (typeof device !== "string" || !DEVICE_FILE.test(device)) return settings;
  return { ...settings, device: besidePath(device, path) };
}

/** Adds the flags that describe a problem. */
function problemFlags(command: Command): Command {
  return command
    .option("--tokens <count>", "rows of the hidden states (default: 8192)", parseNumber)
    .option("--hidden <count>", "inner dimension of hidden states and weight", parseNumber)
    .option("--vocab <count>", "rows of the weight, padding included", parseNumber)
    .addOption(new Option("--dtype <type>", "storage type (default: f32)").choices(DTYPES))
    .addOption(
      new Option("--pass <pass>", "loss alone, or loss and gradients (default: forward)")
        .choices(PASSES),
    )
    .addOption(new Option("--objective <name>", "what is differentiated").choices(OBJECTIVES))
    .addOption(new Option("--reduction <name>", "of per-token losses").choices(REDUCTIONS))
    .option("--ignore-index <id>", "target of tokens to skip (default: -100)", parseNumber)
    .option("--bias", "add a bias per vocabulary entry")
    .option("--class-weight", "weigh each target's loss")
    .option("--label-smoothing <share>", "between 0 and 1", parseNumber)
    .option("--z-loss <factor>", "adds factor * lse^2 per token", parseNumber)
    .option("--logit-scale <factor>", "multiplies the logits", parseNumber)
    .option("--softcap <cap>", "logits become cap * tanh(z / cap)", parseNumber)
    .option(
      "--statistics <list>",
      `extra results per token: ${EXTRA_STATISTICS.join(",")}`,
      parseList,
    )
    .addOption(gradientFilterFlag())
    .option(
      "--gradients <list>",
      `gradients wanted in training: ${GRADIENTS.join(",")}`,
      parseList,
    ) as unknown as Command;
}

/** The flag of gradient filtering, of planning and running alike. */
export function gradientFilterFlag() {
  return new Option(
    "--gradient-filter <threshold>",
    "skip tiles whose every |softmax - onehot| is below; auto follows the dtype",
  ).argParser((text): number | "auto" => text === "auto" ? text : parseNumber(text));
}

/** Adds the flags that split a job over devices. */
export function parallelFlags<Args extends unknown[], Options extends Record<string, unknown>>(
  command: Command<Args, Options>,
) {
  return command
    .option("--tensor-parallel <ranks>", "split the vocabulary over ranks", parseNumber)
    .option("--data-parallel <replicas>", "split the tokens over replicas of them", parseNumber)
    .option("--sequence-parallel", "split hidden states by tokens as well");
}

/** Adds the flags that take choices out of the planner's hands. */
export function choiceFlags(command: Command): Command {
  return command
    .addOption(new Option("--strategy <name>", "way to do the job").choices(STRATEGIES))
    .option("--window <ids>", "vocabulary ids handled in one step", parseNumber)
    .option("--block <tokens>", "tokens handled in one step", parseNumber)
    .option("--budget <size>", "most GPU memory, such as 2GiB")
    .addOption(
      new Option(
        "--weights <place>",
        "keep the weight on the device, stream it from the host, or whichever is better",
      )
        .choices(WEIGHT_PLACEMENTS),
    ) as unknown as Command;
}

/**
 * Flags of the commands that plan, one for each setting of a plan file.
 *
 * @module
 */
import { type Command, InvalidArgumentError, Option } from "@commander-js/extra-typings";
import { DTYPES } from "../planner/dtype.ts";
import { EXTRA_STATISTICS, GRADIENTS, OBJECTIVES, PASSES, REDUCTIONS } from "../planner/problem.ts";
import { STRATEGIES } from "../planner/schedule.ts";
import { checkRequest, readPlanFile } from "./request.ts";

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
    .option("--device <name>", "default (the specification's limits) or auto (this machine's)")
    .option("--config <file>", "plan file in YAML or JSON; flags win over it");
}

/** Checks the flags of a command that plans, with the plan file that they name. */
export async function requestOf(
  { config, ...flags }: Record<string, unknown>,
): Promise<ReturnType<typeof checkRequest>> {
  const path = config as string | undefined;
  const file = path === undefined ? undefined : { path, settings: await readPlanFile(path) };
  return checkRequest(flags, file);
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

/** Adds the flags that take choices out of the planner's hands. */
export function choiceFlags(command: Command): Command {
  return command
    .addOption(new Option("--strategy <name>", "way to do the job").choices(STRATEGIES))
    .option("--window <ids>", "vocabulary ids handled in one step", parseNumber)
    .option("--block <tokens>", "tokens handled in one step", parseNumber)
    .option("--budget <size>", "most GPU memory, such as 2GiB") as unknown as Command;
}

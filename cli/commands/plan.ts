/**
 * `lce plan`: what a problem needs on a device, before anything is allocated.
 *
 * @module
 */
import { Command } from "@commander-js/extra-typings";
import { makePlan } from "../../planner/plan.ts";
import { planningFlags, requestOf } from "../flags.ts";
import { deviceOf } from "../gpu.ts";
import { modelJson, modelLine } from "../model.ts";
import type { Output } from "../output.ts";
import { planJson, planText } from "../render/plan.ts";

/** The command. */
export function planCommand(output: Output): Command {
  const command = new Command("plan")
    .description("plan a linear cross-entropy: strategy, sizes, memory and cost, to the byte");
  return planningFlags(command)
    .option("--json", "print JSON alone")
    .addHelpText(
      "after",
      `
Examples:
  $ lce plan --vocab 256000 --hidden 4096
  $ lce plan --vocab 128256 --hidden 4096 --tokens 4096 --pass train --dtype bf16
  $ lce plan --model gemma-2-2b --device h100-deno --pass train
  $ lce plan --config plan.yaml --budget 8GiB --json`,
    )
    .action(async ({ json, ...flags }) => {
      const { problem, request, model } = await requestOf(flags);
      const plan = makePlan(problem, await deviceOf(request), request);
      if (model && !json) output.print(modelLine(model, problem));
      const named = model ? { model: modelJson(model) } : {};
      output.print(
        json ? JSON.stringify({ ...named, ...planJson(plan) }, null, 2) : planText(plan),
      );
    }) as unknown as Command;
}

/**
 * `lce plan`: what a problem needs on a device, before anything is allocated.
 *
 * @module
 */
import { Command } from "@commander-js/extra-typings";
import { makePlan } from "../../planner/plan.ts";
import { planParallel } from "../../planner/parallel.ts";
import { parallelFlags, planningFlags, requestOf } from "../flags.ts";
import { deviceOf } from "../gpu.ts";
import { modelJson, modelLine } from "../model.ts";
import { type Output, rendered } from "../output.ts";
import { parallelPlanJson, parallelPlanText } from "../render/parallel.ts";
import { planJson, planText } from "../render/plan.ts";
import { parallelismOf } from "../request.ts";

/** The command. */
export function planCommand(output: Output): Command {
  const command = new Command("plan")
    .description("plan a linear cross-entropy: strategy, sizes, memory and cost, to the byte");
  return parallelFlags(planningFlags(command))
    .option("--json", "print JSON alone")
    .addHelpText(
      "after",
      `
Examples:
  $ lce plan --vocab 256000 --hidden 4096
  $ lce plan --vocab 128256 --hidden 4096 --tokens 4096 --pass train --dtype bf16
  $ lce plan --model gemma-2-2b --device h100-deno --pass train
  $ lce plan --vocab 256000 --hidden 4096 --pass train --tensor-parallel 8 --sequence-parallel
  $ lce plan --config plan.yaml --budget 8GiB --json`,
    )
    .action(async ({ json, ...flags }) => {
      const { problem, request, model } = await requestOf(flags);
      const device = await deviceOf(request);
      if (model && !json) output.print(modelLine(model, problem));
      const named = model ? { model: modelJson(model) } : {};
      const parallelism = parallelismOf(request);
      const plan = parallelism
        ? rendered(
          planParallel(problem, device, parallelism, request),
          parallelPlanJson,
          parallelPlanText,
        )
        : rendered(makePlan(problem, device, request), planJson, planText);
      output.print(json ? JSON.stringify({ ...named, ...plan.json() }, null, 2) : plan.text());
    }) as unknown as Command;
}

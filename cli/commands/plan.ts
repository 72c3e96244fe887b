/**
 * `lce plan`: what a problem needs on a device, before anything is allocated.
 *
 * @module
 */
import { Command } from "@commander-js/extra-typings";
import { type DeviceProfile, SPECIFICATION_DEFAULTS } from "../../planner/device.ts";
import { makePlan } from "../../planner/plan.ts";
import { choiceFlags, problemFlags } from "../flags.ts";
import { openDevice } from "../gpu.ts";
import type { Output } from "../output.ts";
import { planJson, planText } from "../render/plan.ts";
import { checkRequest, readPlanFile, type Request } from "../request.ts";

/** The command. */
export function planCommand(output: Output): Command {
  const command = new Command("plan")
    .description("plan a linear cross-entropy: strategy, sizes, memory and cost, to the byte");
  choiceFlags(problemFlags(command as unknown as Command));
  return command
    .option("--device <name>", "default (the specification's limits) or auto (this machine's)")
    .option("--config <file>", "plan file in YAML or JSON; flags win over it")
    .option("--json", "print JSON alone")
    .addHelpText(
      "after",
      `
Examples:
  $ lce plan --vocab 256000 --hidden 4096
  $ lce plan --vocab 128256 --hidden 4096 --tokens 4096 --pass train --dtype bf16
  $ lce plan --config plan.yaml --budget 8GiB --json`,
    )
    .action(async ({ config, json, ...flags }) => {
      const file = config === undefined
        ? undefined
        : { path: config, settings: await readPlanFile(config) };
      const { problem, request } = checkRequest(flags, file);
      const plan = makePlan(problem, await deviceOf(request), request);
      output.print(json ? JSON.stringify(planJson(plan), null, 2) : planText(plan));
    }) as unknown as Command;
}

async function deviceOf({ device }: Request): Promise<DeviceProfile> {
  if (typeof device === "object") return device;
  if (device === "default") return SPECIFICATION_DEFAULTS;
  const acquired = await openDevice();
  acquired.device.destroy();
  return acquired.profile;
}

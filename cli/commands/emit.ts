/**
 * `lce emit`: a plan's kernels as WGSL files, for other runtimes.
 *
 * @module
 */
import { Command } from "@commander-js/extra-typings";
import { InputError } from "../../fixtures/errors.ts";
import { writeWhole } from "../../fixtures/safetensors.ts";
import { emitSchedule } from "../../kernels/manifest.ts";
import { makePlan } from "../../planner/plan.ts";
import hostExample from "../emit/host.js" with { type: "text" };
import { UsageError } from "../exit.ts";
import { planningFlags, requestOf } from "../flags.ts";
import type { Output } from "../output.ts";
import { parallelismOf } from "../request.ts";
import { deviceOf } from "../gpu.ts";

/** The command. */
export function emitCommand(output: Output): Command {
  const command = new Command("emit")
    .description("write a plan's kernels as WGSL, with a manifest and an example of a host")
    .argument("<folder>");
  return planningFlags(command)
    .addHelpText(
      "after",
      `
Example:
  $ lce emit out --vocab 50257 --hidden 768 --tokens 1024 --pass train`,
    )
    .action(async (folder, flags) => {
      const { problem, request } = await requestOf(flags);
      if (parallelismOf(request)) {
        throw new UsageError(
          "lce emit writes what one device runs: leave out tensorParallel, dataParallel and sequenceParallel",
        );
      }
      const plan = makePlan(problem, await deviceOf(request), { ...request, hostIo: false });
      const { manifest, kernels } = emitSchedule(plan.schedule);
      const files = new Map([
        ...kernels,
        ["manifest.json", JSON.stringify(manifest, null, 2) + "\n"],
        ["host.js", hostExample],
      ]);
      try {
        await Deno.mkdir(folder, { recursive: true });
      } catch (error) {
        throw new InputError(`Cannot make the folder ${folder}: ${(error as Error).message}`);
      }
      for (const [name, text] of files) {
        await writeWhole(`${folder}/${name}`, new TextEncoder().encode(text));
      }
      output.print(`Wrote ${[...files.keys()].join(", ")} to ${folder}.`);
    }) as unknown as Command;
}

/**
 * `lce plan`: what a problem needs on a device, before anything is allocated.
 *
 * @module
 */
import { Command, Option } from "@commander-js/extra-typings";
import { makePlan } from "../../planner/plan.ts";
import { planningFlags, requestOf } from "../flags.ts";
import { deviceOf } from "../gpu.ts";
import { modelJson, modelLine } from "../model.ts";
import type { Output } from "../output.ts";
import { timeline as drawTimeline } from "../picture/timeline.ts";
import { FORMATS } from "../render/formats.ts";
import { planJson, planText } from "../render/plan.ts";
import { checkPictures, runSweep, savePicture } from "../sweep.ts";

/** The command. */
export function planCommand(output: Output): Command {
  const command = new Command("plan")
    .description("plan a linear cross-entropy: strategy, sizes, memory and cost, to the byte");
  return planningFlags(command)
    .option(
      "--sweep <NAME=FROM..TO>",
      "plan a range, by doubling; NAME=FROM..TO:COUNT and NAME=a,b,c too; repeat for a grid",
      (text: string, before: string[] | undefined) => [...(before ?? []), text],
    )
    .addOption(new Option("--format <name>", "of a sweep (default: table)").choices(FORMATS))
    .option("--peers <list>", "published methods to set beside a sweep, all or none")
    .option("--svg <file>", "draw a sweep's memory, method by method")
    .option("--timeline <file>", "draw the plan's buffers over its steps, as SVG")
    .option("--force", "replace the file that --svg or --timeline names")
    .addOption(new Option("--json", "print JSON alone").conflicts("format"))
    .addHelpText(
      "after",
      `
Examples:
  $ lce plan --vocab 256000 --hidden 4096
  $ lce plan --vocab 128256 --hidden 4096 --tokens 4096 --pass train --dtype bf16
  $ lce plan --model gemma-2-2b --device h100-deno --pass train
  $ lce plan --config plan.yaml --budget 8GiB --json
  $ lce plan --model gemma-2-2b --sweep tokens=1k..64k --svg memory.svg`,
    )
    .action(async ({ json, sweep, format, peers, svg, timeline, force = false, ...flags }) => {
      const pictures = { sweep, format, peers, svg, timeline, force };
      const { axes, methods } = await checkPictures(pictures, flags);
      // The smallest point stands for the sweep: where it is no problem, none is.
      const least = axes.map(({ name, values }) => [name, Math.min(...values)]);
      const { problem, request, model } = await requestOf({
        ...flags,
        ...Object.fromEntries(least),
      });
      const device = await deviceOf(request);
      const named = model ? { model: modelJson(model) } : {};
      const forPeople = !json && (format ?? "table") === "table";
      if (model && forPeople) output.print(modelLine(model, problem));
      if (axes.length > 0) {
        const about = { problem, device, axes, named };
        const shown = json ? { ...pictures, format: "json" as const } : pictures;
        return await runSweep(about, request, methods, shown, output);
      }
      const plan = makePlan(problem, device, request);
      output.print(
        json ? JSON.stringify({ ...named, ...planJson(plan) }, null, 2) : planText(plan),
      );
      if (timeline !== undefined) {
        await savePicture("--timeline", timeline, drawTimeline(plan), { force, output });
      }
    }) as unknown as Command;
}

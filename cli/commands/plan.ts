/**
 * `lce plan`: what a problem needs on a device, before anything is allocated.
 *
 * @module
 */
import { Command, Option } from "commander";
import { planLargest, planLargestParallel } from "../../planner/largest.ts";
import { planParallel } from "../../planner/parallel.ts";
import { makePlan, type Plan } from "../../planner/plan.ts";
import { resized } from "../../planner/problem.ts";
import { parallelFlags, planningFlags, requestOf } from "../request/flags.ts";
import { deviceOf } from "../request/device.ts";
import { type Modes, modesShape } from "../request/modes_shape.ts";
import { checkCodes, checkRanks, checkTogether, withLeast } from "../request/plan_modes.ts";
import { modelJson, modelLine, readConfigs } from "../request/model.ts";
import { savePicture } from "../files/new_file.ts";
import type { Output } from "../output.ts";
import { timeline as drawTimeline } from "../chart/timeline.ts";
import { codebookJson, codebookText } from "../report/codebook.ts";
import { largestJson, largestText } from "../report/largest.ts";
import { parallelPlanJson, parallelPlanText } from "../report/parallel.ts";
import { planJson, planText } from "../report/plan.ts";
import { wrapped } from "../report/wrap.ts";
import { checkModes, parallelismOf } from "../request/request.ts";
import { settingFlags } from "../request/settings.ts";
import { checkPictures, runSweep } from "./sweep.ts";

/** Returns the command. */
export function planCommand(output: Output): Command {
  const command = new Command("plan")
    .description("plan a linear cross-entropy: strategy, sizes, memory and cost, to the byte");
  const modes = Object.keys(modesShape) as (keyof Modes)[];
  return settingFlags(parallelFlags(planningFlags(command)), ["hostIo", ...modes])
    .option("--force", "replace the file that --svg or --timeline names")
    .addOption(new Option("--json", "print JSON alone").conflicts("format"))
    .addHelpText(
      "after",
      `
Examples:
  $ lce plan --vocab 256000 --hidden 4096
  $ lce plan --vocab 128256 --hidden 4096 --tokens 4096 --pass train --dtype bf16
  $ lce plan --model gemma-2-2b --tokens 8192 --dtype bf16 --compare
  $ lce plan --model llama-3.1-8b --largest tokens --budget 8GiB --pass train
  $ lce plan --vocab 256000 --hidden 4096 --codes 4096
  $ lce plan --vocab 256000 --hidden 4096 --pass train --tensor-parallel 8 --sequence-parallel
  $ lce plan --config plan.yaml --budget 8GiB --json
  $ lce plan --model gemma-2-2b --sweep tokens=1k..64k --svg memory.svg
  $ lce plan --model gemma-2-2b --sweep tokens=8k..64k --tensor-parallel 8`,
    )
    .action(async ({ json, force = false, config, webgpu, ...given }) => {
      const files = await readConfigs(config);
      const modes = checkModes(given, files);
      const { compare = false, explain = false, largest, codes, ...pictured } = modes;
      const flags = Object.fromEntries(
        Object.entries(given).filter(([name]) => !(name in modesShape)),
      );
      const { timeline } = modes;
      const pictures = { ...pictured, force };
      const { axes, methods } = await checkPictures(pictures, flags);
      checkTogether(modes, flags);
      // The smallest point stands for the sweep: where it is no problem, none is.
      const least = axes.map(({ name, values }) => [name, Math.min(...values)]);
      const { problem: asked, request, model } = await requestOf({
        ...withLeast(largest, flags),
        ...Object.fromEntries(least),
      }, files);
      checkRanks(modes, request);
      const parallelism = parallelismOf(request);
      const head = codes === undefined ? undefined : checkCodes(asked, codes);
      const problem = head?.problem ?? asked;
      const device = await deviceOf(request, webgpu);
      const named = model ? { model: modelJson(model) } : {};
      const forPeople = !json && (modes.format ?? "table") === "table";
      if (model && forPeople) output.print(wrapped(modelLine(model, asked), output.width));
      if (axes.length > 0) {
        const about = { problem, device, axes, parallelism, named };
        const shown = json ? { ...pictures, format: "json" as const } : pictures;
        return await runSweep(about, request, methods, shown, output);
      }
      const print = ({ json: asJson, text }: { json: () => object; text: () => string }) =>
        output.print(json ? JSON.stringify({ ...named, ...asJson() }, null, 2) : text());
      const draw = async (plan: Plan) => {
        if (timeline === undefined) return;
        await savePicture("--timeline", timeline, drawTimeline(plan), { force, output });
      };
      // What was looked for was not known before.
      const codebookOf = (found: { readonly value: number } | undefined) =>
        found && head ? checkCodes(resized(asked, { [largest!]: found.value }), codes!) : head;
      if (parallelism) {
        const found = largest &&
          planLargestParallel(largest, problem, device, parallelism, request);
        const plan = found ? found.plan : planParallel(problem, device, parallelism, request);
        const shownHead = codebookOf(found);
        print({
          json: () => ({
            ...(found ? largestJson(found) : {}),
            ...(shownHead ? codebookJson(shownHead) : {}),
            ...parallelPlanJson(plan, { explain }),
          }),
          text: () =>
            [
              ...(found ? [wrapped(largestText(found), output.width)] : []),
              ...(shownHead ? [codebookText(shownHead, { width: output.width })] : []),
              parallelPlanText(plan, { explain, width: output.width }),
            ]
              .join("\n\n"),
        });
        // The largest rank's: no other takes more.
        return await draw(plan.largest);
      }
      const found = largest && planLargest(largest, problem, device, request);
      const plan = found ? found.plan : makePlan(problem, device, request);
      const shownHead = codebookOf(found);
      const extras = { compare, explain, width: output.width };
      print({
        json: () => ({
          ...(found ? largestJson(found) : {}),
          ...(shownHead ? codebookJson(shownHead) : {}),
          ...planJson(plan, extras),
        }),
        text: () =>
          [
            ...(found ? [wrapped(largestText(found), output.width)] : []),
            ...(shownHead ? [codebookText(shownHead, { width: output.width })] : []),
            planText(plan, extras),
          ].join("\n\n"),
      });
      await draw(plan);
    });
}

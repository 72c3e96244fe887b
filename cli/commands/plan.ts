/**
 * `lce plan`: what a problem needs on a device, before anything is allocated.
 *
 * @module
 */
import { Command, Option } from "commander";
import type { DeviceProfile } from "../../planner/device.ts";
import {
  type Largest,
  type LargestDimension,
  planLargest,
  planLargestParallel,
} from "../../planner/largest.ts";
import { type Parallelism, planParallel } from "../../planner/parallel.ts";
import { makePlan, type Plan, type PlanOptions } from "../../planner/plan.ts";
import { type Problem, resized } from "../../planner/problem.ts";
import { againstFlags, checkAgainst, reportWorse } from "../request/against_flags.ts";
import { linksFor } from "../request/links.ts";
import { parallelFlags, planningFlags } from "../request/flags.ts";
import { remarksOf } from "../request/calibrate.ts";
import { deviceOf } from "../request/device.ts";
import { type Modes, modesShape } from "../request/modes_shape.ts";
import { checkCodes, checkComparable } from "../request/plan_modes.ts";
import { questionOf } from "../request/question.ts";
import { modelJson, modelLine, readConfigs } from "../request/model.ts";
import { savePicture } from "../files/new_file.ts";
import type { Output } from "../output.ts";
import { timeline as drawTimeline } from "../chart/timeline.ts";
import { codebookJson, codebookText } from "../report/codebook.ts";
import { largestJson, largestText } from "../report/largest.ts";
import { parallelPlanJson, parallelPlanText, type RanksExtras } from "../report/parallel.ts";
import { planJson, planText } from "../report/plan.ts";
import {
  comparePlans,
  comparisonJson,
  comparisonText,
  planRegressions,
  readEarlierPlan,
} from "../report/plan_against.ts";
import { wrapped } from "../report/wrap.ts";
import { settingFlags } from "../request/settings.ts";
import { answerScaling, answerSplits } from "./plan_ranks.ts";
import { runSweep } from "./sweep.ts";

/** Returns the command. `exit` takes the exit code of a plan that is worse than an earlier one. */
export function planCommand(output: Output, exit: (code: number) => void): Command {
  const command = new Command("plan")
    .description("plan a linear cross-entropy: strategy, sizes, memory and cost, to the byte");
  const modes = Object.keys(modesShape) as (keyof Modes)[];
  settingFlags(parallelFlags(planningFlags(command)), ["hostIo", ...modes]);
  return againstFlags(command, {
    against:
      "compare with an earlier plan of the same job, as --json printed it; worse exits with 1",
    failOver: "let memory and estimated time grow by this share, 10% say",
  })
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
  $ lce plan --model gemma-2-2b --pass train --adapter-rank 16
  $ lce plan --model gemma-2-2b --pass train --sub-tokens 32
  $ lce plan --model gemma-2-2b --pass train --sampled-tokens 2k
  $ lce plan --vocab 152064 --hidden 3584 --pass train --distill forward-kl --teacher-hidden 8192
  $ lce plan --vocab 32000 --hidden 5120 --tokens 256 --fusion --expert-hidden 2048
  $ lce plan --vocab 256000 --hidden 4096 --pass train --tensor-parallel 8 --sequence-parallel
  $ lce plan --vocab 256000 --hidden 4096 --pass train --ranks 64 --explain
  $ lce plan --model gemma-2-2b --device auto --ranks 4k --links auto --scaling strong --svg scaling.svg
  $ lce plan --config plan.yaml --budget 8GiB --json > before.json
  $ lce plan --config plan.yaml --budget 8GiB --against before.json --fail-over 10%
  $ lce plan --model gemma-2-2b --sweep tokens=1k..64k --svg memory.svg
  $ lce plan --model gemma-2-2b --sweep tokens=8k..64k --tensor-parallel 8`,
    )
    .action(
      async ({ json, force = false, config, webgpu, calibrate, against, failOver, ...given }) => {
        checkAgainst({ against, failOver });
        const question = await questionOf(given, await readConfigs(config), { force });
        const { modes, problem, asked, head, request, model } = question;
        const { parallelism, axes, methods } = question;
        if (against !== undefined) checkComparable(modes);
        const { compare = false, explain = false, largest, codes, timeline, ...pictured } = modes;
        const pictures = { ...pictured, force };
        const device = await deviceOf(request, {
          webgpu,
          remarks: remarksOf({ calibrate }, output),
        });
        const named = model ? { model: modelJson(model) } : {};
        const forPeople = !json && (modes.format ?? "table") === "table";
        if (model && forPeople) output.print(wrapped(modelLine(model, asked), output.width));
        if (axes.length > 0) {
          const about = { problem, device, axes, parallelism, named };
          const shown = json ? { ...pictures, format: "json" as const } : pictures;
          return await runSweep(about, request, methods, shown, output);
        }
        const links = await linksFor(modes.links, request.device);
        const { ranks, scaling, svg } = modes;
        if (ranks !== undefined && scaling) {
          const question = { problem, device, ranks, links, options: request };
          const { json: asJson, text } = await answerScaling(
            question,
            { scaling, svg, force },
            output,
          );
          return output.print(json ? JSON.stringify({ ...named, ...asJson() }, null, 2) : text());
        }
        const earlier = against === undefined ? undefined : await readEarlierPlan(against);
        const { found, plan, ...planned } = planFor(problem, device, request, {
          ...{ parallelism, ranks, links, largest, compare, explain },
          width: output.width,
        });
        // What was looked for was not known before.
        const shownHead = found && head
          ? checkCodes(resized(asked, { [largest!]: found.value }), codes!)
          : head;
        const answer = () => ({
          ...named,
          ...(found ? largestJson(found) : {}),
          ...(shownHead ? codebookJson(shownHead) : {}),
          ...planned.json(),
        });
        const comparison = earlier && comparePlans(answer(), earlier, against!);
        const { width } = output;
        output.print(
          json
            ? JSON.stringify(
              { ...answer(), ...(comparison ? comparisonJson(comparison) : {}) },
              null,
              2,
            )
            : [
              ...(found ? [wrapped(largestText(found), width)] : []),
              ...(shownHead ? [codebookText(shownHead, { width })] : []),
              planned.text(),
              ...(comparison ? [comparisonText(comparison, { width })] : []),
            ].join("\n\n"),
        );
        if (timeline !== undefined) {
          await savePicture("--timeline", timeline, drawTimeline(plan), { force, output });
        }
        if (!comparison) return;
        // What is planned has no noise: whatever grew is worse.
        exit(reportWorse(against!, planRegressions(comparison, failOver ?? 0), output));
      },
    );
}

/** How a plan is asked for, and shown. */
interface Asked extends RanksExtras {
  readonly parallelism: Parallelism | undefined;
  /** So many, whose split is to be found. */
  readonly ranks: number | undefined;
  readonly largest: LargestDimension | undefined;
}

/** A plan of one device, or of ranks. */
interface Planned {
  /** The value that was looked for, if any was. */
  readonly found: Largest<unknown> | undefined;
  /** The plan, or the largest rank's: no other takes more. */
  readonly plan: Plan;
  json(): object;
  text(): string;
}

function planFor(
  problem: Problem,
  device: DeviceProfile,
  options: PlanOptions,
  { parallelism, ranks, largest, ...extras }: Asked,
): Planned {
  if (ranks !== undefined) {
    const { links } = extras;
    return {
      found: undefined,
      ...answerSplits({ problem, device, ranks, links, options }, extras),
    };
  }
  if (parallelism) {
    const found = largest && planLargestParallel(largest, problem, device, parallelism, options);
    const plan = found ? found.plan : planParallel(problem, device, parallelism, options);
    return {
      found,
      plan: plan.largest,
      json: () => parallelPlanJson(plan, extras),
      text: () => parallelPlanText(plan, extras),
    };
  }
  const found = largest && planLargest(largest, problem, device, options);
  const plan = found ? found.plan : makePlan(problem, device, options);
  return {
    found,
    plan,
    json: () => planJson(plan, extras),
    text: () => planText(plan, extras),
  };
}

/**
 * `lce emit`: a plan's kernels as WGSL files, for other runtimes.
 *
 * @module
 */
import { Command } from "commander";
import { writeFolder } from "../../fixtures/files/write.ts";
import { emitSchedule } from "../../kernels/wgsl/manifest.ts";
import { makePlan } from "../../planner/plan.ts";
import hostExample from "../emit/host.js" with { type: "text" };
import { UsageError } from "../exit.ts";
import { planningFlags } from "../request/flags.ts";
import { TEACHER_MODES } from "../request/modes_shape.ts";
import { readConfigs } from "../request/model.ts";
import { questionOf } from "../request/question.ts";
import { settingFlags } from "../request/settings.ts";
import { checkNewFolder } from "../files/new_file.ts";
import type { Output } from "../output.ts";
import { remarksOf } from "../request/calibrate.ts";
import { deviceOf } from "../request/device.ts";
import type { WebGpuChoice } from "../request/webgpu.ts";

/** What a plan file may ask for that is no plan of known sizes, of several ranks, or not shown to agree. */
const MANY = ["largest", "sweep", "ranks", "fusion"] as const;

/** The flags of the command: those of a plan, beside its own. */
interface Flags extends Readonly<Record<string, unknown>> {
  readonly force?: boolean;
  readonly config?: string[];
  readonly webgpu?: WebGpuChoice;
  readonly calibrate?: boolean;
}

/** Returns the command. */
export function emitCommand(output: Output): Command {
  const command = new Command("emit")
    .description("write a plan's kernels as WGSL, with a manifest and an example of a host")
    .argument("<folder>")
    .option("--force", "write into a folder that has files in it, over those of the same name");
  return settingFlags(planningFlags(command), ["codes", "adapterRank", "distill", ...TEACHER_MODES])
    .addHelpText(
      "after",
      `
Examples:
  $ lce emit out --vocab 50257 --hidden 768 --tokens 1024 --pass train
  $ lce emit student --vocab 50257 --hidden 768 --pass train --distill jsd --teacher-hidden 1600`,
    )
    .action(async (folder: string, { force, webgpu, calibrate, config, ...flags }: Flags) => {
      const named = await readConfigs(config);
      const { problem, request, modes, parallelism } = await questionOf(flags, named);
      if (parallelism) {
        throw new UsageError(
          "lce emit writes what one device runs: leave out tensorParallel, dataParallel, sequenceParallel and overlap",
        );
      }
      const other = MANY.find((name) => modes[name]);
      if (other) {
        throw new UsageError(
          `lce emit writes the plan that settings fix: leave out ${other}`,
        );
      }
      if (request.weights === "streamed") {
        throw new UsageError(
          "--weights streamed: what lce emit writes works on buffers of the host, the whole weight among them, and streams none; leave it out",
        );
      }
      checkNewFolder(folder, force === true);
      const remarks = remarksOf({ calibrate }, output);
      const plan = makePlan(problem, await deviceOf(request, { webgpu, remarks }), {
        ...request,
        hostIo: false,
        weights: "resident",
      });
      const { manifest, kernels } = emitSchedule(plan.schedule);
      const files = new Map([
        ...kernels,
        ["manifest.json", JSON.stringify(manifest, null, 2) + "\n"],
        ["host.js", hostExample],
      ]);
      const encoder = new TextEncoder();
      await writeFolder(
        folder,
        new Map([...files].map(([name, text]) => [name, encoder.encode(text)])),
        { stale: await emittedKernels(folder) },
      );
      output.print(`Wrote ${[...files.keys()].join(", ")} to ${folder}.`);
    });
}

/**
 * Returns kernels that an earlier plan left in the folder, by its manifest; none where it is not
 * ours.
 */
async function emittedKernels(folder: string): Promise<string[]> {
  try {
    const manifest = JSON.parse(await Deno.readTextFile(`${folder}/manifest.json`));
    if (manifest.format !== "lce") return [];
    return Object.keys(manifest.kernels).filter((name) => /^[\w-]+\.wgsl$/.test(name));
  } catch {
    return [];
  }
}

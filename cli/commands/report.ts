/**
 * `lce report`: a plan, what else would fit and what was measured, as one page to send.
 *
 * @module
 */
import { Command } from "commander";
import packageFile from "../../deno.json" with { type: "json" };
import { writeWhole } from "../../fixtures/files/write.ts";
import { makePlan } from "../../planner/plan.ts";
import { readEarlier } from "../bench/against.ts";
import { checkNewFile } from "../files/new_file.ts";
import { benchView } from "../html/bench_view.ts";
import { curve, largestView } from "../html/curve.ts";
import { html } from "../html/html.ts";
import { page } from "../html/page.ts";
import { planView } from "../html/plan_view.ts";
import type { Output } from "../output.ts";
import { problemLine } from "../report/plan.ts";
import { deviceOf } from "../request/device.ts";
import { planningFlags, requestOf } from "../request/flags.ts";
import { readConfigs } from "../request/model.ts";

/** Returns the command; `words` are those of the command line, as the page repeats them. */
export function reportCommand(output: Output): Command {
  return planningFlags(new Command("report"))
    .description("write a plan, and what was measured, as one HTML page that needs nothing else")
    .requiredOption("-o, --output <file>", "the page, .html")
    .option("--bench <file>", "show the rows that lce bench --json wrote, too")
    .option("--force", "replace the file of --output")
    .addHelpText(
      "after",
      `
Examples:
  $ lce report --model gemma-2-2b --pass train --tokens 8192 -o report.html
  $ lce report --vocab 128256 --hidden 4096 --bench bench.json -o report.html`,
    )
    .action(async ({ output: path, bench, force = false, config, webgpu, ...given }, command) => {
      await checkNewFile("--output", path, {
        force,
        ending: /\.html$/i,
        holds: "the file holds HTML, so its name must end in .html",
      });
      const rows = bench === undefined ? undefined : await readEarlier(bench);
      const { problem, request, model } = await requestOf(given, await readConfigs(config));
      const device = await deviceOf(request, webgpu);
      output.progress("planning");
      const plan = makePlan(problem, device, request);
      const body = html`<section><h2>The plan</h2>${planView(plan)}</section>
<section><h2>What fits</h2>${largestView(problem, device, request)}</section>
<section><h2>Memory against tokens</h2>${drawn(curve(problem, device, request), output)}</section>
${rows && html`<section><h2>Time</h2>${benchView(rows)}</section>`}`;
      const title = model?.name ?? problemLine(plan);
      const written = page({
        title: `The output layer of ${title}`,
        command: ["lce", "report", ...words(command)].join(" "),
        version: packageFile.version,
      }, body);
      await writeWhole(path, new TextEncoder().encode(written.text.trimStart()));
      output.note(`Wrote ${path}.`);
    });
}

/** Returns what a generator returns in the end, with progress on the way. */
function drawn<Result>(steps: Generator<undefined, Result>, output: Output): Result {
  for (let point = 1;; point++) {
    const { done, value } = steps.next();
    if (done) return value;
    output.progress(`planning, point ${point}`);
  }
}

/** Returns the flags as they were given, but for what decides only where the page goes. */
function words(command: Command): string[] {
  return command.options.flatMap((option) => {
    const name = option.attributeName();
    const value = command.getOptionValue(name);
    if (command.getOptionValueSource(name) !== "cli" || name === "force") return [];
    return value === true ? [option.long!] : [option.long!, `${value}`];
  });
}

/**
 * `lce report`: a plan and what else would fit, a sweep, or what was measured, as one page
 * to send.
 *
 * @module
 */
import { Command } from "commander";
import packageFile from "../../deno.json" with { type: "json" };
import { writeWhole } from "../../fixtures/files/write.ts";
import type { DeviceProfile } from "../../planner/device.ts";
import { makePlan, type PlanOptions } from "../../planner/plan.ts";
import type { Problem } from "../../planner/problem.ts";
import { type EarlierRow, readEarlier } from "../bench/against.ts";
import { USUAL_PEERS } from "../chart/sweep_chart.ts";
import { checkNewFile } from "../files/new_file.ts";
import { benchView } from "../html/bench_view.ts";
import { curve, largestView } from "../html/curve.ts";
import { type Html, html } from "../html/html.ts";
import { page } from "../html/page.ts";
import { planView } from "../html/plan_view.ts";
import { sweepView } from "../html/sweep_view.ts";
import type { Output } from "../output.ts";
import { problemLine } from "../report/plan.ts";
import { type SweepAbout, sweepLine } from "../report/sweep.ts";
import { deviceOf } from "../request/device.ts";
import { planningFlags, requestOf } from "../request/flags.ts";
import { readConfigs } from "../request/model.ts";
import { checkModes } from "../request/request.ts";
import { settingFlags } from "../request/settings.ts";
import { checkPictures, checkSomeFit, sweepRows } from "./sweep.ts";

/** What a page says: its title, where no model gives it one, and its sections. */
interface Contents {
  readonly title: string;
  readonly sections: Html;
}

/** Returns the command; `words` are those of the command line, as the page repeats them. */
export function reportCommand(output: Output): Command {
  return settingFlags(planningFlags(new Command("report")), ["sweep", "peers"])
    .description(
      "write a plan, a sweep or what was measured as one HTML page that needs nothing else",
    )
    .requiredOption("-o, --output <file>", "the page, .html")
    .option("--bench <file>", "show the rows that lce bench --json wrote; they may stand alone")
    .option("--force", "replace the file of --output")
    .addHelpText(
      "after",
      `
Examples:
  $ lce report --model gemma-2-2b --pass train --tokens 8192 -o report.html
  $ lce report --model gemma-2-2b --pass train --sweep tokens=1k..64k -o sweep.html
  $ lce report --vocab 128256 --hidden 4096 --bench bench.json -o report.html
  $ lce report --bench bench.json -o measured.html`,
    )
    .action(async ({ output: path, bench, force = false, config, webgpu, ...given }, command) => {
      await checkNewFile("--output", path, {
        force,
        ending: /\.html$/i,
        holds: "the file holds HTML, so its name must end in .html",
      });
      const rows = bench === undefined ? undefined : await readEarlier(bench);
      const alone = rows && config === undefined && Object.keys(given).length === 0;
      const { title, sections } = alone
        ? measured(rows)
        : await planned(given, { config, webgpu, output });
      const written = page({
        title,
        command: ["lce", "report", ...words(command)].join(" "),
        version: packageFile.version,
      }, html`${sections}${rows && html`<section><h2>Time</h2>${benchView(rows)}</section>`}`);
      await writeWhole(path, new TextEncoder().encode(written.text.trimStart()));
      output.note(`Wrote ${path}.`);
    });
}

/** A page of measurements has no sections besides theirs. */
function measured(rows: readonly EarlierRow[]): Contents {
  const devices = new Set(rows.map(({ device }) => device));
  return { title: `Output layers measured on ${[...devices].join(" and ")}`, sections: html`` };
}

/** Plans what the flags and files ask for: one problem, or a sweep. */
async function planned(
  given: Record<string, unknown>,
  { config, webgpu, output }: {
    config: string[] | undefined;
    webgpu: Parameters<typeof deviceOf>[1];
    output: Output;
  },
): Promise<Contents> {
  const files = await readConfigs(config);
  const { sweep, peers } = checkModes(given, files);
  const { sweep: _, peers: __, ...flags } = given;
  const { axes, methods } = await checkPictures({ sweep, peers }, flags);
  const least = axes.map(({ name, values }) => [name, Math.min(...values)]);
  const { problem, request, model } = await requestOf(
    { ...flags, ...Object.fromEntries(least) },
    files,
  );
  const device = await deviceOf(request, webgpu);
  const titled = (line: string) => `The output layer of ${model?.name ?? line}`;
  if (axes.length > 0) {
    const about = { problem, device, axes, named: {} };
    return {
      title: titled(sweepLine(about)),
      sections: swept(about, request, methods ?? USUAL_PEERS, output),
    };
  }
  output.progress("planning");
  const { line, sections } = onePlan(problem, device, request, output);
  return { title: titled(line), sections };
}

function onePlan(problem: Problem, device: DeviceProfile, options: PlanOptions, output: Output) {
  const plan = makePlan(problem, device, options);
  const sections = html`<section><h2>The plan</h2>${planView(plan)}</section>
<section><h2>What fits</h2>${largestView(problem, device, options)}</section>
<section><h2>Memory against tokens</h2>${drawn(curve(problem, device, options), output)}</section>`;
  return { line: problemLine(plan), sections };
}

function swept(
  about: SweepAbout,
  options: PlanOptions,
  methods: readonly string[],
  output: Output,
): Html {
  const rows = sweepRows(about, options, { methods, draw: true, output });
  checkSomeFit(rows);
  return html`<section><h2>The sweep</h2>${sweepView(about, rows)}</section>`;
}

/** Returns what a generator returns in the end, with progress on the way. */
function drawn<Result>(steps: Generator<undefined, Result>, output: Output): Result {
  for (let point = 1;; point++) {
    const { done, value } = steps.next();
    if (done) return value;
    output.progress(`planning, point ${point}`);
  }
}

/** Flags that are given again for each of their values. */
const REPEATED: ReadonlySet<string> = new Set(["config", "sweep"]);

/** Returns the flags as they were given, but for what decides only where the page goes. */
function words(command: Command): string[] {
  return command.options.flatMap((option) => {
    const name = option.attributeName();
    const value = command.getOptionValue(name);
    if (command.getOptionValueSource(name) !== "cli" || name === "force") return [];
    if (value === true) return [option.long!];
    const values = REPEATED.has(name) ? [value].flat() : [value];
    return values.flatMap((each) => [option.long!, `${each}`]);
  });
}

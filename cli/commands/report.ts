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
import { type Largest, planLargest, planLargestParallel } from "../../planner/largest.ts";
import type { LinkRates } from "../../planner/links.ts";
import { type Parallelism, planParallel } from "../../planner/parallel.ts";
import { makePlan, type PlanOptions } from "../../planner/plan.ts";
import { type Problem, resized } from "../../planner/problem.ts";
import { planSplits } from "../../planner/splits.ts";
import { type EarlierRow, readEarlier } from "../bench/against.ts";
import { USUAL_PEERS } from "../chart/sweep_chart.ts";
import { UsageError } from "../exit.ts";
import { checkNewFile } from "../files/new_file.ts";
import { benchView } from "../html/bench_view.ts";
import { curve, largestView } from "../html/curve.ts";
import { type Content, type Html, html } from "../html/html.ts";
import { page } from "../html/page.ts";
import { parallelView, splitsView } from "../html/parallel_view.ts";
import { planView, rows } from "../html/plan_view.ts";
import { sweepView } from "../html/sweep_view.ts";
import type { Output } from "../output.ts";
import { codebookRows, OVER_CODES } from "../report/codebook.ts";
import { largestText } from "../report/largest.ts";
import { problemLine } from "../report/plan.ts";
import { type SweepAbout, sweepLine } from "../report/sweep.ts";
import { remarksOf } from "../request/calibrate.ts";
import { deviceOf } from "../request/device.ts";
import { parallelFlags, planningFlags } from "../request/flags.ts";
import { linksFor } from "../request/links.ts";
import { readConfigs } from "../request/model.ts";
import { HEADS_MODES } from "../request/modes_shape.ts";
import { checkCodes } from "../request/plan_modes.ts";
import { type PlanQuestion, questionOf } from "../request/question.ts";
import { flagName } from "../request/request.ts";
import { settingFlags } from "../request/settings.ts";
import { checkSomeFit, sweepRows } from "./sweep.ts";

/** What may be asked of a page, beside a plan. */
const MODES = [
  "largest",
  "codes",
  ...HEADS_MODES,
  "ranks",
  "links",
  "sweep",
  "peers",
] as const;

/** What a page says: its title, where no model gives it one, and its sections. */
interface Contents {
  readonly title: string;
  readonly sections: Content;
}

/** Returns the command; `words` are those of the command line, as the page repeats them. */
export function reportCommand(output: Output): Command {
  return settingFlags(parallelFlags(planningFlags(new Command("report"))), MODES)
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
  $ lce report --model llama-3.1-8b --pass train --largest tokens --budget 8GiB -o largest.html
  $ lce report --vocab 256000 --hidden 4096 --codes 4096 -o codes.html
  $ lce report --vocab 152064 --hidden 3584 --pass train --distill forward-kl --teacher-hidden 8192 -o distill.html
  $ lce report --vocab 256000 --hidden 4096 --pass train --ranks 64 -o ranks.html
  $ lce report --vocab 128256 --hidden 4096 --bench bench.json -o report.html
  $ lce report --bench bench.json -o measured.html`,
    )
    .action(
      async (
        { output: path, bench, force = false, config, webgpu, calibrate, ...given },
        command,
      ) => {
        await checkNewFile("--output", path, {
          force,
          ending: /\.html$/i,
          holds: "the file holds HTML, so its name must end in .html",
        });
        const rows = bench === undefined ? undefined : await readEarlier(bench);
        const alone = rows && config === undefined && Object.keys(given).length === 0;
        const { title, sections } = alone ? measured(rows) : await planned(given, {
          config,
          device: { webgpu, remarks: remarksOf({ calibrate }, output) },
          output,
        });
        const written = page({
          title,
          command: ["lce", "report", ...words(command)].join(" "),
          version: packageFile.version,
        }, html`${sections}${rows && section("Time", benchView(rows))}`);
        await writeWhole(path, new TextEncoder().encode(written.text.trimStart()));
        output.note(`Wrote ${path}.`);
      },
    );
}

/** A page of measurements has no sections besides theirs. */
function measured(rows: readonly EarlierRow[]): Contents {
  const devices = new Set(rows.map(({ device }) => device));
  return { title: `Output layers measured on ${[...devices].join(" and ")}`, sections: html`` };
}

/** Plans what the flags and files ask for: one problem, or a sweep. */
async function planned(
  given: Record<string, unknown>,
  { config, device: how, output }: {
    config: string[] | undefined;
    device: Parameters<typeof deviceOf>[1];
    output: Output;
  },
): Promise<Contents> {
  const question = await questionOf(given, await readConfigs(config), { ignored: LOOKS });
  const { modes, problem, request, model, parallelism, axes, methods } = question;
  const idle = ELSEWHERE.find((name) => modes[name] !== undefined);
  if (idle !== undefined) {
    throw new UsageError(`lce report has no page for ${flagName(idle)}: lce plan shows it`);
  }
  const device = await deviceOf(request, how);
  const titled = (line: string) => `The output layer of ${model?.name ?? line}`;
  if (axes.length > 0) {
    const about = { problem, device, axes, parallelism, named: {} };
    return {
      title: titled(sweepLine(about)),
      sections: swept(about, request, methods ?? (parallelism ? [] : USUAL_PEERS), output),
    };
  }
  output.progress("planning");
  const links = await linksFor(modes.links, request.device);
  const { title, sections } = modes.ranks !== undefined || parallelism
    ? severalRanks(question, device, links, output)
    : onePlan(question, device, output);
  return { title: titled(title), sections };
}

/** What a plan file may say of how `lce plan` shows its answer. */
const LOOKS = ["compare", "explain", "format", "svg", "timeline"] as const;

/** What `lce plan` alone answers. */
const ELSEWHERE = ["scaling", "adapterRank"] as const;

function onePlan(question: PlanQuestion, device: DeviceProfile, output: Output): Contents {
  const { modes: { largest }, problem, request } = question;
  const found = largest && planLargest(largest, problem, device, request);
  const plan = found?.plan ?? makePlan(problem, device, request);
  return {
    title: lineOf(question, device, found),
    sections: [
      ...soughtSections(question, found),
      section("The plan", planView(plan)),
      // A sweep, and what fits, are of a single head.
      ...(problem.heads.length > 1
        ? []
        : memorySections(plan.problem, device, request, { found, output })),
    ],
  };
}

function severalRanks(
  question: PlanQuestion,
  device: DeviceProfile,
  links: LinkRates | undefined,
  output: Output,
): Contents {
  const { modes: { ranks, largest }, problem, request, parallelism } = question;
  const splits = ranks === undefined
    ? undefined
    : planSplits(problem, device, ranks, request, links);
  const split = splits?.best.parallelism ?? parallelism!;
  const found = largest && planLargestParallel(largest, problem, device, split, request);
  const plan = found?.plan ?? splits?.best.planned.plan ??
    planParallel(problem, device, split, request);
  return {
    title: lineOf(question, device, found),
    sections: [
      ...soughtSections(question, found),
      section("The plan", parallelView(plan, links)),
      ...(splits ? [section("The split", splitsView(splits))] : []),
      ...memorySections(plan.problem, device, request, { found, output, split }),
    ],
  };
}

/** Returns one line that says what is to be done over ids, and how many codes stand for them. */
function lineOf(
  { asked, head }: PlanQuestion,
  device: DeviceProfile,
  found: Largest<unknown> | undefined,
): string {
  const line = problemLine({ problem: withFound(asked, found), device });
  return `${line}${head ? `, by ${head.codes} codes` : ""}`;
}

/** Returns a problem with what was looked for, which was not known before. */
function withFound(problem: Problem, found: Largest<unknown> | undefined): Problem {
  return found ? resized(problem, { [found.dimension]: found.value }) : problem;
}

/** Shows what was looked for, and the codes of a codebook head. */
function soughtSections(
  { asked, head }: PlanQuestion,
  found: Largest<unknown> | undefined,
): Html[] {
  const lines = found ? largestText(found).split("\n") : [];
  const codebook = head && checkCodes(withFound(asked, found), head.codes);
  return [
    ...(found ? [section("The largest that fits", lines.map((line) => html`<p>${line}</p>`))] : []),
    ...(codebook
      ? [section("The codebook", rows(`In place of ids: ${OVER_CODES}`, codebookRows(codebook)))]
      : []),
  ];
}

/** Shows how many tokens fit, unless that was found already, and what fewer and more of them take. */
function memorySections(
  problem: Problem,
  device: DeviceProfile,
  options: PlanOptions,
  { found, output, split }: {
    readonly found: Largest<unknown> | undefined;
    readonly output: Output;
    readonly split?: Parallelism;
  },
): Html[] {
  return [
    ...(found?.dimension === "tokens"
      ? []
      : [section("What fits", largestView(problem, device, options, split))]),
    section("Memory against tokens", drawn(curve(problem, device, options, split), output)),
  ];
}

function section(title: string, content: Content): Html {
  return html`<section><h2>${title}</h2>${content}</section>`;
}

function swept(
  about: SweepAbout,
  options: PlanOptions,
  methods: readonly string[],
  output: Output,
): Html {
  const rows = sweepRows(about, options, { methods, draw: true, output });
  checkSomeFit(rows);
  return section("The sweep", sweepView(about, rows));
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
    if (value === true || option.negate) return [option.long!];
    const values = REPEATED.has(name) ? [value].flat() : [value];
    return values.flatMap((each) => [option.long!, `${each}`]);
  });
}

/**
 * `lce bench`: how fast each strategy is on this machine's device, beside the
 * two-stage baseline.
 *
 * @module
 */
import { Command, Option } from "commander";
import * as z from "zod";
import { ACCUMULATED, type Dtype } from "../../planner/dtype.ts";
import { measurePeaks, type Peaks } from "../../kernels/measure/peaks.ts";
import { isOfDevice, lossOf } from "../../kernels/run/errors.ts";
import { makePlan, type PlanOptions } from "../../planner/plan.ts";
import { headOf, PASSES, type Problem } from "../../planner/problem.ts";
import { problemSchema } from "../../planner/problem_schema.ts";
import { STRATEGIES, type StrategyName } from "../../planner/schedule/schedule.ts";
import { ALL_STRATEGIES, strategyNamed } from "../../planner/strategies/mod.ts";
import { unsuited } from "../../planner/strategies/strategy.ts";
import { compareRows, noteComparison, readEarlier, regressions } from "../bench/against.ts";
import {
  type AgainstFlags,
  againstFlags,
  checkAgainst,
  reportWorse,
} from "../request/against_flags.ts";
import { checkStrategy } from "../request/contradictions.ts";
import { UsageError } from "../exit.ts";
import { checkChoices, checkWith, storedShape } from "../request/request.ts";
import { parseNumber, quietFlag } from "../request/flags.ts";
import { calibrateFlag, type CalibrateFlags, remarksOf } from "../request/calibrate.ts";
import { openDevice } from "../request/device.ts";
import { type WebGpuChoice, webgpuFlag } from "../request/webgpu.ts";
import { isTooLarge, measure, type Measurement, type MeasureOptions } from "../bench/measure.ts";
import { INPUT_KINDS, type InputKind } from "../bench/inputs.ts";
import { checkPicture, savePicture } from "../files/new_file.ts";
import type { Output } from "../output.ts";
import { drawRoofline } from "../chart/roofline.ts";
import { renderBench } from "../report/bench.ts";
import { type BenchRow, benchRow } from "../bench/bench_row.ts";
import { FORMATS } from "../report/formats.ts";
import { settingFlags, type Settings } from "../request/settings.ts";
import { parseShape } from "../request/shape_flag.ts";

/** Shapes as tokens x hidden x vocab: output layers that people train. */
const SHAPES = {
  quick: ["64x256x8192", "128x128x4096"],
  full: [
    "1024x768x50257",
    "2048x2048x32000",
    "4096x4096x128256",
    "8192x2304x256000",
    "2048x3584x152064",
  ],
} as const;

/** Settings that may be fixed. */
const SETTINGS = [
  "pass",
  "dtype",
  "strategy",
  "tier",
  "window",
  "block",
  "gradientFilter",
  "gradientDtype",
] as const;

/** The flags of the command. */
interface Flags extends Settings<typeof SETTINGS[number]>, AgainstFlags, CalibrateFlags {
  readonly shape?: string[];
  readonly quick?: boolean;
  readonly inputs: InputKind;
  readonly webgpu?: WebGpuChoice;
  readonly repeats: number;
  readonly format: typeof FORMATS[number];
  readonly json?: boolean;
  readonly kernels?: boolean;
  readonly roofline?: string;
  readonly force?: boolean;
}

/** Returns the command. `exit` takes the exit code of a run that is worse than an earlier one. */
export function benchCommand(output: Output, exit: (code: number) => void): Command {
  const command = new Command("bench")
    .description("time the strategies on this machine's device, beside the two-stage baseline")
    .option("--shape <NxDxV...>", "shapes as tokens x hidden x vocab", splitShapes)
    .option("--quick", "two small shapes, few repeats: under a minute on a CPU device");
  const abouts = {
    pass: { about: "one pass only" },
    strategy: { about: "one strategy only" },
    gradientDtype: {
      about:
        "storage type of the weight's gradient in training, for strategies that can round it once (default: f32)",
    },
  };
  settingFlags(command, SETTINGS, abouts)
    .addOption(
      new Option("--inputs <kind>", "flat softmax, or peaked as a trained model's")
        .choices(INPUT_KINDS).default("flat"),
    )
    .addOption(webgpuFlag())
    .option("--repeats <count>", "repeats after a warm-up", parseNumber, 10)
    .addOption(
      new Option("--format <name>", "how rows are printed").choices(FORMATS).default(
        "table",
      ),
    )
    .addOption(new Option("--json", "short for --format json").conflicts("format"))
    .addOption(calibrateFlag())
    .addOption(quietFlag())
    .option("--kernels", "show the time of each kernel");
  return againstFlags(command, {
    against: "compare with an earlier run, as --json printed it",
    failOver:
      "exit with 1 where time or memory grew by more than this share, 10% say, and more than noise",
  })
    .option("--roofline <file>", "draw the rows under the device's measured peaks, as SVG")
    .option("--force", "replace the file that --roofline names")
    .addHelpText(
      "after",
      `
Examples:
  $ lce bench --shape 4096x4096x128256 --pass train --dtype bf16
  $ lce bench --quick --json > before.json
  $ lce bench --quick --against before.json
  $ lce bench --quick --against before.json --fail-over 10%
  $ lce bench --quick --roofline roofline.svg`,
    )
    .action(async (options: Flags) => {
      const { shape, quick, pass, dtype, strategy, repeats, format, json, kernels } = options;
      const { inputs, webgpu, gradientFilter, against, failOver, roofline, force = false } =
        options;
      const { gradientDtype } = checkWith(z.strictObject(storedShape), {
        gradientDtype: options.gradientDtype,
      });
      checkRounded(gradientDtype, pass, strategy);
      const fixed = checkChoices({
        window: options.window,
        block: options.block,
        tier: options.tier,
      });
      if (!(Number.isInteger(repeats) && repeats >= 1)) {
        throw new UsageError(`--repeats ${repeats}: must be a whole number from 1 up`);
      }
      checkStrategy(strategy, pass);
      const shapes = shape ?? [...(quick ? SHAPES.quick : SHAPES.full)];
      const problems = shapes.flatMap((text) =>
        (pass ? [pass] : PASSES).map((each) =>
          checkWith(problemSchema(), {
            ...parseShape(text),
            dtype,
            pass: each,
            gradientFilter,
          })
        )
      );
      checkAgainst(options);
      if (force && roofline === undefined) throw new UsageError("--force: needs --roofline");
      await checkPicture("--roofline", roofline, force);
      const earlier = against === undefined ? undefined : await readEarlier(against);
      const how = {
        repeats: quick ? Math.min(repeats, 5) : repeats,
        budgetMs: 10_000,
        warmUpMs: quick ? 0 : 300,
        inputs,
      };
      const acquired = await openDevice({ webgpu, remarks: remarksOf(options, output) });
      const rows: BenchRow[] = [];
      const failures: Error[] = [];
      let peaks: Peaks | undefined;
      try {
        if (roofline !== undefined) {
          output.progress("measuring the device's peaks");
          peaks = await measurePeaks(acquired, { seconds: quick ? 0.1 : 0.3 });
        }
        const names = STRATEGIES.filter((name) => !strategy || name === strategy);
        const cases = problems.flatMap((problem) => names.map((name) => ({ problem, name })));
        for (const { problem, name } of cases) {
          const { tokens } = problem;
          const { hidden, vocab } = headOf(problem);
          output.progress(`${tokens}x${hidden}x${vocab} ${problem.pass} ${name}`);
          const choices = { ...fixed, strategy: name, gradientDtype };
          const row = await measureOne(problem, choices, acquired, how, failures);
          if (row) rows.push(peaks ? { ...row, ...peaksJson(peaks) } : row);
          // Nothing is measured any more.
          if (failures.length > 0 && await lossOf(acquired.device)) break;
        }
      } finally {
        acquired.device.destroy();
      }
      const compared = earlier && compareRows(rows, earlier);
      output.print(renderBench(compared ?? rows, json ? "json" : format, {
        kernels: kernels ?? false,
        against: compared !== undefined,
        peaks,
        width: output.width,
      }));
      // What was measured is not lost with the rest.
      const failed = failures.find((error) => !isTooLarge(error));
      if (failed) throw failed;
      if (roofline !== undefined) {
        const svg = drawRoofline(acquired.profile.name, peaks!, rows);
        await savePicture("--roofline", roofline, svg, { force, output });
      }
      if (rows.every(({ ms }) => ms === null) && failures[0]) throw failures[0];
      if (!compared) return;
      noteComparison(against!, compared, output);
      const advice = failOver === undefined
        ? "That is said, no more: --fail-over 10% would make it an exit code of 1."
        : undefined;
      exit(reportWorse(against!, regressions(compared, failOver ?? 0), output, advice));
    });
}

/** Checks that something that is timed has the gradient that a type is given for. @throws {UsageError} */
function checkRounded(
  gradientDtype: Dtype | undefined,
  pass: Problem["pass"] | undefined,
  strategy: StrategyName | undefined,
): void {
  if (gradientDtype === undefined || gradientDtype === ACCUMULATED) return;
  if (pass === "forward") {
    throw new UsageError(
      `--gradient-dtype ${gradientDtype}: the forward pass has no gradients. Leave it out, or --pass forward`,
    );
  }
  if (strategy === undefined || strategyNamed(strategy).finishesWindows) return;
  throw new UsageError(
    `--gradient-dtype ${gradientDtype}: ${strategy} would round the gradient again and again. Leave it out, or choose ${
      ALL_STRATEGIES.filter(({ finishesWindows }) => finishesWindows).map(({ name }) => name)
        .join(" or ")
    }`,
  );
}

/** Returns the peaks as each row keeps them, so that rows of several runs may be put together. */
function peaksJson({ flopsPerSecond, bytesPerSecond }: Peaks) {
  return { peakFlopsPerSecond: flopsPerSecond, peakBytesPerSecond: bytesPerSecond };
}

/**
 * Returns a row for one strategy; one that says why where it cannot run, of which `failures` keeps
 * the error; none where it does not apply.
 */
async function measureOne(
  problem: Problem,
  choices: PlanOptions & { strategy: StrategyName },
  acquired: Awaited<ReturnType<typeof openDevice>>,
  how: MeasureOptions,
  failures: Error[],
): Promise<BenchRow | undefined> {
  const { profile } = acquired;
  const { strategy } = choices;
  const gradientDtype = problem.pass === "train" && strategyNamed(strategy).finishesWindows
    ? choices.gradientDtype
    : undefined;
  const row = (outcome: Measurement | string) =>
    benchRow(problem, strategy, profile, outcome, how.inputs, gradientDtype);
  if (unsuited(strategyNamed(strategy), problem) !== undefined) return undefined;
  try {
    const plan = makePlan(problem, profile, { ...choices, gradientDtype, weights: "resident" });
    return row(await measure(plan, acquired, how));
  } catch (error) {
    if (!isTooLarge(error) && !isOfDevice(error)) throw error;
    failures.push(error);
    return row(error.message);
  }
}

function splitShapes(text: string, before: string[] | undefined): string[] {
  return [...(before ?? []), ...text.split(",")];
}

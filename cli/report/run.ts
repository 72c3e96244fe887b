/**
 * Verifications as text and as JSON.
 *
 * @module
 */
import type { Results } from "../../kernels/run/results.ts";
import { problemJson } from "../../planner/problem_schema.ts";
import type { Agreement } from "../../fixtures/verify/agreement.ts";
import { formatBytes, formatCount, formatSeconds } from "../../planner/units.ts";
import { conventionalFlops } from "../bench/measure.ts";
import type { Verification } from "../../fixtures/verify/verify.ts";
import { type TextFigures, textFigures } from "../../fixtures/verify/perplexity.ts";
import { choiceLines, problemLine } from "./plan.ts";
import { sourceOfRates } from "./plan_words.ts";
import { halvesText } from "./retried.ts";
import { indented, type Layout, table, within } from "./table.ts";
import { wrapped } from "./wrap.ts";

function teraflops(verification: Verification): number {
  const { fixture: { problem }, rounds, time } = verification;
  const tokens = Math.min(problem.tokens, rounds.ran * rounds.tokens);
  return conventionalFlops({ ...problem, tokens }) / (time.milliseconds / 1e3) / 1e12;
}

/**
 * Returns one entry of the contract of `lce run --json`. Sizes are bytes, times milliseconds.
 *
 * @param residentPeakBytes most memory of the process so far, by the system's account.
 */
export function runJson(verification: Verification, residentPeakBytes: number) {
  const { fixture, plan, agreement, memory, host, time, results, ok } = verification;
  return {
    fixture: fixture.name,
    pass: fixture.problem.pass,
    strategy: plan.schedule.strategy,
    device: plan.device.name,
    rates: sourceOfRates(plan.device),
    problem: problemJson(fixture.problem),
    ...codebookJson(fixture),
    ...sampleJson(fixture),
    window: plan.schedule.window,
    block: plan.schedule.block,
    rounds: verification.rounds,
    // JSON has no NaN, which a mean over no tokens is.
    loss: Number.isFinite(results.loss) ? results.loss : null,
    ...textJson(verification),
    ...(results.skippedTiles === undefined ? {} : { skippedTiles: results.skippedTiles }),
    ...halvesJson(results),
    agreement,
    memory: { ...memory, twoStagePeakBytes: plan.twoStage.peakBytes },
    host: { ...host, residentPeakBytes },
    time: {
      ms: time.milliseconds,
      tflops: teraflops(verification),
      compileMs: time.compileMilliseconds,
      clock: "wall",
    },
    ok,
  };
}

/** Returns a verification for people. */
export function runText(
  verification: Verification,
  residentPeakBytes: number,
  layout: Layout = {},
): string {
  const { fixture, plan, agreement, memory, host, time, results, ok } = verification;
  return [
    `${fixture.name}: ${ok ? "ok" : "FAILED"}`,
    indented(wrapped(problemLine(plan), within(layout).width)),
    indented(table(
      [
        ...choiceLines(plan),
        ...roundRows(verification),
        ...lossRows(verification),
        ...textRows(textFigures(fixture, results.logprob)),
        ...sampleRows(fixture),
        ...(results.skippedTiles === undefined
          ? []
          : [["filter", `${(100 * results.skippedTiles).toFixed(1)} % of the tiles skipped`]]),
        ...halvesRows(results),
        [
          "memory",
          `peak ${memory.measuredPeakBytes} bytes, ${
            asPredicted(memory.measuredPeakBytes, memory.predictedPeakBytes)
          }; extra ${memory.measuredExtraPeakBytes} bytes, ${
            asPredicted(memory.measuredExtraPeakBytes, memory.predictedExtraPeakBytes)
          }; plain two stages would take ${formatBytes(plan.twoStage.extraPeakBytes)} extra`,
        ],
        [
          "host",
          `peak ${host.measuredPeakBytes} bytes, ${
            asPredicted(host.measuredPeakBytes, host.predictedPeakBytes)
          }; the process ${formatBytes(residentPeakBytes)}, by the system`,
        ],
        [
          "time",
          `${formatSeconds(time.milliseconds / 1e3, 3)}, ${
            formatCount(1e12 * teraflops(verification), "FLOP/s")
          }; ${formatSeconds(time.compileMilliseconds / 1e3)} to compile`,
        ],
        ["rates", `${sourceOfRates(plan.device)}; by these sizes were chosen`],
      ],
      [],
      within(layout),
    )),
    ...agreementLines(agreement, layout),
  ].join("\n");
}

/** What JSON says of values in bf16 as halves. */
export function halvesJson({ halves }: Pick<Results, "halves">) {
  return halves ? { halves } : {};
}

/** Says what became of values in bf16 as halves. */
export function halvesRows({ halves }: Pick<Results, "halves">): string[][] {
  return halves ? [["halves", halvesText(halves)]] : [];
}

/** Says how a long run was cut. */
function roundRows({ rounds: { tokens, count, ran } }: Verification): string[][] {
  if (count === 1) return [];
  const before = ran === count ? "" : `, of which ${count - ran} were kept from before`;
  return [["rounds", `${count} of ${tokens} tokens${before}; memory is that of one`]];
}

/** Figures of the text that a run was on, as JSON has them: it has no NaN, which means over nothing are. */
export function textJson({ fixture, results }: Pick<Verification, "fixture" | "results">) {
  const figures = Object.entries(textFigures(fixture, results.logprob))
    .map(([name, value]) => [name, Number.isFinite(value) ? value : null]);
  return Object.fromEntries(figures) as { [Name in keyof TextFigures]: TextFigures[Name] | null };
}

function textRows({ perplexity, keptTokens, textBytes, bitsPerByte }: TextFigures): string[][] {
  const digits = (value: number) => `${Number(value.toPrecision(6))}`;
  return [
    ["perplexity", `${digits(perplexity)} over ${keptTokens} tokens`],
    ...(bitsPerByte === undefined
      ? []
      : [["bits per byte", `${digits(bitsPerByte)} over ${textBytes} bytes`]]),
  ];
}

function asPredicted(measured: number, predicted: number): string {
  if (measured === predicted) return "to the byte as predicted";
  return `${measured > predicted ? "MORE" : "LESS"} than the predicted ${predicted}`;
}

/** Returns what was compared, how it came out, and what was not compared. */
export function agreementLines(agreement: Agreement, layout: Layout = {}): string[] {
  const inner = within(layout, 4);
  return [
    indented("agreement"),
    indented(table(checkRows(agreement), [], { ...inner, keys: 2 }), 4),
    ...[...estimateNotes(agreement), ...coverageNotes(agreement)]
      .map((note) => indented(wrapped(note, inner.width), 4)),
  ];
}

/** Says how far an estimate lies from what it estimates, where there is one. */
function estimateNotes({ estimateError, coverage }: Agreement): string[] {
  if (estimateError === undefined) return [];
  const { rows, ofRows } = coverage.gradients.weight ?? coverage;
  const part = rows === ofRows ? "" : `, in ${rows} of ${ofRows} rows`;
  return [
    `the weight gradient is as it was asked for; from the exact one it lies ${
      Number((100 * estimateError).toPrecision(3))
    } % of that one's norm${part}`,
  ];
}

/** Returns what a comparison left out, in sentences; nothing where it is complete. */
function coverageNotes({ coverage, denormals }: Agreement): string[] {
  const { rows, ofRows, gradients, givenStatistics, complete } = coverage;
  const flushed = denormals === 0 ? [] : [
    `${denormals} elements are below f32's smallest normal number: devices may read them as zero`,
  ];
  if (complete) return flushed;
  const partly = Object.entries(gradients).map(([name, { rows, ofRows }]) =>
    rows === 0
      ? `the ${name} gradient NOT checked`
      : rows === ofRows
      ? `the ${name} gradient checked whole`
      : `${rows} of ${ofRows} rows of the ${name} gradient checked`
  );
  return [
    [`${rows} of ${ofRows} tokens checked`, ...partly].join("; "),
    ...(givenStatistics && Object.values(gradients).some(({ rows }) => rows > 0)
      ? ["loss and weight gradients are checked given the run's own log-sum-exps"]
      : []),
    "--reference full compares all of it",
    ...flushed,
  ];
}

/** Returns a line for each comparison. */
export function checkRows({ checks }: Agreement): string[][] {
  return checks.map(({ name, against, maxAbs, normRel, tolerance, ok }) => [
    ok ? "ok" : "DISAGREES",
    name,
    `${normRel.toExponential(1)} of ${tolerance.toExponential(1)} allowed`,
    `largest error ${maxAbs.toExponential(1)}`,
    `against the ${against}`,
  ]);
}

/** Returns the loss, where there is one, and whose it is where codes stand for ids. */
export function lossRows(of: Pick<Verification, "results" | "fixture">): string[][] {
  const { loss } = of.results;
  const { codebook } = of.fixture;
  return [
    ...(codebook
      ? [["codebook", `its codes stand for ${codebook.vocab} ids; losses are of those`]]
      : []),
    ...(loss === undefined ? [] : [["loss", `${shortLoss(loss)}${noteOnLoss(of)}`]]),
  ];
}

/** Returns what JSON says of a run over codes besides its problem. */
export function codebookJson({ codebook }: Verification["fixture"]) {
  return codebook ? { codebook: { ids: codebook.vocab } } : {};
}

/** Returns what JSON says of the sample that the weight's gradient is from, where it is from one. */
export function sampleJson({ sample }: Verification["fixture"]) {
  return sample ? { sample } : {};
}

/** Says the same to people. */
export function sampleRows({ sample }: Verification["fixture"]): string[][] {
  if (!sample) return [];
  const { tokens, exact, seed } = sample;
  return [[
    "sample",
    `${tokens} tokens, ${exact} as they are and the others drawn by seed ${seed}`,
  ]];
}

/** An f32 has seven digits. */
function shortLoss(loss: number): string {
  return Number.isFinite(loss) ? `${Number(loss.toPrecision(7))}` : `${loss}`;
}

function noteOnLoss({ results, fixture }: Pick<Verification, "results" | "fixture">): string {
  if (results.kept > 0) return ` over ${results.kept} tokens`;
  return fixture.problem.reduction === "mean"
    ? ": every token is ignored, and a mean over none is not a number, as in PyTorch"
    : ": every token is ignored";
}

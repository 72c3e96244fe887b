/**
 * Verifications of several ranks as text and as JSON.
 *
 * @module
 */
import { problemJson } from "../../planner/problem_schema.ts";
import { formatBytes, formatSeconds } from "../../planner/units.ts";
import type { ParallelVerification, RankVerification } from "../../fixtures/verify/verify_ranks.ts";
import { collectiveJson, rankJson, splitLine } from "./parallel.ts";
import { choiceLines, problemLine } from "./plan.ts";
import {
  agreementLines,
  codebookJson,
  halvesJson,
  halvesRows,
  lossRows,
  sampleJson,
  sampleRows,
} from "./run.ts";
import { indented, type Layout, table, within } from "./table.ts";
import { wrapped } from "./wrap.ts";

/**
 * Returns one entry of the contract of `lce run --json` on several ranks. Sizes are bytes, times
 * milliseconds.
 */
export function ranksJson(
  { fixture, plan, results, agreement, ranks, ...rest }: ParallelVerification,
  library?: string,
) {
  const { largest, parallelism, collectives } = plan;
  const { schedule } = largest;
  return {
    fixture: fixture.name,
    pass: fixture.problem.pass,
    strategy: schedule.strategy,
    device: largest.device.name,
    problem: problemJson(fixture.problem),
    ...codebookJson(fixture),
    ...sampleJson(fixture),
    parallel: parallelism,
    // What carried tensors between ranks: one process's memory, or a library between processes.
    exchange: library ?? "memory",
    window: schedule.window,
    block: schedule.block,
    // JSON has no NaN, which a mean over no tokens is.
    loss: Number.isFinite(results.loss) ? results.loss : null,
    keptTokens: results.kept,
    ...halvesJson(results),
    agreement,
    perRank: ranks.map((rank) => ({
      ...rankJson(rank),
      measuredPeakBytes: rank.measuredPeakBytes,
      measuredExtraPeakBytes: rank.measuredExtraPeakBytes,
      leakedBytes: rank.leakedBytes,
      predictedHostPeakBytes: rank.predictedHostPeakBytes,
      measuredHostPeakBytes: rank.measuredHostPeakBytes,
      plannedTrafficBytes: rank.plannedTraffic,
      measuredTrafficBytes: rank.measuredTraffic,
      weightReadBytes: rank.weightReadBytes,
      sameResults: rank.sameResults,
      ok: rank.ok,
    })),
    collectives: collectives.map((step) => collectiveJson(step, parallelism)),
    time: { ms: rest.milliseconds, clock: "wall" },
    ok: rest.ok,
  };
}

/**
 * Returns a verification for people.
 *
 * @param library what carried tensors between processes, where ranks are those.
 */
export function ranksText(
  verification: ParallelVerification,
  library?: string,
  layout: Layout = {},
): string {
  const { fixture, plan, agreement, ranks, milliseconds, ok } = verification;
  const { largest, problem } = plan;
  return [
    `${fixture.name}: ${ok ? "ok" : "FAILED"}`,
    indented(wrapped(problemLine({ problem, device: largest.device }), within(layout).width)),
    indented(table(
      [
        ["split", splitLine(plan.parallelism)],
        ...choiceLines(largest),
        ...lossRows(verification),
        ...sampleRows(fixture),
        ...halvesRows(verification.results),
        [
          "time",
          `${formatSeconds(milliseconds / 1e3, 3)}, ${
            library ? `a process per rank, joined by ${library}` : "ranks in turns"
          }, compiling included`,
        ],
      ],
      [],
      within(layout),
    )),
    indented("ranks"),
    indented(table(ranks.map(rankRow), [], { ...within(layout, 4), keys: 2 }), 4),
    ...agreementLines(agreement, layout),
  ].join("\n");
}

function rankRow(rank: RankVerification): string[] {
  const { vocab, memory, measuredPeakBytes, measuredTraffic, plannedTraffic } = rank;
  const against = (measured: number, planned: number) =>
    measured === planned ? "as planned" : `planned ${planned}`;
  return [
    rank.ok ? "ok" : "FAILED",
    `rank ${rank.rank}`,
    `ids ${vocab.start} to ${vocab.start + vocab.count - 1}`,
    `peak ${measuredPeakBytes} bytes, ${against(measuredPeakBytes, memory.peakBytes)}`,
    `host ${rank.measuredHostPeakBytes} bytes, ${
      against(rank.measuredHostPeakBytes, rank.predictedHostPeakBytes)
    }`,
    `gave and got ${formatBytes(measuredTraffic)}, ${against(measuredTraffic, plannedTraffic)}`,
    rank.sameResults ? "" : "RESULTS DIFFER from those of its replica's first rank",
  ];
}

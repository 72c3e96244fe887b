/**
 * A plan as text and as JSON.
 *
 * @module
 */
import type { Plan } from "../../planner/plan.ts";
import { logitsBytes } from "../../planner/problem.ts";
import type { Schedule } from "../../planner/schedule.ts";
import { ALL_STRATEGIES } from "../../planner/strategies/mod.ts";
import { workgroupBytes, workgroupSize } from "../../planner/tile.ts";
import { formatBytes } from "../../planner/units.ts";
import { formatCount, indented, table } from "./table.ts";

/** The contract of `lce plan --json`. Sizes are bytes. */
export function planJson(plan: Plan) {
  const { problem, device, schedule, memory, cost, twoStage, alternatives } = plan;
  const { tile } = schedule;
  const savedBytes = twoStage.peakBytes - memory.peakBytes;
  return {
    problem,
    device,
    strategy: schedule.strategy,
    reason: plan.reason,
    window: schedule.window,
    block: schedule.block,
    splits: schedule.splits,
    tile: {
      tokens: tile.rows,
      vocab: tile.cols,
      hidden: tile.depth,
      microTokens: tile.microRows,
      microVocab: tile.microCols,
      workgroupSize: workgroupSize(tile),
      workgroupBytes: workgroupBytes(tile),
    },
    memory: {
      logitsBytes: logitsBytes(problem),
      twoStagePeakBytes: twoStage.peakBytes,
      twoStageExtraPeakBytes: twoStage.extraPeakBytes,
      peakBytes: memory.peakBytes,
      extraPeakBytes: memory.extraPeakBytes,
      savedBytes,
      // Relative to the logits: what of them is saved.
      savedRatio: savedBytes / logitsBytes(problem),
      peakByCategory: memory.byCategory,
      buffers: schedule.buffers.map(({ name, bytes, category }) => ({ name, bytes, category })),
    },
    cost: { flops: cost.flops, bytesMoved: cost.bytesMoved, dispatches: cost.dispatches },
    alternatives: alternatives.map((alternative) => ({
      ...alternative,
      extraPeakBytes: alternative.extraPeakBytes ?? null,
    })),
  };
}

/** One line that says what is to be done, on what. */
export function problemLine({ problem, device }: Pick<Plan, "problem" | "device">): string {
  const { tokens, hidden, vocab, dtype, pass } = problem;
  return `${tokens} tokens x ${hidden} hidden x ${vocab} vocab, ${dtype}, ${pass} pass, on ${device.name}`;
}

/** What the plan chose, in a few lines. */
export function choiceLines({ schedule }: Pick<Plan, "schedule">): string[][] {
  const { strategy, tile, window, block, splits } = schedule;
  const summary = ALL_STRATEGIES.find(({ name }) => name === strategy)!.summary;
  return [
    ["strategy", `${strategy}: ${summary}`],
    ["window", `${window.vocab} ids${many(window.count, "windows")}${many(splits, "tiles each")}`],
    ["token block", `${block.tokens} tokens${many(block.count, "blocks")}`],
    [
      "tile",
      `${tile.rows} tokens x ${tile.cols} ids x ${tile.depth} hidden, ${tile.microRows} x ${tile.microCols} per invocation, ${
        workgroupSize(tile)
      } invocations, ${workgroupBytes(tile)} bytes`,
    ],
  ];
}

function many(count: number, what: string): string {
  return count === 1 ? "" : `, ${count} ${what}`;
}

/** The plan for people. */
export function planText(plan: Plan): string {
  const { memory, twoStage, cost, schedule, alternatives, problem } = plan;
  const { byCategory } = memory;
  const saved = twoStage.peakBytes - memory.peakBytes;
  const share = (100 * saved) / logitsBytes(problem);
  const sizes = (rows: [string, number, string][]) =>
    table(rows.map(([name, bytes, note]) => [name, formatBytes(bytes), note]), ["left", "right"]);
  return [
    problemLine(plan),
    "",
    table([...choiceLines(plan), ["because", plan.reason]]),
    "",
    "memory",
    indented(sizes([
      ["inputs", byCategory.input, ""],
      ["outputs", byCategory.output, ""],
      ["extra peak", memory.extraPeakBytes, "state, scratch and staging at the worst step"],
      ["peak", memory.peakBytes, "every GPU buffer"],
      [
        "two-stage peak",
        twoStage.peakBytes,
        `of which ${formatBytes(twoStage.extraPeakBytes)} extra`,
      ],
      [
        "saved",
        saved,
        `${share.toFixed(share > 99.9 ? 3 : 1)} % of the logits' ${
          formatBytes(logitsBytes(problem))
        }`,
      ],
    ])),
    "",
    "work",
    indented(
      `${formatCount(cost.flops, "FLOP")}, ${
        formatCount(cost.bytesMoved, "B")
      } moved, ${cost.dispatches} dispatches`,
    ),
    "",
    "buffers",
    indented(table(bufferRows(schedule), ["left", "right"])),
    "",
    "alternatives",
    indented(table(
      alternatives.map(({ strategy, extraPeakBytes, reason }) => [
        strategy,
        extraPeakBytes === undefined ? "-" : formatBytes(extraPeakBytes),
        reason,
      ]),
      ["left", "right"],
    )),
  ].join("\n");
}

/** A line for each buffer, or for all the buffers that hold one matrix. */
function bufferRows({ buffers }: Schedule): string[][] {
  const groups = Map.groupBy(buffers, ({ name, holds }) => holds?.tensor ?? name);
  return [...groups]
    .map(([name, parts]) => ({
      name,
      bytes: parts.reduce((sum, { bytes }) => sum + bytes, 0),
      category: parts[0]!.category,
      count: parts.length,
    }))
    .sort((a, b) => b.bytes - a.bytes)
    .map(({ name, bytes, category, count }) => [
      name,
      formatBytes(bytes),
      category,
      count === 1 ? "" : `in ${count} buffers`,
    ]);
}

/**
 * The tokens of a block that a weight gradient is estimated from: those with a weight, in order, so
 * that sums over them have a fixed one.
 *
 * @module
 */
import type { KernelContext } from "./context.ts";
import { inBlocks, KEPT_COUNT, keptRow } from "./logit.ts";
import { LISTING, prefixSum } from "./select_tokens.ts";
import { block, kernel, plus } from "./text.ts";
import { keptHeader } from "../../planner/schedule/layout.ts";
import type { Schedule } from "../../planner/schedule/schedule.ts";

/** How many tokens of the block are in the sample. */
export const SAMPLED_COUNT = "sample[params.block]";

/** Returns the position of the token at a place in the block's sample. */
export function sampledPosition({ block }: Schedule, place: string): string {
  return `sample[${plus(keptHeader(block.count), inBlocks(place))}]`;
}

/** Lists the positions of a block's kept tokens that have a weight; one workgroup goes through all. */
export function sampleTokens(context: KernelContext): string {
  const { dispatch, schedule } = context;
  const { lanes, tokensPerLane } = LISTING;
  const hasWeight = `token_weights[${inBlocks(keptRow(context, "position"))}] != 0f`;
  const ofMine = (lines: readonly string[]) =>
    block(
      [block(lines, `if (${hasWeight})`)],
      `for (var position = first; position < last; position++)`,
    );
  return kernel(dispatch, {
    title: "the positions of the block's kept tokens that have a weight.",
    memory: [`var<workgroup> counts: array<u32, ${lanes}>;`],
    workgroup: lanes,
    builtins: ["lane"],
    body: [
      `let kept_count = ${KEPT_COUNT};`,
      `var listed = 0u;`,
      block([
        `// Each invocation counts what has a weight of some consecutive tokens.`,
        `let first = min(chunk + lane * ${tokensPerLane}u, kept_count);`,
        `let last = min(first + ${tokensPerLane}u, kept_count);`,
        `var mine = 0u;`,
        ofMine([`mine++;`]),
        ...prefixSum(),
        `var place = listed + counts[lane] - mine;`,
        ofMine([`${sampledPosition(schedule, "place")} = position;`, `place++;`]),
        `listed += counts[${lanes - 1}u];`,
        `workgroupBarrier();`,
      ], `for (var chunk = 0u; chunk < kept_count; chunk += ${lanes * tokensPerLane}u)`),
      block([`${SAMPLED_COUNT} = listed;`], `if (lane == 0u)`),
    ],
  });
}

/**
 * The kernel that comes first: which tokens count, where their targets are, and
 * what a mean divides by. Its one workgroup goes through all tokens, so that
 * every sum has a fixed order.
 *
 * @module
 */
import { LINEAR_WORKGROUP } from "../../planner/schedule/combining.ts";
import { keptHeader } from "../../planner/schedule/layout.ts";
import { wholeVocab } from "../../planner/schedule/schedule.ts";
import type { KernelContext } from "./context.ts";
import { sumLanes, total } from "./totals.ts";
import { binds, block, intLiteral, kernel, literal, plus } from "./text.ts";

const LANES = LINEAR_WORKGROUP;

/** Consecutive tokens that one invocation looks at. */
const TOKENS_PER_LANE = 16;

/**
 * Lists each block's rows, those of kept tokens first and in order, with the row
 * of the weight that is the target of each, and adds up what `mean` divides by. A
 * target outside the vocabulary counts as ignored, so that no kernel reads past a
 * matrix, and is reported. Tokens that have no target, as `targets` is bound to an end
 * before theirs, count as ignored too: a step of fewer tokens is one of fewer targets.
 */
export function selectTokens(context: KernelContext): string {
  const { dispatch, schedule } = context;
  const { problem, block: blocks } = schedule;
  const weighted = binds(dispatch, "class_weight");
  const ignored = intLiteral(problem.ignoreIndex);
  const perChunk = LANES * TOKENS_PER_LANE;
  return kernel(dispatch, {
    title:
      "each block's rows, those of kept tokens first, with their targets; and what mean divides by.",
    memory: [
      `var<workgroup> counts: array<u32, ${LANES}>;`,
      `var<workgroup> sums: array<f32, ${LANES}>;`,
      `var<workgroup> bad_tokens: array<u32, ${LANES}>;`,
    ],
    functions: [
      `// The target of a token: to ignore where no more targets are bound.
fn target_of(token: u32) -> i32 {
  if (token >= arrayLength(&targets)) {
    return ${ignored};
  }
  return targets[token];
}`,
      `// Whether a target is an id of the vocabulary, and not the one to ignore.
fn is_kept(target_id: i32) -> bool {
  return target_id != ${ignored} && target_id >= 0 && u32(target_id) < ${wholeVocab(schedule)}u;
}`,
    ],
    workgroup: LANES,
    builtins: ["lane"],
    body: [
      `// kept has the count of each block's kept tokens, and from word ${
        keptHeader(blocks.count)
      } on each block's rows.`,
      `// What the invocation finds: kept tokens, the weights of their targets, the first bad target.`,
      `var kept_total = 0u;`,
      `var weight = 0f;`,
      `var bad = 0xffffffffu;`,
      block([
        `let block_start = block * ${blocks.tokens}u;`,
        `let block_end = min(block_start + ${blocks.tokens}u, ${problem.tokens}u);`,
        `var kept_in_block = 0u;`,
        block([
          `// Each invocation counts what it keeps of some consecutive tokens.`,
          `let first = min(chunk + lane * ${TOKENS_PER_LANE}u, block_end);`,
          `let last = min(first + ${TOKENS_PER_LANE}u, block_end);`,
          `var mine = 0u;`,
          block([
            `let target_id = target_of(token);`,
            `if (is_kept(target_id)) {`,
            `  mine++;`,
            `  weight += ${weighted ? "class_weight[u32(target_id)]" : "1f"};`,
            `} else if (target_id != ${ignored}) {`,
            `  bad = min(bad, token);`,
            `}`,
          ], `for (var token = first; token < last; token++)`),
          ...prefixSum(),
          `// Rows of kept tokens follow each other from the block's start on, the others from its end back.`,
          `var position = kept_in_block + counts[lane] - mine;`,
          block([
            `let row = token - block_start;`,
            `let target_id = target_of(token);`,
            `if (is_kept(target_id)) {`,
            `  kept[${plus(keptHeader(blocks.count), "block_start + position")}] = row;`,
            `  kept_targets[token] = u32(target_id);`,
            ...(binds(dispatch, "seeds")
              ? [`  kept_targets[${plus(problem.tokens, "token")}] = seeds[token];`]
              : []),
            `  position++;`,
            `} else {`,
            `  kept[${plus("block_end + position - row", keptHeader(blocks.count) - 1)}] = row;`,
            `}`,
          ], `for (var token = first; token < last; token++)`),
          `kept_in_block += counts[${LANES - 1}u];`,
          `workgroupBarrier();`,
        ], `for (var chunk = block_start; chunk < block_end; chunk += ${perChunk}u)`),
        block([`kept[block] = kept_in_block;`], `if (lane == 0u)`),
        `kept_total += kept_in_block;`,
      ], `for (var block = 0u; block < ${blocks.count}u; block++)`),
      `// The weights of the kept tokens' targets, and the first target that is no id.`,
      ...sumLanes("sums", "weight", LANES),
      `bad_tokens[lane] = bad;`,
      `workgroupBarrier();`,
      block([
        block(
          [`bad = min(bad, bad_tokens[other]);`],
          `for (var other = 1u; other < ${LANES}u; other++)`,
        ),
        `${total("kept")} = kept_total;`,
        `${total("keptWeight")} = bitcast<u32>(sums[0]);`,
        `${total("badTarget")} = bad + 1u;`,
        ...(weighted
          ? []
          : [`${total("totalWeight")} = bitcast<u32>(${literal(wholeVocab(schedule))});`]),
      ], `if (lane == 0u)`),
      ...(weighted ? sumOfClassWeights(wholeVocab(schedule)) : []),
    ],
  });
}

/** Consecutive tokens that each invocation looks at, and how many there are of these. */
export const LISTING = { lanes: LANES, tokensPerLane: TOKENS_PER_LANE } as const;

/** Returns statements that replace each invocation's count by the sum up to its own, in `counts`. */
export function prefixSum(): string[] {
  return [
    `// Sums over the invocations up to each, in steps that double.`,
    `counts[lane] = mine;`,
    `workgroupBarrier();`,
    block([
      `var before = 0u;`,
      block([`before = counts[lane - step];`], `if (lane >= step)`),
      `workgroupBarrier();`,
      `counts[lane] += before;`,
      `workgroupBarrier();`,
    ], `for (var step = 1u; step < ${LANES}u; step *= 2u)`),
  ];
}

/** Returns statements that add up all class weights, which label smoothing needs. */
function sumOfClassWeights(vocab: number): string[] {
  return [
    `// The sum of all class weights.`,
    `var vocab_weight = 0f;`,
    block(
      [`vocab_weight += class_weight[id];`],
      `for (var id = lane; id < ${vocab}u; id += ${LANES}u)`,
    ),
    `workgroupBarrier();`,
    ...sumLanes("sums", "vocab_weight", LANES),
    block([`${total("totalWeight")} = bitcast<u32>(sums[0]);`], `if (lane == 0u)`),
  ];
}

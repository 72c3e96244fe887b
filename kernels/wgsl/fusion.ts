/**
 * Kernels of dynamic logit fusion: what a window's logits of three heads add to the
 * moments of every distribution that a search looks at, and the strength that follows.
 *
 * @module
 */
import {
  type Compared,
  DISTRIBUTIONS,
  INDICES,
  mismatch,
  type Moments,
  STRENGTHS,
} from "../../planner/heads/fusion.ts";
import { LINEAR_WORKGROUP } from "../../planner/schedule/combining.ts";
import {
  type MOMENTS,
  type MomentsRow,
  momentsRow,
  tokenStride,
} from "../../planner/schedule/layout.ts";
import { WGSL } from "./arithmetic.ts";
import type { KernelContext } from "./context.ts";
import { inBlocks, KEPT_COUNT, keptTarget } from "./logit.ts";
import { NO_ID } from "./statistic_text.ts";
import { OnlineStatistics } from "./statistics.ts";
import { block, COMPONENTS, kernel, LOG2E, LOWEST, plus, scaled } from "./text.ts";

/** Invocations that take the same logits, each for a distribution of its own; one has none. */
const SETS = 24;

/** Parts of a row that invocations of one distribution share. */
const PARTS = 4;

/** Returns where a row of a token's moments lies; that of a distribution is `row + set`. */
function moment(context: KernelContext, row: MomentsRow, set?: string): string {
  const stride = tokenStride(context.schedule.problem);
  const first = momentsRow(row) * stride;
  const at = inBlocks("position");
  return `moments[${set === undefined ? plus(first, at) : plus(scaled(set, stride), first, at)}]`;
}

/**
 * Folds a window of stored logits into the moments of all distributions, a workgroup for each
 * token. Every invocation goes through all logits for a distribution of its own, so that none
 * keeps more than one.
 */
export function fusionMoments(context: KernelContext): string {
  const { dispatch, schedule: { logitStride } } = context;
  const strengths = STRENGTHS.length;
  const isOf = (name: "expert" | "base") => `which == ${INDICES[name]}u`;
  const each = (make: (component: string, index: number) => string[]) =>
    COMPONENTS.flatMap((component, index) => make(component, index));
  const fold = [
    `let top = max(largest, other.x);`,
    `let mine = exp2((largest - top) * ${LOG2E});`,
    `let theirs = exp2((other.x - top) * ${LOG2E});`,
    `id = select(`,
    `  select(id, min(id, other_id), other.x == largest),`,
    `  other_id,`,
    `  other.x > largest,`,
    `);`,
    `sum = sum * mine + other.y * theirs;`,
    `weighted = weighted * mine + other.z * theirs;`,
    `largest = top;`,
  ];
  return kernel(dispatch, {
    title: "a window's logits of three heads folded into the moments of every fused softmax.",
    types: {
      logits: "vec4<f32>",
      expert_logits: "vec4<f32>",
      base_logits: "vec4<f32>",
    },
    memory: [
      `var<workgroup> sets: array<vec3<f32>, ${SETS * PARTS}>;`,
      `var<workgroup> ids: array<u32, ${SETS * PARTS}>;`,
    ],
    workgroup: SETS * PARTS,
    builtins: ["group", "lane"],
    body: [
      `let position = group.x;`,
      block([`return;`], `if (position >= ${KEPT_COUNT})`),
      `let id_of_target = ${keptTarget(context, "position")};`,
      `// The invocation's distribution: what its logits are made of.`,
      `let which = lane % ${SETS}u;`,
      `let part = lane / ${SETS}u;`,
      `let fuses = which < ${strengths}u;`,
      `let of_large = select(0f, 1f, fuses);`,
      `let of_difference = select(select(0f, 1f, ${isOf("expert")}), f32(which) / 10f, fuses);`,
      `let of_base = select(0f, 1f, ${isOf("expert")} || ${isOf("base")});`,
      `// Its largest logit, the sum of exponentials relative to it, that of those times the`,
      `// difference of expert and base, and the id of the largest.`,
      `var largest = ${LOWEST};`,
      `var sum = 0f;`,
      `var weighted = 0f;`,
      `var id = ${NO_ID};`,
      block([
        `let at = position * ${logitStride / 4}u + params.column / 4u + quad;`,
        `let large = logits[at];`,
        `let base = base_logits[at];`,
        `var difference = expert_logits[at] - base;`,
        `var z = of_large * large + of_difference * difference + of_base * base;`,
        `let first = quad * 4u;`,
        `// What is past the window does not count.`,
        ...each((component, index) => [
          `let exists${index} = ${plus("first", index)} < params.vocab;`,
          `z.${component} = select(${LOWEST}, z.${component}, exists${index});`,
          `difference.${component} = select(0f, difference.${component}, exists${index});`,
        ]),
        `let top = max(largest, max(max(z.x, z.y), max(z.z, z.w)));`,
        block(
          // Backwards, so that among equals the smallest id stays.
          COMPONENTS.map((component, index) =>
            `id = select(id, ${plus("params.vocab_start", "first", index)}, z.${component} == top);`
          ).reverse(),
          `if (top > largest)`,
        ),
        `let rescale = exp2((largest - top) * ${LOG2E});`,
        `let shares = exp2((z - top) * ${LOG2E});`,
        `sum = sum * rescale + dot(shares, vec4<f32>(1f));`,
        `weighted = weighted * rescale + dot(shares, difference);`,
        `largest = top;`,
        block(
          each((component, index) => [
            block(
              [
                `${moment(context, "largeTarget")} = bitcast<u32>(large.${component});`,
                `${moment(context, "differenceTarget")} = bitcast<u32>(difference.${component});`,
              ],
              `if (exists${index} && ${
                plus("params.vocab_start", "first", index)
              } == id_of_target)`,
            ),
          ]),
          `if (which == 0u)`,
        ),
      ], `for (var quad = part; quad * 4u < params.vocab; quad += ${PARTS}u)`),
      `// The parts of a row become one, and with it what the windows before left.`,
      `sets[lane] = vec3<f32>(largest, sum, weighted);`,
      `ids[lane] = id;`,
      `workgroupBarrier();`,
      block([`return;`], `if (part > 0u || which >= ${DISTRIBUTIONS.length}u)`),
      block(
        [
          `let other = sets[lane + part_of_row * ${SETS}u];`,
          `let other_id = ids[lane + part_of_row * ${SETS}u];`,
          ...fold,
        ],
        `for (var part_of_row = 1u; part_of_row < ${PARTS}u; part_of_row++)`,
      ),
      block([
        `let other = vec3<f32>(`,
        ...(["max", "sum", "weighted"] as const).map((row) =>
          `  bitcast<f32>(${moment(context, row, "which")}),`
        ),
        `);`,
        `let other_id = ${moment(context, "argmax", "which")};`,
        ...fold,
      ], `if (params.first == 0u)`),
      ...Object.entries(
        {
          max: "bitcast<u32>(largest)",
          sum: "bitcast<u32>(sum)",
          weighted: "bitcast<u32>(weighted)",
          argmax: "id",
        } satisfies Record<typeof MOMENTS[number], string>,
      ).map(([row, value]) => `${moment(context, row as MomentsRow, "which")} = ${value};`),
    ],
  });
}

/**
 * Finds the strength of each kept token, the least of those that are equally good, and hands
 * the statistics of the softmax that is fused with it to those who merge.
 */
export function fusionStrength(context: KernelContext): string {
  const { dispatch, schedule: { problem } } = context;
  const online = new OnlineStatistics(problem);
  const of = (name: string): Moments<string> => ({ lse: `${name}.lse`, mean: `${name}.mean` });
  const compared: Compared<string> = {
    fused: of("fused"),
    large: of("large"),
    expert: of("expert"),
    base: of("base"),
  };
  const at = inBlocks("position");
  const word = (row: MomentsRow, set?: string) => `bitcast<f32>(${moment(context, row, set)})`;
  const chosen: Readonly<Record<string, string>> = {
    max: word("max", "chosen"),
    sum: word("sum", "chosen"),
    target: `${word("largeTarget")} + strength * ${word("differenceTarget")}`,
    argmax: moment(context, "argmax", "chosen"),
    strength: "strength",
  };
  return kernel(dispatch, {
    title: "the strength of each token, and the statistics of what is fused with it.",
    functions: [
      `// A distribution: its log-sum-exp, and the mean of expert less base under it.
struct Moments {
  lse: f32,
  mean: f32,
}

fn moments_of(which: u32, position: u32) -> Moments {
  let sum = ${word("sum", "which")};
  let mean = ${word("weighted", "which")} / sum;
  return Moments(${word("max", "which")} + log(sum), mean);
}`,
    ],
    workgroup: LINEAR_WORKGROUP,
    builtins: ["invocation"],
    body: [
      `let position = invocation.x;`,
      block([`return;`], `if (position >= ${KEPT_COUNT})`),
      ...(["large", "expert", "base"] as const).map((name) =>
        `let ${name} = moments_of(${INDICES[name]}u, position);`
      ),
      `var chosen = 0u;`,
      `var least = 3e38f;`,
      block([
        `let fused = moments_of(which, position);`,
        `let tried = f32(which) / 10f;`,
        `let mismatch = ${mismatch(WGSL, "tried", compared)};`,
        block([`least = mismatch;`, `chosen = which;`], `if (mismatch < least)`),
      ], `for (var which = 0u; which < ${STRENGTHS.length}u; which++)`),
      `let strength = f32(chosen) / 10f;`,
      ...online.statistics.map(({ name, type }) => {
        const value = chosen[name]!;
        return `${online.slot(name, 0, at)} = ${
          type === "u32" ? value : `bitcast<u32>(${value})`
        };`;
      }),
    ],
  });
}

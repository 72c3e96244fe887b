/**
 * From the sum of a dot product to a logit, and from a logit to its gradient:
 * the only place that knows bias, scale, softcap and the four coefficients.
 *
 * @module
 */
import {
  coefficientRows,
  followsTargets,
  keptHeader,
  TILE_FLAG,
  tokenStride,
} from "../../planner/schedule/layout.ts";
import { wantsEntropy } from "../../planner/schedule/statistics.ts";
import {
  filterThreshold,
  type Head,
  headOf,
  learnerOf,
  type Problem,
} from "../../planner/problem.ts";
import { LARGEST_F32 } from "../../planner/dtype.ts";
import type { KernelContext } from "./context.ts";
import { SEED_OF_TOKEN } from "./draw_statistics.ts";
import { binds, type Index, index, literal, LOG2E, LOWEST, over, plus, scaled } from "./text.ts";

/**
 * Returns the row of the rank's own that a vocabulary id has: ids are compared globally, rows are
 * held locally.
 */
export function ownRow({ schedule: { share } }: KernelContext, id: string): string {
  return share?.vocabStart ? `${id} - ${share.vocabStart}u` : id;
}

/** Returns the bias of a vocabulary id, where there is one. */
export function biasOf(context: KernelContext, id: string): string | undefined {
  return headOf(context.schedule.problem).bias ? `bias[${ownRow(context, id)}]` : undefined;
}

/** Returns the weight of a vocabulary id in the smoothing term. */
export function smoothingWeightOf(context: KernelContext, id: string): string {
  return binds(context.dispatch, "class_weight") ? `class_weight[${id}]` : "1f";
}

/** `logit_of(sum, bias)`, or `logit_of(sum)` without a bias: `z = capped(scale * (sum + bias))`. */
export function logitFunction({ logitScale, softcap, bias }: Head): string {
  const parameters = bias ? "sum: f32, bias_of_id: f32" : "sum: f32";
  const raw = bias ? "(sum + bias_of_id)" : "sum";
  const scaledLogit = logitScale === 1 ? raw : `${raw} * ${literal(logitScale)}`;
  if (softcap === undefined) {
    // A bias may be the lowest f32, to mask an id: no scale may make it infinite.
    const finite = bias && logitScale !== 1
      ? `clamp(${scaledLogit}, -${literal(LARGEST_F32)}, ${literal(LARGEST_F32)})`
      : scaledLogit;
    return `// A logit, from the sum of a dot product.
fn logit_of(${parameters}) -> f32 {
  return ${finite};
}`;
  }
  return `// A logit, from the sum of a dot product: capped by a tanh made of exp2, as WGSL's own may
// overflow for large arguments where this form only ever shrinks.
fn logit_of(${parameters}) -> f32 {
  let ratio = ${scaledLogit} * ${literal(1 / softcap)};
  let shrunk = exp2(abs(ratio) * ${literal(-2 * Math.LOG2E)});
  return sign(ratio) * ${literal(softcap)} * (1f - shrunk) / (1f + shrunk);
}`;
}

/** Returns the logit of a vocabulary id from its sum. */
export function logitText(sum: string, bias: string | undefined): string {
  return bias === undefined ? `logit_of(${sum})` : `logit_of(${sum}, ${bias})`;
}

/**
 * Returns `gradient_of(z, id, token)`, between them the id's weight where labels are smoothed:
 * the gradient of the reduced loss by the sum of the dot product,
 * `dz = p (a + c z) + b [v = y] + d u` through softcap and scale. `token` is the struct that
 * {@linkcode coefficientsFunction} gives.
 */
export function gradientFunction(problem: Problem): string {
  const { labelSmoothing, distill } = problem;
  // Where p is 0, a masked logit must not make its product infinite.
  const slope = wantsEntropy(problem) ? `(token.a + token.c * max(z, ${LOWEST}))` : "token.a";
  const parameters = [
    "z: f32",
    ...(distill ? ["teacher_z: f32"] : []),
    "id: u32",
    ...(labelSmoothing > 0 ? ["weight_of_id: f32"] : []),
    "token: Coefficients",
  ].join(", ");
  if (!followsTargets(problem)) {
    return `// The gradient by the sum of a dot product, of which no target has a part: through cap and scale.
fn gradient_of(${parameters}) -> f32 {
  return ${["pull_of(z, teacher_z, token)", ...slopeOf("z", learnerOf(problem))].join(" * ")};
}`;
  }
  return `// The gradient by the sum of a dot product: from softmax and target to the logit, and on through
// cap and scale.
fn gradient_of(${parameters}) -> f32 {
  let p = exp2((z - token.lse) * ${LOG2E});
  let dz = p * ${slope} + select(0f, token.b, id == token.id_of_target)${
    labelSmoothing > 0 ? " + token.d * weight_of_id" : ""
  }${distill ? " + pull_of(z, teacher_z, token)" : ""};
  return ${["dz", ...slopeOf("z", learnerOf(problem))].join(" * ")};
}`;
}

/** Returns the factors of a logit's derivative by the sum of a dot product: those of cap and scale. */
function slopeOf(z: string, { softcap, logitScale }: Head): string[] {
  return [
    ...(softcap === undefined ? [] : [`(1f - ${z} * ${z} * ${literal(1 / (softcap * softcap))})`]),
    ...(logitScale === 1 ? [] : [literal(logitScale)]),
  ];
}

/** Returns `teacher_gradient_of(z, teacher_z, token)`: that by the teacher's own sum. */
export function teacherGradientFunction(problem: Problem): string {
  const dz = "teacher_pull_of(z, teacher_z, token)";
  return `// The gradient by the teacher's sum of a dot product.
fn teacher_gradient_of(z: f32, teacher_z: f32, token: Coefficients) -> f32 {
  return ${[dz, ...slopeOf("teacher_z", problem.heads[1]!)].join(" * ")};
}`;
}

/** Returns the call of `gradient_of`, of variables `z`, `id` and `token`. */
export function gradientText(context: KernelContext): string {
  const { labelSmoothing, distill } = context.schedule.problem;
  const given = [
    "z",
    ...(distill ? ["teacher_z"] : []),
    "id",
    ...(labelSmoothing > 0 ? [smoothingWeightOf(context, "id")] : []),
    "token",
  ];
  return `gradient_of(${given.join(", ")})`;
}

/** Returns the struct `Coefficients` and `coefficients_of(position)` that reads it. */
export function coefficientsFunction(problem: Problem): string {
  const stride = tokenStride(problem);
  const rows = coefficientRows(problem);
  const words = rows.map((name, row) => {
    const word = `coefficients[${plus(row * stride, "position")}]`;
    return name === "target" ? word : `bitcast<f32>(${word})`;
  });
  const fields = rows.map((name) => name === "target" ? "id_of_target: u32," : `${name}: f32,`);
  const ofTargets = followsTargets(problem);
  const pull = rows.indexOf("pull");
  if (pull >= 0) {
    const meaning =
      "// Of the divergence from a teacher: what it counts, and what its gradient goes by.";
    fields.splice(pull, 0, meaning);
  }
  const meaning = ofTargets
    ? `// What the gradient by a token's logits is made of: that by logit z of an id is
// p * (a + c * z) + d * weight_of_id, and b more for the target, where p is the id's softmax.`
    : "// What the gradient by a token's logits is made of.";
  return `${meaning}
struct Coefficients {
  ${fields.join("\n  ")}
}

// Those of the kept token at a position among all blocks' tokens.
fn coefficients_of(position: u32) -> Coefficients {
  return Coefficients(
    ${words.join(",\n    ")},
  );
}`;
}

/**
 * Returns the flag of the tile of logit gradients that holds some row of the block and some column
 * of the window.
 */
export function tileFlag({ schedule }: KernelContext, row: Index, column: Index): string {
  const { tile, block } = schedule;
  const perBlock = Math.ceil(block.tokens / tile.rows);
  const vocabTile = plus("params.vocab_tile", over(column, tile.cols));
  const ofBlock = block.count === 1 ? [] : [scaled("params.block", perBlock)];
  return `tile_flags[${
    plus(scaled(vocabTile, perBlock * block.count), ...ofBlock, over(row, tile.rows))
  }]`;
}

/** `deviation_of(z, id, token)`: how far the softmax is from the target's, `|p - [v = y]|`. */
export const DEVIATION_FUNCTION = `// How far a logit's softmax is from the target's.
fn deviation_of(z: f32, id: u32, token: Coefficients) -> f32 {
  return abs(exp2((z - token.lse) * ${LOG2E}) - select(0f, 1f, id == token.id_of_target));
}`;

/**
 * Returns statements that note whether a logit keeps its tile, if there is a filter: of variables
 * `z`, `id` and `token`, and where it may not exist, `exists`.
 */
export function noteBusy({ schedule: { problem } }: KernelContext, exists?: "exists"): string[] {
  const threshold = filterThreshold(problem);
  const deviates = `deviation_of(z, id, token) >= ${literal(threshold)}`;
  const counts = exists === undefined ? deviates : `(${exists} && ${deviates})`;
  return threshold > 0 ? [`busy = busy || ${counts};`] : [];
}

/**
 * Returns text that agrees, across a workgroup, whether any invocation found a tile `busy`, and
 * writes the tile's flag. Order does not matter, so the result is the same from run to run.
 */
export function agreeOnTile(flag: string): string[] {
  return [
    `// The tile is busy if any of its logits is; who reads it skips one that is idle.`,
    `if (busy) {`,
    `  atomicStore(&any_busy, 1u);`,
    `}`,
    `workgroupBarrier();`,
    `if (lane == 0u) {`,
    `  ${flag} = select(${TILE_FLAG.idle}u, ${TILE_FLAG.busy}u, atomicLoad(&any_busy) == 1u);`,
    `}`,
  ];
}

/** Workgroup memory that {@linkcode agreeOnTile} needs; WGSL clears it. */
export const AGREEMENT_MEMORY = "var<workgroup> any_busy: atomic<u32>;";

/** Tokens of the block that are not ignored; uniform across the workgroup. */
export const KEPT_COUNT = "kept[params.block]";

/** Returns the position of a token of the block among those of all blocks. */
export function inBlocks(position: Index): string {
  return plus("params.token_start", position);
}

/** Returns the row within its block of the kept token at a position within its block. */
export function keptRow({ schedule }: KernelContext, position: string): string {
  return `kept[${plus(keptHeader(schedule.block.count), inBlocks(position))}]`;
}

/**
 * Returns the row of the whole weight that is the target of the kept token at a position within its
 * block. Targets lie by token: a driver starts loads by position before the product, whose
 * registers they then take (4 % of `forward` on an H100). The header comes first in the sum of an
 * index: with it last, `forward` takes 0.5 to 2.3 % longer there (bench/h100.md).
 */
export function keptTarget({ schedule }: KernelContext, position: string): string {
  const row = `kept[${index(keptHeader(schedule.block.count))} + ${inBlocks(position)}]`;
  return `kept_targets[${inBlocks(row)}]`;
}

/** Returns a statement that names the seed of that token, where an id is drawn. */
export function namesSeed({ schedule }: KernelContext, position: string): string[] {
  const { problem, block } = schedule;
  if (problem.sampleTemperature === undefined) return [];
  const row = `kept[${index(keptHeader(block.count))} + ${inBlocks(position)}]`;
  return [`let ${SEED_OF_TOKEN} = kept_targets[${plus(problem.tokens, inBlocks(row))}];`];
}

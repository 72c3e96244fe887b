/**
 * From the sum of a dot product to a logit, and from a logit to its gradient:
 * the only place that knows bias, scale, softcap and the four coefficients.
 *
 * @module
 */
import {
  COEFFICIENT_ROWS,
  keptHeader,
  tokenStride,
  wantsEntropy,
} from "../planner/strategies/layout.ts";
import type { Problem } from "../planner/problem.ts";
import { binds, type KernelContext, literal, LOG2E } from "./wgsl.ts";

/** Row of the rank's own that a vocabulary id has: ids are compared globally, rows are held locally. */
export function ownRow({ schedule: { share } }: KernelContext, id: string): string {
  return share?.vocabStart ? `${id} - ${share.vocabStart}u` : id;
}

/** Bias of a vocabulary id, or nothing to add. */
export function biasOf(context: KernelContext, id: string): string {
  return binds(context.dispatch, "bias") ? `bias[${ownRow(context, id)}]` : "0f";
}

/** Weight of a vocabulary id in the smoothing term. */
export function smoothingWeightOf(context: KernelContext, id: string): string {
  return binds(context.dispatch, "class_weight") ? `class_weight[${id}]` : "1f";
}

/** `logit_of(sum, bias)`: `z = capped(scale * (sum + bias))`. */
export function logitFunction({ logitScale, softcap, bias }: Problem): string {
  const raw = bias ? "(sum + bias_of_id)" : "sum";
  const scaled = logitScale === 1 ? raw : `${raw} * ${literal(logitScale)}`;
  if (softcap === undefined) {
    return `fn logit_of(sum: f32, bias_of_id: f32) -> f32 {\n  return ${scaled};\n}`;
  }
  // WGSL's tanh may overflow for large arguments; this form only ever shrinks.
  return `fn logit_of(sum: f32, bias_of_id: f32) -> f32 {
  let ratio = ${scaled} * ${literal(1 / softcap)};
  let shrunk = exp2(abs(ratio) * ${literal(-2 * Math.LOG2E)});
  return sign(ratio) * ${literal(softcap)} * (1f - shrunk) / (1f + shrunk);
}`;
}

/**
 * `gradient_of(z, id, weight, token)`: the gradient of the reduced loss by the
 * sum of the dot product, `dz = p (a + c z) + b [v = y] + d u` through softcap
 * and scale. `token` is the struct that {@linkcode coefficientsFunction} gives.
 */
export function gradientFunction(problem: Problem): string {
  const { logitScale, softcap, labelSmoothing } = problem;
  const slope = wantsEntropy(problem) ? "(token.a + token.c * z)" : "token.a";
  const chain = [
    ...(softcap === undefined ? [] : [`(1f - z * z * ${literal(1 / (softcap * softcap))})`]),
    ...(logitScale === 1 ? [] : [literal(logitScale)]),
  ];
  return `fn gradient_of(z: f32, id: u32, weight_of_id: f32, token: Coefficients) -> f32 {
  let p = exp2((z - token.lse) * ${LOG2E});
  let dz = p * ${slope} + select(0f, token.b, id == token.id_of_target)${
    labelSmoothing > 0 ? " + token.d * weight_of_id" : ""
  };
  return ${["dz", ...chain].join(" * ")};
}`;
}

/** The struct `Coefficients` and `coefficients_of(position)` that reads it. */
export function coefficientsFunction(problem: Problem): string {
  const stride = tokenStride(problem);
  const fields = COEFFICIENT_ROWS.map((name, row) => {
    const word = `coefficients[${row * stride}u + position]`;
    return name === "target" ? word : `bitcast<f32>(${word})`;
  });
  return `struct Coefficients {
  a: f32,
  b: f32,
  c: f32,
  d: f32,
  lse: f32,
  id_of_target: u32,
}

fn coefficients_of(position: u32) -> Coefficients {
  return Coefficients(
    ${fields.join(",\n    ")},
  );
}`;
}

/** What a tile flag says of a tile of logit gradients. */
export const TILE = { busy: 1, idle: 2 } as const;

/** The flag of the tile at some token and vocabulary tile of the block and window. */
export function tileFlag(
  { schedule }: KernelContext,
  tokenTile: string,
  vocabTile: string,
): string {
  const { tile, block } = schedule;
  const perBlock = Math.ceil(block.tokens / tile.rows);
  return `tile_flags[(params.vocab_tile + ${vocabTile}) * ${
    perBlock * block.count
  }u + params.block * ${perBlock}u + ${tokenTile}]`;
}

/** `deviation_of(z, id, token)`: how far the softmax is from the target's, `|p - [v = y]|`. */
export const DEVIATION_FUNCTION = `fn deviation_of(z: f32, id: u32, token: Coefficients) -> f32 {
  return abs(exp2((z - token.lse) * ${LOG2E}) - select(0f, 1f, id == token.id_of_target));
}`;

/**
 * Text that agrees, across a workgroup, whether any invocation found a tile
 * `busy`, and writes the tile's flag. Order does not matter, so the result is
 * the same from run to run.
 */
export function agreeOnTile(flag: string): string[] {
  return [
    `if (busy) {`,
    `  atomicStore(&any_busy, 1u);`,
    `}`,
    `workgroupBarrier();`,
    `let worth_storing = atomicLoad(&any_busy) == 1u;`,
    `if (lane == 0u) {`,
    `  ${flag} = select(${TILE.idle}u, ${TILE.busy}u, worth_storing);`,
    `}`,
  ];
}

/** Workgroup memory that {@linkcode agreeOnTile} needs; WGSL clears it. */
export const AGREEMENT_MEMORY = "var<workgroup> any_busy: atomic<u32>;";

/** Tokens of the block that are not ignored; uniform across the workgroup. */
export const KEPT_COUNT = "kept[params.block]";

/** The row within its block of the kept token at a position within its block. */
export function keptRow({ schedule }: KernelContext, position: string): string {
  return `kept[${keptHeader(schedule.block.count)}u + params.token_start + ${position}]`;
}

/**
 * Logit gradients of 16 bits, for products in subgroup matrices. A mean over many
 * tokens makes them too small for an f16, so they are kept times a power of two: the
 * largest that leaves room for the largest gradient there may be. What softmax gives
 * one id of a large vocabulary, 1 / V, then is a normal number.
 *
 * @module
 */
import { type Distill, mirrored, mostSlope } from "../../planner/heads/distill.ts";
import { type Head, learnerOf, type Problem, teacherLearns } from "../../planner/problem.ts";
import type { Schedule } from "../../planner/schedule/schedule.ts";
import { followsTargets, gradientType } from "../../planner/schedule/layout.ts";
import { literal } from "./text.ts";

/** Returns whether a schedule keeps logit gradients in 16 bits. */
export function keepsHalves({ tile }: Pick<Schedule, "tile">): boolean {
  return gradientType(tile) === "f16";
}

/** A token's coefficients, as text. No `c` stands for 0. */
type Given = Readonly<Record<"a" | "b" | "d" | "lse" | "totalWeight" | "pull", string>> & {
  readonly c?: string;
};

/**
 * Returns the most that a logit gradient of a token may be in size, of whichever head learns, from
 * its coefficients: `p (a + c z) + b [v = y] + d u`, of which `p |z - lse|` never exceeds 1 / e, and
 * what a divergence's derivative may be.
 */
export function gradientBound(problem: Problem, of: Given): string {
  const { distill, heads } = problem;
  const through = (terms: readonly string[], { logitScale }: Head) => {
    const scale = Math.abs(logitScale);
    return scale === 1 ? terms.join(" + ") : `(${terms.join(" + ")}) * ${literal(scale)}`;
  };
  const students = through([
    ...(followsTargets(problem) ? ofTargets(problem, of) : []),
    ...(distill ? [mostPull(distill, of)] : []),
  ], learnerOf(problem));
  if (!distill || !teacherLearns(problem)) return students;
  return `max(${students}, ${through([mostPull(mirrored(distill), of)], heads[1]!)})`;
}

/** Returns the most that a divergence's part may be. */
function mostPull(distill: Distill, { pull }: Given): string {
  const most = mostSlope(distill);
  if (most === undefined) throw new Error(`Nothing bounds the derivative of ${distill.divergence}`);
  const size = literal(most.size);
  return `abs(${pull}) * ${most.divergence ? `(${size} + abs(divergence))` : size}`;
}

/** Returns the most that what follows from targets may be, in terms that add up. */
function ofTargets({ labelSmoothing }: Problem, of: Given): string[] {
  const slope = of.c === undefined
    ? [`abs(${of.a})`]
    : [`abs(${of.a} + ${of.c} * ${of.lse})`, `abs(${of.c}) * ${literal(1 / Math.E)}`];
  return [
    ...slope,
    `abs(${of.b})`,
    // No class weighs more than all together.
    ...(labelSmoothing > 0 ? [`abs(${of.d}) * ${of.totalWeight}`] : []),
  ];
}

/** Where the bits of the largest logit gradient there may be are. */
export const GRADIENT_BOUND = "gradient_bound[0]";

/**
 * Returns the exponent, with its bias, of what has some bits: within what leaves the powers of two
 * below normal numbers.
 */
export function exponentOf(bits: string): string {
  return `clamp(${bits} >> 23u, 15u, 254u)`;
}

/** Returns the power of two that takes values of an exponent to 2^14, and its inverse. */
export function powersOf(exponent: string): { readonly scale: string; readonly unscale: string } {
  return {
    scale: `bitcast<f32>((268u - ${exponent}) << 23u)`,
    unscale: `bitcast<f32>((${exponent} - 14u) << 23u)`,
  };
}

const BOUND_POWERS = powersOf("bound_exponent()");

const BOUND_EXPONENT = `// The exponent of the largest logit gradient there may be, with its bias.
fn bound_exponent() -> u32 {
  return ${exponentOf(GRADIENT_BOUND)};
}`;

/** The function `gradient_scale()`: a power of two that takes the bound's exponent to 2^14. */
export const SCALE_FUNCTION = `${BOUND_EXPONENT}

// What logit gradients of 16 bits are kept times.
fn gradient_scale() -> f32 {
  return ${BOUND_POWERS.scale};
}`;

/** The function `gradient_unscale()`: the inverse, a normal number as well. */
export const UNSCALE_FUNCTION = `${BOUND_EXPONENT}

// The inverse of what logit gradients of 16 bits are kept times.
fn gradient_unscale() -> f32 {
  return ${BOUND_POWERS.unscale};
}`;

/** Returns four numbers as halves, in two words. */
export function packed(quad: string): string {
  return `vec2<u32>(pack2x16float(${quad}.xy), pack2x16float(${quad}.zw))`;
}

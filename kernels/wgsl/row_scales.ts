/**
 * Rows in bf16 as halves, for products in subgroup matrices. A bf16 has fewer digits than a half
 * and a far wider range, so each row is multiplied by the power of two that takes its largest value
 * to the top of a half's range: what is within 2^-32 of that is held exactly. Sums are divided by the
 * powers of both rows, which is exact as well.
 *
 * A product whose depth runs over rows cannot be divided by each row's. There all rows of a matrix
 * have one power of two, that of its largest value: what small rows then lose is at most 2^-40 of
 * that value, where logit gradients kept in halves lose 2^-25 of the largest one.
 *
 * @module
 */
import { SCALED_ROWS } from "../../planner/schedule/forward.ts";
import {
  type Halved,
  type HALVES_FACTS,
  halvesWord,
  scalesStart,
} from "../../planner/schedule/layout.ts";
import { LINEAR_WORKGROUP } from "../../planner/schedule/combining.ts";
import { LARGEST_F32 } from "../../planner/dtype.ts";
import { headOf } from "../../planner/problem.ts";
import { VECTOR } from "../../planner/schedule/tile.ts";
import type { KernelContext } from "./context.ts";
import { inBlocks, KEPT_COUNT, keptRow, ownRow } from "./logit.ts";
import type { Body } from "./product.ts";
import { sumLanes } from "./totals.ts";
import { binds, block, type Index, index, kernel, literal, plus } from "./text.ts";

/** `power_below(largest)`: 2^15 over the power of two of the largest value's exponent, and `inverse_of` it. */
export const POWERS =
  `// The power of two that takes a value of some bits to the top of a half's range.
fn power_below(largest: u32) -> f32 {
  return bitcast<f32>(clamp(269u - (largest >> 23u), 15u, 253u) << 23u);
}

// The inverse of a power of two.
fn inverse_of(power: f32) -> f32 {
  return bitcast<f32>(0x7f000000u - bitcast<u32>(power));
}`;

/** `halves_of(pairs, scale)`: eight values in bf16 times a power of two, as halves. */
export const HALVES_OF = `// Eight values in bf16, two in a word, times a power of two as halves.
fn halves_of(pairs: vec4<u32>, scale: f32) -> vec4<u32> {
  let low = bitcast<vec4<f32>>(pairs << vec4<u32>(16u)) * scale;
  let high = bitcast<vec4<f32>>(pairs & vec4<u32>(0xffff0000u)) * scale;
  return vec4<u32>(
    pack2x16float(vec2<f32>(low.x, high.x)),
    pack2x16float(vec2<f32>(low.y, high.y)),
    pack2x16float(vec2<f32>(low.z, high.z)),
    pack2x16float(vec2<f32>(low.w, high.w)),
  );
}`;

/** Returns whether the operands of a dispatch become halves on their way. */
export function halving({ dispatch }: KernelContext): boolean {
  return dispatch.halving !== undefined;
}

/** Returns the scale of the hidden states of a kept token, by its position in the block, or of a row of the window. */
function scaleAt(context: KernelContext, matrix: Halved, row: Index): string {
  const place = matrix === "hidden"
    ? inBlocks(row)
    : ownRow(context, plus("params.vocab_start", row));
  return `scales[${plus(scalesStart(context.schedule.problem, matrix), place)}]`;
}

/** Returns the functions that the scales of rows are asked by: `hidden_scale(position)` and `weight_scale(row)`. */
export function scaleFunctions(context: KernelContext): string[] {
  if (!halving(context)) return [];
  return [
    POWERS,
    HALVES_OF,
    `// What the hidden states of the kept token at a position were multiplied by.
fn hidden_scale(position: u32) -> f32 {
  return ${scaleAt(context, "hidden", "position")};
}`,
    `// What a row of the window was multiplied by.
fn weight_scale(row: u32) -> f32 {
  return ${scaleAt(context, "weight", "row")};
}`,
  ];
}

/**
 * Returns a product of scaled rows whose results are divided by the scales of both, which are
 * expressions for a row of the tile and for a column.
 */
export function unscaled(
  body: Body,
  of: { readonly row: (local: string) => string; readonly column: (local: string) => string },
): Body {
  return {
    ...body,
    rounds: body.rounds.map((round) => ({
      ...round,
      before: [
        ...round.before,
        ...round.rows.map((row, i) =>
          `let row_unscale${i} = inverse_of(${of.row(body.rows[row]!)});`
        ),
      ],
      value: (i, j) =>
        `(${round.value(i, j)} * (row_unscale${i} * inverse_of(${of.column(round.columns[j]!)})))`,
    })),
  };
}

/** Returns the one scale of all rows of a matrix. */
export function scaleOfAll(matrix: Halved): string {
  return `power_below(halves[${index(halvesWord(matrix, "largest"))}])`;
}

/** `largest_in(words)`: the largest finite value of the upper halves of four words, as bits without the sign. */
const LARGEST_IN =
  `// The largest finite value that is in the upper halves of four words, as bits without the sign.
fn largest_in(words: vec4<u32>) -> u32 {
  let sizes = words & vec4<u32>(0x7fff0000u);
  let finite = select(vec4<u32>(), sizes, sizes < vec4<u32>(0x7f800000u));
  return max(max(finite.x, finite.y), max(finite.z, finite.w));
}`;

/** The last digit of halves: whatever is a multiple of it, below 2^16 and has eleven digits, they hold. */
const LAST_DIGIT = 2 ** -24;

/**
 * `held(bits, scale)` and `off_by(bits, scale)`: whether halves hold four numbers times a scale, and by
 * how much they are off. Digits are counted: a driver may take what was packed and unpacked for what it
 * was before. Of the eight digits of a bf16 all are there down to 2^-17.
 */
const OFF_BY = `// How many last digits of a half four numbers are, times a scale.
fn digits_of(bits: vec4<u32>, scale: f32) -> vec4<f32> {
  return abs(bitcast<vec4<f32>>(bits) * scale) * ${literal(1 / LAST_DIGIT)};
}

// What is no number, or infinite, no half holds; nor what is too small to have any digit.
fn held(bits: vec4<u32>, scale: f32) -> vec4<bool> {
  let sizes = bits & vec4<u32>(0x7fffffffu);
  let digits = digits_of(bits, scale);
  return (digits == round(digits)) & (sizes < vec4<u32>(0x7f800000u)) &
    ((digits > vec4<f32>()) | (sizes == vec4<u32>()));
}

// What is no number, or infinite, is off by more than any number; what becomes zero, by itself.
fn off_by(bits: vec4<u32>, scale: f32) -> vec4<f32> {
  let digits = digits_of(bits, scale);
  let rest = abs(digits - round(digits)) * (${literal(LAST_DIGIT)} * inverse_of(scale));
  let off = select(rest, abs(bitcast<vec4<f32>>(bits)), digits < vec4<f32>(0.5f));
  let finite = (bits & vec4<u32>(0x7fffffffu)) < vec4<u32>(0x7f800000u);
  return select(vec4<f32>(${literal(LARGEST_F32)}), off, finite);
}`;

/**
 * Finds the scale of each row, a workgroup for each, and records what halves do not hold. A device
 * that takes a half's subnormal numbers for zero, as WGSL allows, is off by 2^-30 of a row's largest
 * value besides.
 */
export function rowScales(context: KernelContext): string {
  const { dispatch, schedule: { problem } } = context;
  const matrix: Halved = binds(dispatch, "hidden") ? "hidden" : "weight";
  const vectors = headOf(problem).hidden / VECTOR;
  const word = (fact: typeof HALVES_FACTS[number]) => index(halvesWord(matrix, fact));
  const most = (fact: typeof HALVES_FACTS[number], value: string) =>
    block(
      [`atomicMax(&halves[${word(fact)}], ${value});`],
      `if (${value} > atomicLoad(&halves[${word(fact)}]))`,
    );
  const eachVector = (lines: readonly string[]) =>
    block(
      [`let pairs = ${matrix}[at + vector];`, ...lines],
      `for (var vector = lane; vector < ${vectors}u; vector += ${LINEAR_WORKGROUP}u)`,
    );
  return kernel(dispatch, {
    title: "the power of two by which each row in bf16 becomes halves, and what these do not hold.",
    types: { [matrix]: "vec4<u32>", halves: "atomic<u32>" },
    memory: [
      `var<workgroup> largest_of: array<u32, ${LINEAR_WORKGROUP}>;`,
      `var<workgroup> rounded_of: array<u32, ${LINEAR_WORKGROUP}>;`,
      `var<workgroup> error_of: array<f32, ${LINEAR_WORKGROUP}>;`,
    ],
    functions: [POWERS, LARGEST_IN, OFF_BY],
    workgroup: LINEAR_WORKGROUP,
    builtins: ["group", "lane"],
    body: [
      `let row = group.y * ${SCALED_ROWS}u + group.x;`,
      block([`return;`], `if (row >= ${matrix === "hidden" ? KEPT_COUNT : "params.vocab"})`),
      `let at = ${matrix === "hidden" ? keptRow(context, "row") : "row"} * ${vectors}u;`,
      `// The largest finite value of the row, as bits without the sign.`,
      `var largest = 0u;`,
      eachVector([
        `largest = max(largest, max(largest_in(pairs << vec4<u32>(16u)), largest_in(pairs)));`,
      ]),
      `largest_of[lane] = largest;`,
      `workgroupBarrier();`,
      block(
        [`largest = max(largest, largest_of[other]);`],
        `for (var other = 0u; other < ${LINEAR_WORKGROUP}u; other++)`,
      ),
      `// What halves do not hold at its scale, and by how much they are off in all.`,
      `let scale = power_below(largest);`,
      `var rounded = 0u;`,
      `var error = 0f;`,
      eachVector([
        `let first = pairs << vec4<u32>(16u);`,
        `let second = pairs & vec4<u32>(0xffff0000u);`,
        `let wrong = vec4<u32>(!held(first, scale)) + vec4<u32>(!held(second, scale));`,
        `rounded += wrong.x + wrong.y + wrong.z + wrong.w;`,
        `let off = off_by(first, scale) + off_by(second, scale);`,
        `error += off.x + off.y + off.z + off.w;`,
      ]),
      ...sumLanes("rounded_of", "rounded", LINEAR_WORKGROUP),
      ...sumLanes("error_of", "error", LINEAR_WORKGROUP),
      block([
        `${scaleAt(context, matrix, "row")} = scale;`,
        `let error_of_row = bitcast<u32>(error_of[0]);`,
        block([
          `atomicAdd(&halves[${word("rounded")}], rounded_of[0]);`,
          most("error", "error_of_row"),
        ], `if (rounded_of[0] > 0u)`),
        most("largest", "largest"),
      ], `if (lane == 0u)`),
    ],
  });
}

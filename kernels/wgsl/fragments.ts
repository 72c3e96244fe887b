/**
 * Subgroup matrices as text, as an experimental extension of WGSL has them, and the
 * same made of plain WGSL: there a matrix of an operand is its place in workgroup
 * memory, and each invocation of a subgroup sums some of the results. It serves
 * devices that have no such matrices: indices, copies, results and tails of the
 * kernels around it are those of the real ones.
 *
 * @module
 */
import { MATRIX_FEATURES, type SubgroupBody } from "../../planner/schedule/tile.ts";
import { type Needs, NOTHING } from "./product.ts";

/** How an operand lies in workgroup memory: lines of halves, `stride` vectors of eight from one to the next. */
export interface Side {
  /** Whether lines run across the depth: one for each depth. */
  readonly across: boolean;
  readonly stride: number;
}

/** The text of operations on matrices. Places are vec4s of `memory`, eight halves or four f32. */
export interface Fragments {
  readonly needs: Needs;
  readonly functions: readonly string[];
  /** Statements that name `subgroup` and `in_subgroup`, where they are no builtins. */
  readonly names: readonly string[];
  /** A matrix of sums that are zero. */
  readonly zero: string;
  /** The matrix of the left operand, or of the right one, that begins at a place. */
  readonly left: (at: string) => string;
  readonly right: (at: string) => string;
  /** The sums with the product of two matrices added. */
  readonly multiply: (left: string, right: string, sums: string) => string;
  /** The statement that stores sums from a place on, a row each `pitch`. */
  readonly store: (at: string, sums: string, pitch: number) => string;
}

/** Returns the operations for a body whose operands lie as given. */
export function fragmentsOf(
  body: SubgroupBody,
  sides: { readonly left: Side; readonly right: Side },
): Fragments {
  return body.emulated ? emulated(body, sides) : native(body, sides);
}

/** WGSL's extensions that the features of a device stand for. */
const EXTENSIONS: Readonly<Record<typeof MATRIX_FEATURES[number], string>> = {
  "chromium-experimental-subgroup-matrix": "chromium_experimental_subgroup_matrix",
  "shader-f16": "f16",
  "subgroups": "subgroups",
};

function native(
  { fragment: { m, n, k } }: SubgroupBody,
  { left, right }: { readonly left: Side; readonly right: Side },
): Fragments {
  // Of types, the first extent is that of a row.
  const load = (type: string, order: string, { stride }: Side) => (at: string) =>
    `subgroupMatrixLoad<${type}, ${order}>(&memory, ${at}, ${stride}u)`;
  return {
    needs: {
      enables: MATRIX_FEATURES.map((feature) => EXTENSIONS[feature]),
      // A subgroup's number is the same in all of it, which the language cannot know.
      diagnosticsOff: ["chromium.subgroup_matrix_uniformity", "subgroup_uniformity"],
      builtins: ["subgroup", "in_subgroup"],
    },
    functions: [],
    names: [],
    zero: `subgroup_matrix_result<f32, ${n}, ${m}>(0f)`,
    left: load(
      `subgroup_matrix_left<f16, ${k}, ${m}>`,
      left.across ? "col_major" : "row_major",
      left,
    ),
    right: load(
      `subgroup_matrix_right<f16, ${n}, ${k}>`,
      right.across ? "row_major" : "col_major",
      right,
    ),
    multiply: (a, b, sums) => `subgroupMatrixMultiplyAccumulate(${a}, ${b}, ${sums})`,
    store: (at, sums, pitch) =>
      `subgroupMatrixStore<row_major>(&memory, ${at}, ${sums}, ${pitch}u);`,
  };
}

function emulated(
  { fragment: { m, n, k }, subgroups: { size } }: SubgroupBody,
  { left, right }: { readonly left: Side; readonly right: Side },
): Fragments {
  const each = m * n / size;
  const half = ({ across, stride }: Side, index: string) =>
    across
      ? `half_at(at + depth * ${stride}u, ${index})`
      : `half_at(at + ${index} * ${stride}u, depth)`;
  return {
    needs: NOTHING,
    functions: [
      `// A matrix of sums, of which each invocation of a subgroup has some.
alias Sums = array<f32, ${each}>;

fn half_at(at: u32, index: u32) -> f32 {
  let word = memory[at + index / 8u][index % 8u / 2u];
  return select(unpack2x16float(word).x, unpack2x16float(word).y, index % 2u == 1u);
}

fn left_half(at: u32, row: u32, depth: u32) -> f32 {
  return ${half(left, "row")};
}

fn right_half(at: u32, depth: u32, column: u32) -> f32 {
  return ${half(right, "column")};
}

fn multiply(left: u32, right: u32, sums: Sums, in_subgroup: u32) -> Sums {
  var next = sums;
  for (var i = 0u; i < ${each}u; i++) {
    let index = in_subgroup + i * ${size}u;
    for (var depth = 0u; depth < ${k}u; depth++) {
      next[i] = fma(left_half(left, index / ${n}u, depth), right_half(right, depth, index % ${n}u), next[i]);
    }
  }
  return next;
}

fn store_sums(at: u32, sums: Sums, pitch: u32, in_subgroup: u32) {
  var stored = sums;
  for (var i = 0u; i < ${each}u; i++) {
    let index = in_subgroup + i * ${size}u;
    let column = index % ${n}u;
    memory[at + index / ${n}u * pitch + column / 4u][column % 4u] = bitcast<u32>(stored[i]);
  }
}`,
    ],
    names: [
      `// Subgroups as they would be.`,
      `let subgroup = lane / ${size}u;`,
      `let in_subgroup = lane % ${size}u;`,
    ],
    zero: "Sums()",
    left: (at) => at,
    right: (at) => at,
    multiply: (a, b, sums) => `multiply(${a}, ${b}, ${sums}, in_subgroup)`,
    store: (at, sums, pitch) => `store_sums(${at}, ${sums}, ${pitch}u, in_subgroup);`,
  };
}

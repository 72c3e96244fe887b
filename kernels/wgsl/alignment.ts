/**
 * Kernels that align a gradient with another, element by element, whatever they are of.
 *
 * @module
 */
import { sumLanes } from "./totals.ts";
import { block, comment } from "./text.ts";

/** Invocations of a workgroup. */
export const ALIGNMENT_LANES = 256;

/** Most workgroups that one pair of buffers is shared by, and of sums that come of it. */
export const ALIGNMENT_GROUPS = 256;

const PARAMS = `struct Params {
  // Elements of the buffers.
  count: u32,
  // The first of their sums, and how many all buffers have.
  first: u32,
  sums: u32,
}
@group(0) @binding(0) var<uniform> params: Params;`;

/** Returns a whole kernel, of lanes with two arrays of workgroup memory. */
function whole(
  title: string,
  bindings: readonly (readonly [string, "read" | "read_write", string])[],
  body: readonly string[],
): string {
  const slots = bindings.map(([name, access, type], index) =>
    `@group(0) @binding(${index + 1}) var<storage, ${access}> ${name}: array<${type}>;`
  );
  return `${comment(title)}

${[PARAMS, ...slots].join("\n")}

var<workgroup> squares: array<f32, ${ALIGNMENT_LANES}>;
var<workgroup> inners: array<f32, ${ALIGNMENT_LANES}>;

@compute @workgroup_size(${ALIGNMENT_LANES})
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) lane: u32,
) ${block(body)}
`;
}

/** Statements that end in the sums over a workgroup's invocations of `square` and `inner`. */
const SUMMED = [
  ...sumLanes("squares", "square", ALIGNMENT_LANES),
  ...sumLanes("inners", "inner", ALIGNMENT_LANES),
];

/** A loop over the elements that an invocation has, in strides of all. */
const EACH =
  `for (var at = group.x * ${ALIGNMENT_LANES}u + lane; at < params.count; at += groups.x * ${ALIGNMENT_LANES}u)`;

/** Returns the kernel that sums, for each workgroup, the first gradient's square and the inner product. */
export function alignmentSums(): string {
  return whole(
    "The square of the first gradient, and its inner product with the other: a sum for each workgroup.",
    [["main_gradient", "read", "f32"], ["other", "read", "f32"], [
      "sums",
      "read_write",
      "vec2<f32>",
    ]],
    [
      `var square = 0f;`,
      `var inner = 0f;`,
      block([
        `square += main_gradient[at] * main_gradient[at];`,
        `inner += main_gradient[at] * other[at];`,
      ], EACH),
      ...SUMMED,
      block(
        [`sums[params.first + group.x] = vec2<f32>(squares[0], inners[0]);`],
        `if (lane == 0u)`,
      ),
    ],
  );
}

/** Returns the kernel that adds the other gradient, less what is against the first, in the first's place. */
export function alignmentAdd(): string {
  return whole(
    "Both gradients added in the first's place, after what of the other is against the first is left out.",
    [["sums", "read", "vec2<f32>"], ["other", "read", "f32"], [
      "main_gradient",
      "read_write",
      "f32",
    ]],
    [
      `// Every workgroup adds up all sums, in the same order.`,
      `var square = 0f;`,
      `var inner = 0f;`,
      block([
        `square += sums[at].x;`,
        `inner += sums[at].y;`,
      ], `for (var at = lane; at < params.sums; at += ${ALIGNMENT_LANES}u)`),
      ...SUMMED,
      `let against = squares[0] > 0f && inners[0] < 0f;`,
      `let share = select(0f, -inners[0] / max(squares[0], 1e-37f), against);`,
      block([`main_gradient[at] = (1f + share) * main_gradient[at] + other[at];`], EACH),
    ],
  );
}

/**
 * The largest element of an operand, in size: what f32 is scaled by before it is split into
 * halves, so that none is too large for one and as few as can be are too small.
 *
 * @module
 */
import { ROWS_OF_BOUND } from "../../planner/schedule/forward.ts";
import { headOf } from "../../planner/problem.ts";
import type { KernelContext } from "./context.ts";
import { KEPT_COUNT, keptRow } from "./logit.ts";
import { binds, block, kernel, over } from "./text.ts";

const LANES = 256;

/** Where the bits of each operand's largest element are. */
export const OPERAND_BOUNDS = {
  hidden: "operand_bounds[0]",
  weight: "operand_bounds[1]",
} as const;

/** Looks through some rows: of tokens that are kept, or of a window of the weight. */
export function operandBound(context: KernelContext): string {
  const { dispatch, schedule: { problem } } = context;
  const quads = headOf(problem).hidden / 4;
  const slot = binds(dispatch, "hidden") ? "hidden" : "weight";
  const row = `first + ${over("at", quads)}`;
  return kernel(dispatch, {
    title: `the size of the largest element of ${slot}, whose order does not matter.`,
    types: { [slot]: "vec4<f32>", operand_bounds: "atomic<u32>" },
    memory: [`var<workgroup> largest: atomic<u32>;`],
    workgroup: LANES,
    builtins: ["group", "lane"],
    body: [
      `let rows = ${slot === "hidden" ? KEPT_COUNT : "params.vocab"};`,
      `let first = group.x * ${ROWS_OF_BOUND}u;`,
      block([`return;`], `if (first >= rows)`),
      `let end = (min(first + ${ROWS_OF_BOUND}u, rows) - first) * ${quads}u;`,
      `var most = 0f;`,
      block([
        `let row = ${slot === "hidden" ? keptRow(context, row) : row};`,
        `let size = abs(${slot}[row * ${quads}u + at % ${quads}u]);`,
        `most = max(most, max(max(size.x, size.y), max(size.z, size.w)));`,
      ], `for (var at = lane; at < end; at += ${LANES}u)`),
      `atomicMax(&largest, bitcast<u32>(most));`,
      `workgroupBarrier();`,
      block(
        [`atomicMax(&${OPERAND_BOUNDS[slot]}, atomicLoad(&largest));`],
        `if (lane == 0u)`,
      ),
    ],
  });
}

/**
 * Bodies of a product that hand their results out otherwise than registers do.
 * They gain nothing, and prove that endings know no register layout. For tests.
 *
 * @module
 */
import type { Tile } from "../../planner/schedule/tile.ts";
import { workgroupSize } from "../../planner/schedule/tile.ts";
import type { Body, Operand } from "../wgsl/product.ts";
import { bodyOf } from "../wgsl/bodies.ts";
import { block, modulo, over, plus, scaled, times } from "../wgsl/text.ts";

/** Returns the register body with half of the columns in each of two rounds: rows come up twice. */
export function inHalves(tile: Tile, a: Operand, b: Operand): Body {
  const body = bodyOf(tile, a, b);
  const [whole] = body.rounds;
  const half = whole!.columns.length / 2;
  return {
    ...body,
    rounds: [0, half].map((first) => ({
      ...whole!,
      columns: whole!.columns.slice(first, first + half),
      value: (i, j) => whole!.value(i, first + j),
    })),
  };
}

/** Columns of the results that are in memory at the same time. */
const SLICE = 16;

/**
 * Returns results through workgroup memory, some columns at a time, as a body must whose results
 * cannot be taken apart where they are: other invocations read them than those that summed them.
 */
export function throughMemory(tile: Tile, a: Operand, b: Operand): Body {
  const body = bodyOf(tile, a, b);
  const [whole] = body.rounds;
  const { rows, cols } = tile;
  const sharers = workgroupSize(tile) / rows;
  const each = SLICE / sharers;
  const row = modulo("lane", rows);
  const sharer = over("lane", rows);
  return {
    ...body,
    memory: [...body.memory, `var<workgroup> slice: array<array<f32, ${SLICE}>, ${rows}>;`],
    rows: [row],
    rounds: times(cols / SLICE, (slice) => ({
      before: [
        ...whole!.columns.map((column, j) =>
          block(
            body.rows.map((own, i) =>
              `slice[${own}][(${column}) % ${SLICE}u] = ${whole!.value(i, j)};`
            ),
            `if ((${column}) / ${SLICE}u == ${slice}u)`,
          )
        ),
        `workgroupBarrier();`,
        ...times(each, (j) => `let r${j} = slice[${row}][${plus(scaled(sharer, each), j)}];`),
      ],
      rows: [0],
      columns: times(each, (j) => plus(scaled(sharer, each), slice * SLICE + j)),
      value: (_, j) => `r${j}`,
      after: [`workgroupBarrier();`],
    })),
    sharers: { count: sharers, index: sharer },
  };
}

/**
 * A product in registers: operands pass through workgroup memory, and each
 * invocation sums a micro-tile of the results in named scalars.
 *
 * The text is unrolled with a single run-time loop, around the depth: under Deno
 * every WGSL loop carries a hidden iteration counter, and arrays indexed by loop
 * variables leave the registers (2.4 to 4.3 times slower where measured).
 *
 * @module
 */
import type { RegisterTile } from "../../planner/schedule/tile.ts";
import { type Body, type Depth, leaveOut, NOTHING, type Operand, type Skip } from "./product.ts";
import { copiedOperand } from "./operand.ts";
import { block, indent, modulo, over, times } from "./text.ts";

/** Writes the product of two operands over a tile, in registers. */
export function registers(tile: RegisterTile, a: Operand, b: Operand): Body {
  const { rows, cols, depth, body: { microRows, microCols } } = tile;
  const lanesX = cols / microCols;
  const left = copiedOperand(a, { name: "a", extent: rows, micro: microRows, lane: "ty", tile });
  const right = copiedOperand(b, { name: "b", extent: cols, micro: microCols, lane: "tx", tile });
  const accumulator = (i: number, j: number) => `c${i}_${j}`;
  // To and fro, one operand stays the same from each multiply-add to the next, and is read
  // once; it costs the product of two operands that are copied as columns 5 % (bench/h100.md).
  const toAndFro = a.layout === "inner";
  const step = (k: number) => {
    const lines = [...left.fetch(k), ...right.fetch(k)];
    for (let j = 0; j < microCols; j++) {
      for (let turn = 0; turn < microRows; turn++) {
        const i = toAndFro && j % 2 === 1 ? microRows - 1 - turn : turn;
        const c = accumulator(i, j);
        lines.push(`${c} = fma(${left.scalar(i)}, ${right.scalar(j)}, ${c});`);
      }
    }
    return block(lines);
  };
  const loop = ({ from, to }: Depth, skip: Skip | undefined) => [
    `for (var k = ${from}; k < ${to}; k += ${depth}u) {`,
    indent([
      ...(skip ? leaveOut(skip, depth) : []),
      `// Copy the next ${depth} of the depth to workgroup memory, all loads before the stores.`,
      ...[...left.loads, ...right.loads].map(({ name, value }) => `let ${name} = ${value("k")};`),
      ...left.stores,
      ...right.stores,
      "workgroupBarrier();",
      `// Multiply and add, one depth after the other.`,
      ...times(depth, step),
      "workgroupBarrier();",
    ]),
    "}",
  ];
  return {
    needs: NOTHING,
    functions: [],
    memory: [left.memory, right.memory],
    names: [
      `// The invocation's column and row among all: it sums ${microRows} x ${microCols} results.`,
      `let tx = ${modulo("lane", lanesX)};`,
      `let ty = ${over("lane", lanesX)};`,
    ],
    sum: (range, skip) => [
      ...copyingComment(left.prepare, right.prepare),
      ...left.prepare,
      ...right.prepare,
      `// The sums: c3_5 is that of the fourth row and the sixth column.`,
      ...times(
        microRows,
        (i) => times(microCols, (j) => `var ${accumulator(i, j)} = 0f;`).join(" "),
      ),
      ...loop(range, skip),
    ],
    rows: times(microRows, left.line),
    rounds: [{
      before: [],
      rows: times(microRows, (i) => i),
      columns: times(microCols, right.line),
      value: accumulator,
      after: [],
    }],
    sharers: { count: lanesX, index: "tx" },
    scratch: [left.scratch, right.scratch],
  };
}

function copyingComment(...prepared: (readonly string[])[]): string[] {
  return prepared.some((lines) => lines.length > 0)
    ? ["// The rows that it copies, the same at every depth."]
    : [];
}

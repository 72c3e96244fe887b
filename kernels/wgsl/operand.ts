/**
 * How an operand of a matrix product gets from global memory to
 * workgroup memory, and from there to registers. Every invocation copies some
 * vec4s of the tile, then fetches what its micro-tile needs.
 *
 * In workgroup memory an operand is `[depth][rows / 4]` vec4s, each four rows at
 * one depth. A step of the depth then needs few registers, and every fetch has
 * a literal first index and a second one that does not change: naga clamps
 * dynamic indices, and clamps that are the same throughout are paid for once.
 *
 * @module
 */
import { type RegisterTile, rowQuads, workgroupSize } from "../../planner/schedule/tile.ts";
import { type Operand, type Scratch, scratchOf } from "./product.ts";
import { block, COMPONENTS, type Index, modulo, over, plus, scaled, times } from "./text.ts";

/** The text of an operand's way through memory. */
export interface CopiedOperand {
  /** Declares its workgroup memory, `NAME_tile`. */
  readonly memory: string;
  /** The same memory, for other use. */
  readonly scratch: Scratch;
  /** Statements to run once per tile. */
  readonly prepare: readonly string[];
  /** Names of the vec4s that an invocation copies, with the expression that loads each at depth `k`. */
  readonly loads: readonly { readonly name: string; readonly value: (k: string) => string }[];
  /** Statements that store the loaded vec4s to workgroup memory. */
  readonly stores: readonly string[];
  /** Statements that fetch what the micro-tile needs at one depth of the tile. */
  readonly fetch: (depth: number) => readonly string[];
  /** The fetched scalar of a micro-tile index. */
  readonly scalar: (index: number) => string;
  /** Row or column of the tile that a micro-tile index belongs to. */
  readonly line: (index: number) => string;
}

/** What an operand's tile is. */
export interface OperandTile {
  readonly name: "a" | "b";
  /** Rows of the tile, and of the micro-tile. */
  readonly extent: number;
  readonly micro: number;
  /** The invocation's index along these rows. */
  readonly lane: "ty" | "tx";
  readonly tile: RegisterTile;
}

/** Writes the copying of an operand. */
export function copiedOperand(operand: Operand, part: OperandTile): CopiedOperand {
  const { name, extent, micro, lane, tile: { depth } } = part;
  const lanes = extent / micro;
  const width = rowQuads(operand.layout, extent);
  return {
    memory: `var<workgroup> ${name}_tile: array<array<vec4<f32>, ${width}>, ${depth}>;`,
    scratch: scratchOf(depth, width, (line, column) => `${name}_tile[${line}][${column}]`),
    fetch: (k) =>
      times(
        micro / 4,
        (group) => `let ${name}${group} = ${name}_tile[${k}][${plus(lane, group * lanes)}];`,
      ),
    scalar: (i) => `${name}${i >> 2}.${COMPONENTS[i & 3]}`,
    line: (i) => plus(`4u * ${lane}`, 4 * lanes * (i >> 2) + (i & 3)),
    ...(operand.layout === "outer" ? copyColumns : copyTransposed)(operand, part),
  };
}

/** The part of it that copies from global memory. */
type Copies = Pick<CopiedOperand, "prepare" | "loads" | "stores">;

/** Loads run along the rows already: a vec4 is copied as it is. */
function copyColumns(operand: Operand, { name, extent, tile }: OperandTile): Copies {
  const threads = workgroupSize(tile);
  const quads = extent / 4;
  const depthPerCopy = threads / quads;
  const copies = times((quads * tile.depth) / threads, (s) => s);
  const depth = (s: number) => plus(over("lane", quads), s * depthPerCopy);
  return {
    prepare: [],
    loads: copies.map((s) => ({
      name: `${name}_in${s}`,
      value: (k) => operand.load(plus(k, depth(s)), modulo("lane", quads)),
    })),
    stores: copies.map((s) =>
      `${name}_tile[${depth(s)}][${modulo("lane", quads)}] = ${name}_in${s};`
    ),
  };
}

/**
 * Loads run along the depth: an invocation loads the same quad of the depth from
 * four rows, and stores the 4 x 4 block transposed.
 */
function copyTransposed(operand: Operand, { name, extent, tile }: OperandTile): Copies {
  const threads = workgroupSize(tile);
  const depthQuads = tile.depth / 4;
  const blocks = (extent / 4) * depthQuads;
  const blocksPerCopy = threads / depthQuads;
  const copies = times(Math.ceil(blocks / threads), (s) => s);
  const quad = modulo("lane", depthQuads);
  const blockOf = (s: number): Index => plus(over("lane", depthQuads), s * blocksPerCopy);
  // Where there are more invocations than blocks, the others load rows past the tile, in vain.
  const guarded = (s: number, lines: string[]) =>
    (s + 1) * threads <= blocks ? lines : [block(lines, `if (lane < ${blocks - s * threads}u)`)];
  return {
    prepare: copies.flatMap((s) =>
      QUAD.map((i) => `let ${name}_row${s}_${i} = ${operand.row!(plus(scaled(blockOf(s), 4), i))};`)
    ),
    loads: copies.flatMap((s) =>
      QUAD.map((i) => ({
        name: `${name}_in${s}_${i}`,
        value: (k: string) => operand.load(`${name}_row${s}_${i}`, plus(over(k, 4), quad)),
      }))
    ),
    stores: copies.flatMap((s) =>
      guarded(
        s,
        QUAD.map((k) => {
          const parts = QUAD.map((i) => `${name}_in${s}_${i}.${COMPONENTS[k]}`);
          return `${name}_tile[${plus(scaled(quad, 4), k)}][${blockOf(s)}] = vec4<f32>(${
            parts.join(", ")
          });`;
        }),
      )
    ),
  };
}

const QUAD = [0, 1, 2, 3];

/**
 * Staging: how an operand of a matrix product gets from global memory to
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
import { type Layout, rowQuads, type Tile, workgroupSize } from "../planner/tile.ts";
import { indent, times } from "./wgsl.ts";

/** One operand of the product. */
export interface Operand {
  readonly layout: Layout;
  /**
   * `inner`: the operand's row for a row of the tile, evaluated once per tile.
   * `outer`: not used.
   */
  readonly row?: (local: string) => string;
  /** A vec4 of the operand: at (row, quad of the depth), or at (depth, quad of the tile's rows). */
  readonly load: (row: string, quad: string) => string;
}

/** The text of an operand's way through memory. */
export interface Staging {
  /** Declares its workgroup memory, `NAME_tile`. */
  readonly memory: string;
  /** Vec4s of workgroup memory, and one of them by its number. */
  readonly quads: number;
  readonly quad: (index: string) => string;
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
  /** Row of the tile that a micro-tile index belongs to. */
  readonly place: (index: number) => string;
}

/** The type that operands are staged and multiplied in. */
export type Multiplied = "f32" | "f16";

/** Where an operand's tile lies, and whose it is. */
export interface StagingPlace {
  readonly name: "a" | "b";
  /** Rows of the tile, and of the micro-tile. */
  readonly extent: number;
  readonly micro: number;
  /** The invocation's index along these rows. */
  readonly lane: "ty" | "tx";
  readonly tile: Tile;
  readonly multiplied: Multiplied;
}

/** Writes the staging of an operand. */
export function stage(operand: Operand, place: StagingPlace): Staging {
  const { name, extent, micro, lane, tile, multiplied } = place;
  const lanes = extent / micro;
  const stride = rowQuads(operand.layout, extent);
  return {
    memory:
      `var<workgroup> ${name}_tile: array<array<vec4<${multiplied}>, ${stride}>, ${tile.depth}>;`,
    quads: stride * tile.depth,
    quad: (index) => `${name}_tile[(${index}) / ${stride}u][(${index}) % ${stride}u]`,
    fetch: (depth) =>
      times(
        micro / 4,
        (group) => `let ${name}${group} = ${name}_tile[${depth}][${lane}${plus(group * lanes)}];`,
      ),
    scalar: (i) => `${name}${i >> 2}.${"xyzw"[i & 3]}`,
    place: (i) => `4u * ${lane}${plus(4 * lanes * (i >> 2) + (i & 3))}`,
    ...(operand.layout === "outer" ? copyColumns : copyTransposed)(operand, place),
  };
}

/** The part of a staging that copies from global memory. */
type Copies = Pick<Staging, "prepare" | "loads" | "stores">;

function plus(offset: number): string {
  return offset === 0 ? "" : ` + ${offset}u`;
}

/** Loads run along the rows already: a vec4 is copied as it is. */
function copyColumns(
  operand: Operand,
  { name, extent, tile, multiplied }: StagingPlace,
): Copies {
  const threads = workgroupSize(tile);
  const quads = extent / 4;
  const depthPerCopy = threads / quads;
  const copies = times((quads * tile.depth) / threads, (s) => s);
  const depth = (s: number) => `lane / ${quads}u${plus(s * depthPerCopy)}`;
  return {
    prepare: [],
    loads: copies.map((s) => ({
      name: `${name}_in${s}`,
      value: (k) => operand.load(`${k} + ${depth(s)}`, `lane % ${quads}u`),
    })),
    stores: copies.map((s) =>
      `${name}_tile[${depth(s)}][lane % ${quads}u] = ${converted(`${name}_in${s}`, multiplied)};`
    ),
  };
}

/**
 * Loads run along the depth: an invocation loads the same quad of the depth from
 * four rows, and stores the 4 x 4 block transposed.
 */
function copyTransposed(
  operand: Operand,
  { name, extent, tile, multiplied }: StagingPlace,
): Copies {
  const threads = workgroupSize(tile);
  const depthQuads = tile.depth / 4;
  const blocks = (extent / 4) * depthQuads;
  const blocksPerCopy = threads / depthQuads;
  const copies = times(Math.ceil(blocks / threads), (s) => s);
  const quad = `lane % ${depthQuads}u`;
  const block = (s: number) => `lane / ${depthQuads}u${plus(s * blocksPerCopy)}`;
  // Where there are more invocations than blocks, the others load rows past the tile, in vain.
  const guarded = (s: number, lines: string[]) =>
    (s + 1) * threads <= blocks
      ? lines
      : [`if (lane < ${blocks - s * threads}u) {`, indent(lines), `}`];
  return {
    prepare: copies.flatMap((s) =>
      QUAD.map((i) => `let ${name}_row${s}_${i} = ${operand.row!(`(${block(s)}) * 4u + ${i}u`)};`)
    ),
    loads: copies.flatMap((s) =>
      QUAD.map((i) => ({
        name: `${name}_in${s}_${i}`,
        value: (k: string) => operand.load(`${name}_row${s}_${i}`, `${k} / 4u + ${quad}`),
      }))
    ),
    stores: copies.flatMap((s) =>
      guarded(
        s,
        QUAD.map((k) => {
          const parts = QUAD.map((i) => `${name}_in${s}_${i}.${"xyzw"[k]}`);
          const row = converted(`vec4<f32>(${parts.join(", ")})`, multiplied);
          return `${name}_tile[${quad} * 4u + ${k}u][${block(s)}] = ${row};`;
        }),
      )
    ),
  };
}

const QUAD = [0, 1, 2, 3];

/** A vec4 of f32 in the type that is multiplied in. */
function converted(quad: string, multiplied: Multiplied): string {
  return multiplied === "f32" ? quad : `vec4<f16>(${quad})`;
}

/**
 * Staging: how an operand of a matrix product gets from global memory to
 * workgroup memory, and from there to registers. Every invocation copies some
 * vec4s of the tile, then fetches what its micro-tile needs.
 *
 * @module
 */
import { type Tile, workgroupSize } from "../planner/tile.ts";
import { times } from "./wgsl.ts";

/**
 * How an operand lies in memory. `inner`: the depth is contiguous (rows of the
 * result are rows of the operand); `outer`: rows of the result are contiguous,
 * and the depth runs down the operand's rows.
 */
export type Layout = "inner" | "outer";

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

/** What an operand's registers cover at one step: which scalars exist after `lines`. */
export interface Fetch {
  readonly lines: readonly string[];
  /** Depths within the step of four, and indices of the micro-tile, that `lines` fetched. */
  readonly depths: readonly number[];
  readonly indices: readonly number[];
}

/** The text of an operand's way through memory. */
export interface Staging {
  /** Vec4s of workgroup memory. */
  readonly quads: number;
  /** Statements to run once per tile. */
  readonly prepare: readonly string[];
  /** Names of the vec4s that an invocation copies, with the expression that loads each at depth `k`. */
  readonly loads: readonly { readonly name: string; readonly value: (k: string) => string }[];
  /** Statements that store the loaded vec4s to workgroup memory. */
  readonly stores: readonly string[];
  /** Fetches for four steps of the depth, in an order that keeps few registers alive. */
  readonly fetches: (quad: number) => readonly Fetch[];
  /** The fetched scalar of a micro-tile index at a depth of 0 to 3. */
  readonly scalar: (index: number, depth: number) => string;
  /** Row of the tile that a micro-tile index belongs to. */
  readonly place: (index: number) => string;
}

/** Where an operand's tile lies, and whose it is. */
export interface StagingPlace {
  readonly name: "a" | "b";
  /** Rows of the tile, and of the micro-tile. */
  readonly extent: number;
  readonly micro: number;
  /** The invocation's index along these rows. */
  readonly lane: "ty" | "tx";
  readonly tile: Tile;
  /** First vec4 of the operand in workgroup memory. */
  readonly base: number;
}

/** Chooses the staging for an operand. */
export function stage(operand: Operand, place: StagingPlace): Staging {
  if (operand.layout === "outer") return stageColumns(operand, place);
  return place.tile.transposed ? stageTransposed(operand, place) : stageRows(operand, place);
}

function plus(offset: number): string {
  return offset === 0 ? "" : ` + ${offset}u`;
}

const DEPTHS = [0, 1, 2, 3];

/**
 * Rows stay rows: a vec4 runs along the depth. Rows are one vec4 longer than
 * the tile is deep, so that eight consecutive ones fall into disjoint banks.
 */
function stageRows(operand: Operand, place: StagingPlace): Staging {
  const { name, extent, micro, lane, tile, base } = place;
  const threads = workgroupSize(tile);
  const lanes = extent / micro;
  const depthQuads = tile.depth / 4;
  const stride = depthQuads + 1;
  const rowsPerCopy = threads / depthQuads;
  const copies = times((extent * depthQuads) / threads, (s) => s);
  const quad = `lane % ${depthQuads}u`;
  const row = `lane / ${depthQuads}u`;
  return {
    quads: extent * stride,
    prepare: copies.map((s) =>
      `let ${name}_row${s} = ${operand.row!(row + plus(s * rowsPerCopy))};`
    ),
    loads: copies.map((s) => ({
      name: `${name}_in${s}`,
      value: (k) => operand.load(`${name}_row${s}`, `${k} / 4u + ${quad}`),
    })),
    stores: copies.map((s) =>
      `tile[${row} * ${stride}u + ${quad}${
        plus(base + s * rowsPerCopy * stride)
      }] = ${name}_in${s};`
    ),
    fetches: (step) =>
      times(micro, (i) => ({
        lines: [
          `let ${name}${i} = tile[${lane} * ${stride}u${plus(base + i * lanes * stride + step)}];`,
        ],
        depths: DEPTHS,
        indices: [i],
      })),
    scalar: (i, k) => `${name}${i}.${"xyzw"[k]}`,
    place: (i) => lane + plus(i * lanes),
  };
}

/** The part that `outer` and transposed tiles share: a vec4 holds four rows at one depth. */
function fetchColumns(
  { name, extent, micro, lane, base }: StagingPlace,
  stride: number,
): Pick<Staging, "fetches" | "scalar" | "place"> {
  const lanes = extent / micro;
  return {
    fetches: (step) =>
      DEPTHS.map((k) => ({
        lines: times(micro / 4, (group) =>
          `let ${name}${k}_${group} = tile[${lane}${
            plus(base + (step * 4 + k) * stride + group * lanes)
          }];`),
        depths: [k],
        indices: times(micro, (i) =>
          i),
      })),
    scalar: (i, k) => `${name}${k}_${i >> 2}.${"xyzw"[i & 3]}`,
    place: (i) => `4u * ${lane}${plus(4 * lanes * (i >> 2) + (i & 3))}`,
  };
}

function stageColumns(operand: Operand, place: StagingPlace): Staging {
  const { name, extent, tile, base } = place;
  const threads = workgroupSize(tile);
  const stride = extent / 4;
  const depthPerCopy = threads / stride;
  const copies = times((extent * tile.depth) / 4 / threads, (s) => s);
  return {
    quads: tile.depth * stride,
    prepare: [],
    loads: copies.map((s) => ({
      name: `${name}_in${s}`,
      value: (k) =>
        operand.load(`${k} + lane / ${stride}u${plus(s * depthPerCopy)}`, `lane % ${stride}u`),
    })),
    stores: copies.map((s) => `tile[lane${plus(base + s * threads)}] = ${name}_in${s};`),
    ...fetchColumns(place, stride),
  };
}

/**
 * Rows become columns on the way: an invocation loads the same quad of the
 * depth from four rows and stores the 4 x 4 block transposed. A step of the
 * depth then needs few registers, which leaves room for larger micro-tiles.
 */
function stageTransposed(operand: Operand, place: StagingPlace): Staging {
  const { name, extent, tile, base } = place;
  const threads = workgroupSize(tile);
  const depthQuads = tile.depth / 4;
  const stride = extent / 4 + 1;
  const blocks = (extent * tile.depth) / 16;
  const blocksPerCopy = threads / depthQuads;
  const copies = times(Math.ceil(blocks / threads), (s) => s);
  const quad = `lane % ${depthQuads}u`;
  const block = (s: number) => `lane / ${depthQuads}u${plus(s * blocksPerCopy)}`;
  const guard = (s: number, line: string) =>
    (s + 1) * threads <= blocks ? line : `if (lane < ${blocks - s * threads}u) {\n  ${line}\n}`;
  return {
    quads: tile.depth * stride,
    prepare: copies.flatMap((s) =>
      DEPTHS.map((i) =>
        `let ${name}_row${s}_${i} = ${
          operand.row!(`min((${block(s)}) * 4u + ${i}u, ${extent - 1}u)`)
        };`
      )
    ),
    loads: copies.flatMap((s) =>
      DEPTHS.map((i) => ({
        name: `${name}_in${s}_${i}`,
        value: (k: string) => operand.load(`${name}_row${s}_${i}`, `${k} / 4u + ${quad}`),
      }))
    ),
    stores: copies.flatMap((s) =>
      DEPTHS.map((k) => {
        const parts = DEPTHS.map((i) => `${name}_in${s}_${i}.${"xyzw"[k]}`);
        return guard(
          s,
          `tile[(${quad} * 4u + ${k}u) * ${stride}u + ${block(s)}${plus(base)}] = vec4<f32>(${
            parts.join(", ")
          });`,
        );
      })
    ),
    ...fetchColumns(place, stride),
  };
}

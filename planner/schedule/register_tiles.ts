/**
 * Tiles that are summed in registers: which there are, what they take, and how
 * fast they are.
 *
 * @module
 */
import { ACCUMULATED } from "../dtype.ts";
import { ENDS_DEPTH, LISTED_ID, REGISTER_TILES, WAVES } from "../tuning.ts";
import type { RatedTile, RegisterBody, Tile } from "./bodies.ts";
import type { BodyKind, TileWith } from "./body_kind.ts";

/** A tile that is summed in registers. */
export type RegisterTile = TileWith<RegisterBody>;

/**
 * Returns a tile of `rows x cols x depth`, of which an invocation keeps `microRows x
 * microCols`.
 */
export function registerTile(
  [rows, cols, depth]: readonly [number, number, number],
  [microRows, microCols]: readonly [number, number],
): RegisterTile {
  return { rows, cols, depth, body: { kind: "registers", microRows, microCols } };
}

/** Shapes to choose from, with their arithmetic rate relative to the first. */
const RATED = REGISTER_TILES.map(([extents, micro, rate]) => ({
  ...registerTile(extents, micro),
  rate,
}));

function workgroupSize({ rows, cols, body: { microRows, microCols } }: RegisterTile) {
  return (rows / microRows) * (cols / microCols);
}

/**
 * How an operand lies in memory. `inner`: the depth is contiguous (rows of the
 * result are rows of the operand); `outer`: rows of the result are contiguous,
 * and the depth runs down the operand's rows.
 */
export type Layout = "inner" | "outer";

/**
 * Returns the vec4s from one depth to the next in workgroup memory. Operands that are
 * stored transposed get one more, which spreads the stores over the banks.
 */
export function rowQuads(layout: Layout, extent: number): number {
  return extent / 4 + (layout === "inner" ? 1 : 0);
}

/** Returns the workgroup memory of a tile at its largest, with both operands `inner`, in bytes. */
function workgroupBytes({ rows, cols, depth }: Tile): number {
  return (rowQuads("inner", rows) + rowQuads("inner", cols)) * depth * 16;
}

/** A tile of less depth leaves too little workgroup memory for the statistics of its rows. */
const LEAST_DEPTH = 8;

/**
 * Returns why kernels cannot be written for a tile, if so: all of it is made of vec4s, and
 * its invocations share out the copying of both operands evenly.
 */
function shapeFault(tile: RegisterTile): string | undefined {
  const { rows, cols, depth, body: { microRows, microCols } } = tile;
  const invocations = workgroupSize(tile);
  const divides = (small: number, large: number) => large % small === 0;
  const even = [rows, cols, depth, microRows, microCols].every((extent) => divides(4, extent)) &&
    divides(microRows, rows) && divides(microCols, cols) && divides(depth / 4, invocations) &&
    [rows, cols].every((extent) =>
      divides(extent / 4, invocations) && divides(invocations, (extent / 4) * depth) &&
      (divides(invocations, (extent / 4) * (depth / 4)) ||
        divides((extent / 4) * (depth / 4), invocations))
    );
  if (!even) return "does not divide evenly among its invocations";
  if (depth < LEAST_DEPTH) return `has a depth of less than ${LEAST_DEPTH}`;
}

/** Tiles to choose from where a device has none of its own, the preferred first. */
export const TILES: readonly RegisterTile[] = RATED.map(unrated);

function unrated({ rate: _, ...tile }: RatedTile): RegisterTile {
  return tile as RegisterTile;
}

/** Products in registers: in f32, on any device, of any head. */
export const REGISTERS: BodyKind<RegisterBody> = {
  tier: "f32",
  vector: 4,
  gradients: ACCUMULATED,
  runs: false,
  scales: false,
  operandAccess: "read",
  times: {
    drain: WAVES.drain,
    endsDepth: ENDS_DEPTH,
    everyWave: false,
    listedId: LISTED_ID.registers,
    hidesTraffic: true,
  },
  unsuitedTo: () => undefined,
  tiles: ({ rates }) => rates?.tiles?.map(unrated) ?? TILES,
  rated: () => RATED,
  measured: (rates) => rates,
  guessed: (rates) => rates,
  workgroupSize,
  workgroupBytes,
  fault: shapeFault,
  features: () => [],
  same: (a, b) => a.microRows === b.microRows && a.microCols === b.microCols,
  format: ({ microRows, microCols }) => `${microRows}x${microCols}`,
  describe: ({ microRows, microCols }) => `${microRows} x ${microCols} per invocation`,
  facts: ({ microRows, microCols }) => ({ microTokens: microRows, microVocab: microCols }),
};

/** Returns every shape worth measuring on a device: powers of two that `runs` finds room for. */
export function tunable(runs: (tile: Tile) => boolean): Tile[] {
  const tiles: Tile[] = [];
  for (const rows of [128, 64, 32]) {
    for (const cols of [128, 64, 32]) {
      for (const depth of [16, 8, 32]) {
        for (const micro of [[8, 8], [4, 8], [8, 4], [4, 4]] as const) {
          const tile = registerTile([rows, cols, depth], micro);
          const invocations = workgroupSize(tile);
          // Smaller ones leave most of a subgroup idle; larger ones are short of registers.
          if (invocations < 32 || invocations > 256) continue;
          // Other depths were never faster with small micro-tiles: the rest is not worth the time.
          if (depth !== 16 && micro[0] * micro[1] < 64) continue;
          if (runs(tile)) tiles.push(tile);
        }
      }
    }
  }
  return tiles;
}

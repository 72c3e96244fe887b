/**
 * Tiles that are summed in subgroup matrices: which there are on a device, what
 * they take, and how fast they are.
 *
 * @module
 */
import type { MatrixConfiguration } from "../device.ts";
import { MATRIX_ENDS_DEPTH, MATRIX_GUESS, MATRIX_TILES } from "../tuning.ts";
import type { MatrixBody, RatedTile } from "./bodies.ts";
import type { Abilities, BodyKind, TileWith } from "./body_kind.ts";

/** A tile that is summed in subgroup matrices. */
export type MatrixTile = TileWith<MatrixBody>;

/** What kernels of such a tile ask of a device, by the names of its features. */
export const MATRIX_FEATURES = [
  "chromium-experimental-subgroup-matrix",
  "shader-f16",
  "subgroups",
] as const;

/** Elements of 16 bits in the vec4 of words that is copied at a time. */
export const VECTOR = 8;

/** Rows of results that a subgroup hands out at a time. */
export const ROUND_ROWS = 16;

/** Invocations of a subgroup where devices have matrices of 16-bit elements with f32 sums. */
const SUBGROUP = 32;

/**
 * Returns the shape of matrices that kernels use on a device, of those with operands in f16 and
 * sums in f32: the largest.
 */
function fragmentOf(
  configurations: readonly MatrixConfiguration[] = [],
): MatrixBody["fragment"] | undefined {
  const [largest] = configurations
    .filter(({ component, result }) => component === "f16" && result === "f32")
    .sort((a, b) => b.m * b.n * b.k - a.m * a.n * a.k);
  return largest && { m: largest.m, n: largest.n, k: largest.k };
}

/** Returns tiles to choose from with matrices of some shape, the preferred first. */
function ratedTiles(fragment: MatrixBody["fragment"]): RatedTile[] {
  return MATRIX_TILES.map(([[rows, cols, depth], [down, across], rate]) => ({
    ...{ rows, cols, depth },
    body: { kind: "matrix", subgroups: { rows: down, cols: across, size: SUBGROUP }, fragment },
    rate,
  }));
}

function workgroupSize({ body: { subgroups: { rows, cols, size } } }: MatrixTile): number {
  return rows * cols * size;
}

/** Returns the vec4s from one line of an operand in workgroup memory to the next: one more than it holds, so that lines spread over the banks. */
export function lineVectors(extent: number): number {
  return extent / VECTOR + 1;
}

/** Returns the vec4s from one row of results in workgroup memory to the next: two more than it holds, for the same reason. */
export function resultQuads({ cols, body: { subgroups } }: MatrixTile): number {
  return cols / subgroups.cols / 4 + 2;
}

/**
 * Returns the workgroup memory of a tile, in bytes: its operands, whichever way they lie, and
 * then in the same place some rows of results of every subgroup.
 */
function workgroupBytes(tile: MatrixTile): number {
  const { rows, cols, depth, body: { subgroups } } = tile;
  const operand = (extent: number) =>
    Math.max(extent * lineVectors(depth), depth * lineVectors(extent));
  const results = subgroups.rows * subgroups.cols * ROUND_ROWS * resultQuads(tile);
  return 16 * Math.max(operand(rows) + operand(cols), results);
}

/** Returns why kernels cannot be written for a tile, if so. */
function shapeFault(tile: MatrixTile): string | undefined {
  const { rows, cols, depth, body: { subgroups, fragment } } = tile;
  const { m, n, k } = fragment;
  const divides = (small: number, large: number) => large % small === 0;
  const invocations = workgroupSize(tile);
  // In steps of a depth, an operand is copied by all invocations, some whole lines at a time.
  const copied = (extent: number) =>
    divides(invocations, extent * depth / VECTOR) &&
    divides(depth / VECTOR, invocations) && divides(extent / VECTOR, invocations);
  const parts = [m, n, k].every((extent) => divides(VECTOR, extent)) &&
    divides(m, ROUND_ROWS) && divides(subgroups.rows * ROUND_ROWS, rows) &&
    divides(subgroups.cols * n, cols) && divides(k, depth) &&
    divides(ROUND_ROWS, subgroups.size) &&
    divides(4 * subgroups.size / ROUND_ROWS, cols / subgroups.cols);
  if (!parts || ![rows, cols].every(copied)) return "does not divide evenly among its subgroups";
}

/** Returns why a device cannot run a body, if so. */
function bodyFault(
  { fragment: { m, n, k }, subgroups: { size }, emulated }: MatrixBody,
  { features = [], matrices = [], subgroups }: Abilities,
): string | undefined {
  if (emulated) return undefined;
  const missing = MATRIX_FEATURES.find((feature) => !features.includes(feature));
  if (missing !== undefined) return `needs the feature ${missing}, which the device does not have`;
  if (subgroups !== undefined && (subgroups.min !== size || subgroups.max !== size)) {
    return `needs subgroups of ${size}, the device's have from ${subgroups.min} to ${subgroups.max}`;
  }
  const has = matrices.some((one) =>
    one.m === m && one.n === n && one.k === k && one.component === "f16" && one.result === "f32"
  );
  if (!has) return `needs matrices of ${m}x${n}x${k} in f16, which the device does not have`;
}

function same(a: MatrixBody, b: MatrixBody): boolean {
  return a.subgroups.rows === b.subgroups.rows && a.subgroups.cols === b.subgroups.cols &&
    a.subgroups.size === b.subgroups.size && a.fragment.m === b.fragment.m &&
    a.fragment.n === b.fragment.n && a.fragment.k === b.fragment.k &&
    (a.emulated ?? false) === (b.emulated ?? false);
}

function format({ subgroups, fragment: { m, n, k }, emulated }: MatrixBody): string {
  const { rows, cols, size } = subgroups;
  const lanes = size === SUBGROUP ? "" : ` (${size})`;
  return `${rows}x${cols}${lanes} of ${m}x${n}x${k}${emulated ? " emulated" : ""}`;
}

/** Products in subgroup matrices: operands in f16, sums in f32. */
export const MATRICES: BodyKind<MatrixBody> = {
  tier: "matrix",
  vector: VECTOR,
  gradients: "f16",
  runs: true,
  // Loads are issued a step ahead, and a driver that sees that nobody writes would move them
  // (`bench/matrix.md`).
  operandAccess: "read_write",
  times: { drain: 0, endsDepth: MATRIX_ENDS_DEPTH, everyWave: true, hidesTraffic: false },
  unsuitedTo({ dtype, hidden, adapter = VECTOR }) {
    if (dtype !== "f16") return `takes operands in f16, and these are in ${dtype}`;
    if (hidden % VECTOR !== 0) {
      return `takes a hidden size that is a multiple of ${VECTOR}, and this is ${hidden}`;
    }
    if (adapter % VECTOR !== 0) {
      return `takes an adapter of a multiple of ${VECTOR} columns, and this has ${adapter}`;
    }
  },
  tiles({ matrices, rates }) {
    const fragment = fragmentOf(matrices);
    const rated = fragment ? rates?.matrix?.tiles ?? ratedTiles(fragment) : [];
    return rated.map(({ rate: _, ...tile }) => tile as MatrixTile);
  },
  rated: ({ fragment }) => ratedTiles(fragment),
  measured: ({ matrix }) => matrix,
  guessed: ({ flopsPerSecond, parallelInvocations }) => ({
    flopsPerSecond: MATRIX_GUESS.gain * flopsPerSecond,
    parallelInvocations: MATRIX_GUESS.parallel * parallelInvocations,
  }),
  workgroupSize,
  workgroupBytes,
  fault: (tile, device) => shapeFault(tile) ?? bodyFault(tile.body, device),
  features: ({ emulated }) => emulated ? [] : MATRIX_FEATURES,
  same,
  format,
  describe: ({ subgroups, fragment: { m, n, k } }) =>
    `${subgroups.rows} x ${subgroups.cols} subgroups, matrices of ${m} x ${n} x ${k}`,
  facts: ({ subgroups, fragment: { m, n, k } }) => ({
    subgroupsTokens: subgroups.rows,
    subgroupsVocab: subgroups.cols,
    fragment: [m, n, k],
  }),
};

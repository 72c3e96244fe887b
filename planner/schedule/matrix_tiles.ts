/**
 * Tiles that are summed in subgroup matrices: which there are on a device, what
 * they take, and how fast they are.
 *
 * @module
 */
import type { MatrixConfiguration } from "../device.ts";
import { ACCUMULATED } from "../dtype.ts";
import type { Head } from "../problem.ts";
import {
  LISTED_ID,
  MATRIX_ENDS_DEPTH,
  MATRIX_GUESS,
  MATRIX_TILES,
  SPLIT_GUESS,
  SPLIT_LONGEST_SUM,
  SPLIT_TILES,
} from "../tuning.ts";
import type { MatrixBody, RatedTile, SplitBody, SubgroupBody } from "./bodies.ts";
import type { Abilities, BodyKind, TileWith } from "./body_kind.ts";

/** A tile that is summed in subgroup matrices. */
export type SubgroupTile = TileWith<MatrixBody | SplitBody>;

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
): SubgroupBody["fragment"] | undefined {
  const [largest] = configurations
    .filter(({ component, result }) => component === "f16" && result === "f32")
    .sort((a, b) => b.m * b.n * b.k - a.m * a.n * a.k);
  return largest && { m: largest.m, n: largest.n, k: largest.k };
}

/** Returns tiles to choose from with matrices of some shape, the preferred first. */
function ratedTiles(
  kind: SubgroupBody["kind"],
  tiles: typeof MATRIX_TILES,
  fragment: SubgroupBody["fragment"],
): RatedTile[] {
  return tiles.map(([[rows, cols, depth], [down, across], rate]) => ({
    ...{ rows, cols, depth },
    body: { kind, subgroups: { rows: down, cols: across, size: SUBGROUP }, fragment },
    rate,
  }));
}

/** Returns how many matrices of halves stand for one of an operand. */
export function partsOf({ kind }: SubgroupBody): 1 | 2 {
  return kind === "split" ? 2 : 1;
}

function workgroupSize({ body: { subgroups: { rows, cols, size } } }: SubgroupTile): number {
  return rows * cols * size;
}

/** Returns the vec4s from one line of an operand in workgroup memory to the next: one more than it holds, so that lines spread over the banks. */
export function lineVectors(extent: number): number {
  return extent / VECTOR + 1;
}

/** Returns the vec4s from one row of results in workgroup memory to the next: two more than it holds, for the same reason. */
export function resultQuads({ cols, body: { subgroups } }: SubgroupTile): number {
  return cols / subgroups.cols / 4 + 2;
}

/**
 * Returns the workgroup memory of a tile, in bytes: its operands, whichever way they lie, and
 * then in the same place some rows of results of every subgroup.
 */
function workgroupBytes(tile: SubgroupTile): number {
  const { rows, cols, depth, body: { subgroups } } = tile;
  const operand = (extent: number) =>
    partsOf(tile.body) * Math.max(extent * lineVectors(depth), depth * lineVectors(extent));
  const results = subgroups.rows * subgroups.cols * ROUND_ROWS * resultQuads(tile);
  return 16 * Math.max(operand(rows) + operand(cols), results);
}

/** Returns why kernels cannot be written for a tile, if so. */
function shapeFault(tile: SubgroupTile): string | undefined {
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
  { fragment: { m, n, k }, subgroups: { size }, emulated }: SubgroupBody,
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

function same(a: SubgroupBody, b: SubgroupBody): boolean {
  return a.subgroups.rows === b.subgroups.rows && a.subgroups.cols === b.subgroups.cols &&
    a.subgroups.size === b.subgroups.size && a.fragment.m === b.fragment.m &&
    a.fragment.n === b.fragment.n && a.fragment.k === b.fragment.k &&
    (a.emulated ?? false) === (b.emulated ?? false);
}

function format({ kind, subgroups, fragment: { m, n, k }, emulated }: SubgroupBody): string {
  const { rows, cols, size } = subgroups;
  const lanes = size === SUBGROUP ? "" : ` (${size})`;
  const split = kind === "split" ? " split" : "";
  return `${rows}x${cols}${lanes} of ${m}x${n}x${k}${split}${emulated ? " emulated" : ""}`;
}

/** Returns why the rows of a head's matrices are not made of whole vectors, if so. */
function unevenRows({ hidden, adapter = VECTOR }: Head): string | undefined {
  if (hidden % VECTOR !== 0) {
    return `takes a hidden size that is a multiple of ${VECTOR}, and this is ${hidden}`;
  }
  if (adapter % VECTOR !== 0) {
    return `takes an adapter of a multiple of ${VECTOR} columns, and this has ${adapter}`;
  }
}

const TIMES = {
  drain: 0,
  endsDepth: MATRIX_ENDS_DEPTH,
  everyWave: true,
  listedId: LISTED_ID.matrix,
  hidesTraffic: false,
};

/** What both kinds have in common. */
const IN_SUBGROUPS = {
  runs: true,
  scales: true,
  // Loads are issued a step ahead, and a driver that sees that nobody writes would move them
  // (`bench/matrix.md`).
  operandAccess: "read_write",
  times: TIMES,
  workgroupSize,
  workgroupBytes,
  fault: (tile: SubgroupTile, device: Abilities) =>
    shapeFault(tile) ?? bodyFault(tile.body, device),
  features: ({ emulated }: SubgroupBody) => emulated ? [] : MATRIX_FEATURES,
  same,
  format,
  facts: ({ subgroups, fragment: { m, n, k } }: SubgroupBody) => ({
    subgroupsTokens: subgroups.rows,
    subgroupsVocab: subgroups.cols,
    fragment: [m, n, k],
  }),
} as const;

function describe({ subgroups, fragment: { m, n, k } }: SubgroupBody): string {
  return `${subgroups.rows} x ${subgroups.cols} subgroups, matrices of ${m} x ${n} x ${k}`;
}

/** Products in subgroup matrices: operands in f16, sums in f32. */
export const MATRICES: BodyKind<MatrixBody> = {
  ...IN_SUBGROUPS,
  tier: "matrix",
  vector: VECTOR,
  gradients: "f16",
  unsuitedTo(head) {
    if (head.dtype === "f32") return "takes operands in f16 or bf16, and these are in f32";
    return unevenRows(head);
  },
  tiles({ matrices, rates }) {
    const fragment = fragmentOf(matrices);
    const rated = fragment
      ? rates?.matrix?.tiles ?? ratedTiles("matrix", MATRIX_TILES, fragment)
      : [];
    return rated.map(({ rate: _, ...tile }) => tile as TileWith<MatrixBody>);
  },
  rated: ({ fragment }) => ratedTiles("matrix", MATRIX_TILES, fragment),
  measured: ({ matrix }) => matrix,
  guessed: ({ flopsPerSecond, parallelInvocations }) => ({
    flopsPerSecond: MATRIX_GUESS.gain * flopsPerSecond,
    parallelInvocations: MATRIX_GUESS.parallel * parallelInvocations,
  }),
  describe,
};

/**
 * Products of operands in f32 in subgroup matrices: each is scaled by a power of two and split
 * into a sum of two halves, of which three products count. That of the lower halves is below
 * 2^-22 of a product of the largest elements, as rounding to f32 nearly is (Ootomo and Yokota 2022,
 * https://arxiv.org/abs/2203.03341).
 */
export const SPLIT: BodyKind<SplitBody> = {
  ...IN_SUBGROUPS,
  tier: "split",
  // A matrix unit cuts sums off where f32 rounds them: what is lost adds up with the depth.
  longestSum: SPLIT_LONGEST_SUM,
  // Thrice the arithmetic for twice the bytes.
  times: { ...TIMES, listedId: LISTED_ID.split, hidesTraffic: true },
  vector: VECTOR / 2,
  gradients: ACCUMULATED,
  unsuitedTo(head) {
    if (head.dtype !== "f32") return `splits operands in f32, and these are in ${head.dtype}`;
    return unevenRows(head);
  },
  tiles({ matrices, rates }) {
    const fragment = fragmentOf(matrices);
    const rated = fragment ? rates?.split?.tiles ?? ratedTiles("split", SPLIT_TILES, fragment) : [];
    return rated.map(({ rate: _, ...tile }) => tile as TileWith<SplitBody>);
  },
  rated: ({ fragment }) => ratedTiles("split", SPLIT_TILES, fragment),
  measured: ({ split }) => split,
  guessed: (rates) => {
    const { flopsPerSecond, parallelInvocations } = rates.matrix ?? MATRICES.guessed(rates);
    return { flopsPerSecond: SPLIT_GUESS * flopsPerSecond, parallelInvocations };
  },
  describe: (body) => `${describe(body)}, operands split in two`,
};

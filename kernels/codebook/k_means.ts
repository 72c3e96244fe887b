/**
 * Codes for the rows of a weight by k-means (Lloyd, 1982): each row goes to its
 * nearest code, each code to the mean of its rows, until no row moves. Which code is
 * nearest is found on the device; means are summed in float64, in the order of the
 * rows, so that the same weight, first codes and device give the same codebook.
 *
 * @module
 */
import type { AcquiredDevice } from "../run/device.ts";
import { NearestCode } from "./nearest.ts";

/** The rows of a weight, read some at a time. */
export interface Rows {
  readonly count: number;
  readonly columns: number;
  /** Returns `count` rows from the `first` on, `[count, columns]`. */
  read(first: number, count: number): Promise<Float32Array>;
}

/** What {@linkcode kMeans} may be told besides. */
export interface KMeansOptions {
  /** Most times that rows are given to codes. */
  readonly rounds: number;
  /** Rounds codes to what they will be stored as, so that rows go by those. */
  readonly stored?: (codes: Float32Array) => Float32Array;
  /** Called now and then with the round, from 1 on, and its rows so far. */
  readonly onProgress?: (round: number, rows: number) => void;
}

/** Codes and what they stand for. */
export interface Clusters {
  /** `[codes, columns]`. */
  readonly codes: Float32Array;
  /** The code of each row: its nearest. */
  readonly map: Int32Array;
  /** Sum of squared distances of rows from their codes. */
  readonly squaredError: number;
  /** Sum of squares of all rows. */
  readonly squares: number;
  /** How often rows were given to codes. */
  readonly rounds: number;
  /** Whether no row moved any more. */
  readonly settled: boolean;
  /** Codes that no row was nearest to, and that were put elsewhere; those of all rounds. */
  readonly reseeded: number;
}

/** Elements of the rows that go to the device at once. */
const BLOCK_ELEMENTS = 2 ** 21;

/** Rows that go to the device at once, at most. */
const BLOCK_ROWS = 8192;

/**
 * Finds codes.
 *
 * @param first ids of the rows that the codes are at first, as many as there are to be codes.
 * @throws {DoesNotFitError} when the device cannot hold the codes.
 * @throws {GpuError} when it fails.
 */
export async function kMeans(
  acquired: Pick<AcquiredDevice, "device" | "profile">,
  rows: Rows,
  first: readonly number[],
  { rounds: most, stored = (codes) => codes, onProgress = () => {} }: KMeansOptions,
): Promise<Clusters> {
  const { columns } = rows;
  const block = Math.min(
    rows.count,
    BLOCK_ROWS,
    Math.max(1, Math.floor(BLOCK_ELEMENTS / columns)),
  );
  let codes = new Float32Array(first.length * columns);
  for (const [code, id] of first.entries()) codes.set(await rows.read(id, 1), code * columns);
  codes = new Float32Array(stored(codes));
  const nearest = await NearestCode.create(acquired, {
    rows: block,
    columns,
    codes: first.length,
  });
  try {
    let map: Int32Array = new Int32Array(rows.count).fill(-1);
    let reseeded = 0;
    for (let round = 1;; round++) {
      const given = await giveRows(nearest, rows, codes, block, (done) => onProgress(round, done));
      const settled = given.map.every((code, id) => code === map[id]);
      map = given.map;
      if (settled || round >= most) {
        const { squaredError, squares } = given;
        return { codes, map, squaredError, squares, rounds: round, settled, reseeded };
      }
      const dead = moveCodes(codes, given);
      for (const [index, id] of (await worst(rows, given.distances, dead.length)).entries()) {
        codes.set(await rows.read(id, 1), dead[index]! * columns);
        reseeded++;
      }
      codes = new Float32Array(stored(codes));
    }
  } finally {
    nearest.destroy();
  }
}

/** What came of giving each row to a code. */
interface Given {
  readonly map: Int32Array;
  /** Squared distance of each row from its code. */
  readonly distances: Float64Array;
  readonly squaredError: number;
  readonly squares: number;
  /** Rows of each code, and the sum of them. */
  readonly counts: Uint32Array;
  readonly sums: Float64Array;
}

async function giveRows(
  nearest: NearestCode,
  rows: Rows,
  codes: Float32Array,
  block: number,
  onProgress: (done: number) => void,
): Promise<Given> {
  const { columns } = rows;
  const map = new Int32Array(rows.count);
  const distances = new Float64Array(rows.count);
  const counts = new Uint32Array(codes.length / columns);
  const sums = new Float64Array(codes.length);
  let [squaredError, squares] = [0, 0];
  nearest.use(codes);
  for (let start = 0; start < rows.count; start += block) {
    onProgress(start);
    const count = Math.min(block, rows.count - start);
    const values = await rows.read(start, count);
    (await nearest.of(values)).forEach((code, index) => {
      let distance = 0;
      for (let d = 0; d < columns; d++) {
        const value = values[index * columns + d]!;
        distance += (value - codes[code * columns + d]!) ** 2;
        squares += value * value;
        sums[code * columns + d]! += value;
      }
      counts[code]!++;
      map[start + index] = code;
      distances[start + index] = distance;
      squaredError += distance;
    });
  }
  return { map, distances, squaredError, squares, counts, sums };
}

/** Moves each code to the mean of its rows. Returns those that have none. */
function moveCodes(codes: Float32Array, { counts, sums }: Given): number[] {
  const columns = codes.length / counts.length;
  const dead: number[] = [];
  counts.forEach((count, code) => {
    if (count === 0) dead.push(code);
    for (let d = code * columns; count > 0 && d < (code + 1) * columns; d++) {
      codes[d] = sums[d]! / count;
    }
  });
  return dead;
}

/**
 * Returns the rows furthest from their codes, at most so many, the first of those that are equally
 * far; of rows that are the same one alone, and none that is its code already.
 */
async function worst(rows: Rows, distances: Float64Array, most: number): Promise<number[]> {
  if (most === 0) return [];
  const chosen: number[] = [];
  const seen = new Set<string>();
  const order = Array.from(distances.keys()).filter((id) => distances[id]! > 0)
    .sort((a, b) => distances[b]! - distances[a]! || a - b);
  for (const id of order) {
    const text = (await rows.read(id, 1)).join();
    if (seen.has(text)) continue;
    seen.add(text);
    if (chosen.push(id) === most) break;
  }
  return chosen;
}

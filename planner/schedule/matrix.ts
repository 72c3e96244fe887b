/**
 * Matrices in GPU memory. A weight is often larger than one buffer or one
 * binding may be, so a matrix is a list of segments, each a buffer of whole
 * rows, and is only ever bound one row range at a time.
 *
 * @module
 */
import type { DeviceLimits } from "../device.ts";
import type { Range, Slice } from "./schedule.ts";

/** A row-major matrix, cut into buffers by rows. */
export interface Matrix {
  readonly name: string;
  readonly rows: number;
  readonly rowBytes: number;
  /** Rows of each buffer; the last may hold fewer. */
  readonly capacity: number;
}

/** A buffer of a matrix, and the rows that it holds. */
export interface Segment {
  readonly buffer: string;
  readonly rows: Range;
}

/** Returns the greatest common divisor. */
export function gcd(a: number, b: number): number {
  return b === 0 ? a : gcd(b, a % b);
}

/**
 * Returns the rows after which a row-major matrix is aligned to what a binding's offset must be a
 * multiple of.
 */
export function rowGranule(rowBytes: number, limits: DeviceLimits): number {
  const alignment = limits.minStorageBufferOffsetAlignment;
  return alignment / gcd(alignment, rowBytes);
}

/**
 * Cuts a matrix into as few buffers as the limits allow. Every buffer but the
 * last holds a multiple of `unit` rows, so no unit crosses a cut.
 */
export function partition(
  name: string,
  rows: number,
  rowBytes: number,
  unit: number,
  limits: DeviceLimits,
): Matrix {
  const perBuffer = Math.floor(limits.maxBufferSize / (rowBytes * unit)) * unit;
  const capacity = perBuffer >= unit ? perBuffer : rows;
  return { name, rows, rowBytes, capacity };
}

/** Returns the buffers that a matrix takes. */
export function segmentCount({ rows, capacity }: Matrix): number {
  return Math.ceil(rows / capacity);
}

function segmentAt(matrix: Matrix, index: number): Segment {
  const { name, rows, capacity } = matrix;
  const start = index * capacity;
  return {
    buffer: segmentCount(matrix) === 1 ? name : `${name}.${index}`,
    rows: { start, count: Math.min(capacity, rows - start) },
  };
}

/** Returns the buffers of a matrix, in the order of their rows. */
export function segmentsOf(matrix: Matrix): Segment[] {
  return Array.from({ length: segmentCount(matrix) }, (_, index) => segmentAt(matrix, index));
}

/** Returns the buffer that holds a row. */
export function segmentWith(matrix: Matrix, row: number): Segment {
  return segmentAt(matrix, Math.floor(row / matrix.capacity));
}

/**
 * Returns the bytes of some rows in a buffer: WebGPU copies and 32-bit words want multiples of 4.
 */
export function rowsBytes({ rowBytes }: Matrix, count: number): number {
  return roundUp(count * rowBytes, 4);
}

/** Returns the bytes of all the buffers of a matrix. */
export function matrixBytes(matrix: Matrix): number {
  const whole = segmentCount(matrix) - 1;
  const { rows, capacity } = matrix;
  return whole * rowsBytes(matrix, capacity) + rowsBytes(matrix, rows - whole * capacity);
}

/** Returns the byte range of some rows, which must lie within one segment. */
export function sliceRows(matrix: Matrix, rows: Range): Slice {
  const { buffer, rows: held } = segmentWith(matrix, rows.start);
  if (rows.start + rows.count > held.start + held.count) {
    throw new RangeError(`Rows ${rows.start} to ${rows.start + rows.count} cross a buffer`);
  }
  return {
    buffer,
    offset: (rows.start - held.start) * matrix.rowBytes,
    bytes: rowsBytes(matrix, rows.count),
  };
}

/** Returns the smallest multiple of `unit` that is at least `value`. */
export function roundUp(value: number, unit: number): number {
  return Math.ceil(value / unit) * unit;
}

/** Returns the largest multiple of `unit` that is no more than `value`. */
export function roundDown(value: number, unit: number): number {
  return Math.floor(value / unit) * unit;
}

/** Cuts `[0, total)` into ranges of `size`, the last one shorter if need be. */
export function ranges(total: number, size: number): Range[] {
  return Array.from({ length: Math.ceil(total / size) }, (_, index) => ({
    start: index * size,
    count: Math.min(size, total - index * size),
  }));
}

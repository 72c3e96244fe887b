/**
 * Matrices in GPU memory. A weight is often larger than one buffer or one
 * binding may be, so a matrix is a list of segments, each a buffer of whole
 * rows, and is only ever bound one row range at a time.
 *
 * @module
 */
import type { DeviceLimits } from "./device.ts";
import type { Range, Slice } from "./schedule.ts";

/** A row-major matrix, cut into buffers by rows. */
export interface Matrix {
  readonly name: string;
  readonly rowBytes: number;
  readonly segments: readonly { readonly buffer: string; readonly rows: Range }[];
}

/** Greatest common divisor. */
function gcd(a: number, b: number): number {
  return b === 0 ? a : gcd(b, a % b);
}

/** Rows after which a row-major matrix is aligned to what a binding's offset must be a multiple of. */
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
  const count = Math.ceil(rows / capacity);
  const segments = Array.from({ length: count }, (_, index) => ({
    buffer: count === 1 ? name : `${name}.${index}`,
    rows: {
      start: index * capacity,
      count: Math.min(capacity, rows - index * capacity),
    },
  }));
  return { name, rowBytes, segments };
}

/** Buffer bytes of a segment: WebGPU copies and 32-bit words want multiples of 4. */
export function segmentBytes(matrix: Matrix, rows: Range): number {
  return roundUp(rows.count * matrix.rowBytes, 4);
}

/** The byte range of some rows, which must lie within one segment. */
export function sliceRows(matrix: Matrix, rows: Range): Slice {
  const segment = matrix.segments.find(({ rows: held }) =>
    rows.start >= held.start && rows.start + rows.count <= held.start + held.count
  );
  if (!segment) {
    throw new RangeError(`Rows ${rows.start} to ${rows.start + rows.count} cross a buffer`);
  }
  return {
    buffer: segment.buffer,
    offset: (rows.start - segment.rows.start) * matrix.rowBytes,
    bytes: roundUp(rows.count * matrix.rowBytes, 4),
  };
}

/** The smallest multiple of `unit` that is at least `value`. */
export function roundUp(value: number, unit: number): number {
  return Math.ceil(value / unit) * unit;
}

/** Cuts `[0, total)` into ranges of `size`, the last one shorter if need be. */
export function ranges(total: number, size: number): Range[] {
  return Array.from({ length: Math.ceil(total / size) }, (_, index) => ({
    start: index * size,
    count: Math.min(size, total - index * size),
  }));
}

/**
 * Ranges of the caller's buffers: whether one that is given for something will do.
 *
 * @module
 */
import { BufferUsage } from "./provider.ts";

/**
 * A whole buffer, or a range of one as WebGPU binds it: `{ buffer, offset, size }` in bytes. It
 * begins at byte 0 and ends with the buffer where it does not say otherwise; its offset is a
 * multiple of the device's `minStorageBufferOffsetAlignment`.
 */
export type BufferRange = GPUBuffer | GPUBufferBinding;

/** A range that will do: as many bytes as are used. */
export interface CheckedRange {
  readonly buffer: GPUBuffer;
  /** Bytes of the buffer before it. */
  readonly offset: number;
  readonly size: number;
}

/** Where buffers of a schedule lie, by name. */
export type NamedRanges = Readonly<Record<string, CheckedRange>>;

/** What a range must be. */
export interface Needs {
  /** What it is called in messages, at the beginning of a sentence. */
  readonly which: string;
  readonly bytes: number;
  /** Bits of `GPUBufferUsage`. */
  readonly usage: number;
  /** What its offset must be a multiple of: the device's `minStorageBufferOffsetAlignment`. */
  readonly alignment: number;
}

/**
 * Returns a range that will do.
 *
 * @throws {RangeError} when it is too small, not aligned, or not within its buffer.
 * @throws {TypeError} when its buffer lacks a usage.
 */
export function checkedRange(
  range: BufferRange,
  { which, bytes, usage, alignment }: Needs,
): CheckedRange {
  const { buffer, offset = 0, size = buffer.size - offset } = "buffer" in range
    ? range
    : { buffer: range };
  if (!Number.isInteger(offset) || offset < 0 || offset % alignment !== 0) {
    const next = alignment * Math.max(0, Math.ceil(offset / alignment) || 0);
    throw new RangeError(
      `${which} begins at byte ${offset}: it must be a multiple of ${alignment} (minStorageBufferOffsetAlignment). Begin it at ${next}`,
    );
  }
  if (offset + size > buffer.size) {
    throw new RangeError(
      `${which} ends at byte ${
        offset + size
      }, behind its buffer's ${buffer.size} bytes. Give a larger buffer, or a smaller offset or size`,
    );
  }
  if (size < bytes) {
    throw new RangeError(`${which} is too small: it has ${size} bytes, ${bytes} are needed`);
  }
  if ((buffer.usage & usage) !== usage) {
    throw new TypeError(`${which} lacks a usage: it needs ${usageNames(usage)}`);
  }
  return { buffer, offset, size: bytes };
}

/** Returns whether two ranges have bytes in common. */
export function overlap(a: CheckedRange, b: CheckedRange): boolean {
  return a.buffer === b.buffer && a.offset < b.offset + b.size && b.offset < a.offset + a.size;
}

/** Returns the names of usage flags, as code spells them. */
function usageNames(usage: number): string {
  return (["STORAGE", "COPY_DST"] as const)
    .filter((name) => usage & BufferUsage[name])
    .map((name) => `GPUBufferUsage.${name}`)
    .join(" | ");
}

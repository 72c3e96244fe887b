/**
 * Sources: the bytes of a tensor, asked for by range. An array, a file and a
 * generator are sources; whoever reads one need not hold all of it.
 *
 * @module
 */

/** The bytes of a tensor, asked for by range. */
export interface TensorSource {
  /** Length of the tensor. */
  readonly bytes: number;
  /** Bytes of the host's memory that the source keeps: all of an array's, none of a file's. */
  readonly heldBytes: number;
  /** What tells the bytes from others without reading them, where that is known: of a file, its state. */
  readonly identity?: string | undefined;
  /**
   * Returns a range: a view of what the source keeps, else `into`, filled, which is as
   * long as the range. Nobody writes into what is returned.
   */
  read(offset: number, length: number, into?: Uint8Array): Promise<Uint8Array>;
}

/** A tensor on the host: an array, or what gives its bytes by range. */
export type TensorBytes = Uint8Array | TensorSource;

/**
 * A source gave other bytes than it was asked for, or was asked for bytes that it does not have.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import {
 *   parseProblem,
 *   planFromHost,
 *   runFromHost,
 *   SourceError,
 *   SPECIFICATION_DEFAULTS,
 * } from "@lce/lce";
 *
 * const device = await (await navigator.gpu.requestAdapter())!.requestDevice();
 * const planned = planFromHost(
 *   parseProblem({ tokens: 2, hidden: 4, vocab: 8 }),
 *   SPECIFICATION_DEFAULTS,
 * );
 * const short = { bytes: 128, heldBytes: 0, read: () => Promise.resolve(new Uint8Array(3)) };
 * const inputs = { hidden: new Uint8Array(32), weight: short, targets: new Uint8Array(8) };
 * await assert.rejects(runFromHost(device, planned, inputs), SourceError);
 * device.destroy();
 * ```
 */
export class SourceError extends Error {
  /** Tells this error from others without `instanceof`. */
  override name = "SourceError";
}

/** Returns a tensor as a source; ranges of an array are views of it. */
export function sourceOf(tensor: TensorBytes): TensorSource {
  if (!(tensor instanceof Uint8Array)) return tensor;
  return {
    bytes: tensor.length,
    heldBytes: tensor.length,
    read: (offset, length) => Promise.resolve(tensor.subarray(offset, offset + length)),
  };
}

/**
 * Returns a source whose bytes are made anew whenever they are asked for: `fill` writes a range.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { generatedSource } from "@lce/lce";
 *
 * const counting = generatedSource(1000, (offset, into) => into.forEach((_, i) => into[i] = offset + i));
 * assert.deepEqual([...await counting.read(20, 3)], [20, 21, 22]);
 * ```
 */
export function generatedSource(
  bytes: number,
  fill: (offset: number, into: Uint8Array) => void,
): TensorSource {
  return {
    bytes,
    heldBytes: 0,
    read(offset, length, into = new Uint8Array(length)) {
      fill(offset, into);
      return Promise.resolve(into);
    },
  };
}

/** Returns a range of a tensor as a tensor: a view of an array, or a source that reads no more. */
export function rangeOf(tensor: TensorBytes, start: number, bytes: number): TensorBytes {
  if (tensor instanceof Uint8Array) return tensor.subarray(start, start + bytes);
  const { identity } = tensor;
  return {
    bytes,
    heldBytes: Math.min(tensor.heldBytes, bytes),
    identity: identity === undefined ? undefined : `${identity}, ${bytes} from ${start} on`,
    read: (offset, length, into) => tensor.read(start + offset, length, into),
  };
}

/** Returns a tensor with zeros behind it, up to some length. */
export function paddedTo(tensor: TensorBytes, bytes: number): TensorSource {
  const source = sourceOf(tensor);
  return {
    bytes,
    heldBytes: source.heldBytes,
    async read(offset, length, into = new Uint8Array(length)) {
      const real = Math.max(0, Math.min(length, source.bytes - offset));
      if (real > 0) {
        const given = await source.read(offset, real, into.subarray(0, real));
        if (given.buffer !== into.buffer) into.set(given);
      }
      return into.fill(0, real);
    },
  };
}

/**
 * Reads a range, all of it.
 *
 * @throws {SourceError} where the tensor does not have it, or the source gives less or more.
 */
export async function readRange(
  tensor: TensorBytes,
  offset: number,
  length: number,
  into?: Uint8Array,
): Promise<Uint8Array> {
  const source = sourceOf(tensor);
  if (offset + length > source.bytes) {
    throw new SourceError(
      `Bytes ${offset} to ${offset + length} of a tensor that has ${source.bytes}`,
    );
  }
  const bytes = await source.read(offset, length, into);
  if (bytes.length === length) return bytes;
  throw new SourceError(`A source gave ${bytes.length} bytes from ${offset} on, not ${length}`);
}

/** Reads all of a tensor. */
export async function readAll(tensor: TensorBytes): Promise<Uint8Array> {
  return tensor instanceof Uint8Array ? tensor : await readRange(tensor, 0, tensor.bytes);
}

/** Bytes that {@linkcode blocksOf} reads at once: enough that the cost of asking does not show. */
const BLOCK_BYTES = 4 * 2 ** 20;

/**
 * Reads a tensor block by block, each of whole units of so many bytes. A block is
 * valid until the next one is asked for.
 */
export async function* blocksOf(
  tensor: TensorBytes,
  unit = 1,
): AsyncGenerator<{ readonly offset: number; readonly bytes: Uint8Array }> {
  const { bytes: total, heldBytes } = sourceOf(tensor);
  const size = Math.min(total, Math.max(1, Math.floor(BLOCK_BYTES / unit)) * unit);
  const own = heldBytes < total ? new Uint8Array(size) : undefined;
  for (let offset = 0; offset < total; offset += size) {
    const length = Math.min(size, total - offset);
    yield { offset, bytes: await readRange(tensor, offset, length, own?.subarray(0, length)) };
  }
}

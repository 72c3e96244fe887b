/**
 * Memory of the host while a schedule runs: what its sources keep, the pieces that
 * are read ahead of the device, and the results. How uploads are cut into pieces is
 * decided here, where it is added up.
 *
 * @module
 */
import { WORD } from "./layout.ts";
import { roundUp } from "./matrix.ts";
import type { Range, Schedule, Upload } from "./schedule.ts";
import { bytesIn, shapeIn } from "./tensor_sizes.ts";
import { paddingRows, tensorsOf } from "./tensors.ts";

/** Bytes of an upload that are read and written at once. */
const PIECE_BYTES = 16 * 2 ** 20;

/**
 * Pieces that are read before the device asks for them: a window of so many is
 * read whole while the one before it is worked on.
 */
const PIECES_AHEAD = 4;

/** What is known of a host tensor beforehand. */
export interface HeldTensor {
  /** Its length. */
  readonly bytes: number;
  /** Bytes of it that are in memory anyway: all of an array's, none of a file's. */
  readonly heldBytes: number;
}

/** A part of an upload. */
export interface Piece {
  /** Name of the host tensor. */
  readonly tensor: string;
  /** Bytes of the tensor before what is read. */
  readonly sourceOffset: number;
  /** Name of the buffer that is written. */
  readonly buffer: string;
  /** Bytes of the buffer before what is written. */
  readonly offset: number;
  /** How many bytes. */
  readonly bytes: number;
}

/** Returns the pieces of an upload, in order. */
export function piecesOf({ tensor, sourceOffset, slice }: Upload): Piece[] {
  return Array.from({ length: Math.ceil(slice.bytes / PIECE_BYTES) }, (_, index) => {
    const done = index * PIECE_BYTES;
    return {
      tensor,
      sourceOffset: sourceOffset + done,
      buffer: slice.buffer,
      offset: slice.offset + done,
      bytes: Math.min(PIECE_BYTES, slice.bytes - done),
    };
  });
}

/** Returns the pieces of all uploads of a schedule, in order. */
export function allPieces({ steps }: Schedule): Piece[] {
  return steps.flatMap((step) => step.kind === "upload" ? piecesOf(step) : []);
}

/** Memory that pieces pass through. */
export interface PieceSlots {
  /** Pieces that it holds at once. */
  readonly count: number;
  /** Bytes of each. */
  readonly bytes: number;
}

/** Returns whether a tensor is not in memory, so that its pieces need room of their own. */
export function passesThrough({ bytes, heldBytes }: HeldTensor): boolean {
  return heldBytes < bytes;
}

/** Returns the room for pieces of tensors that are not in memory. */
export function slotsFor(
  pieces: readonly Piece[],
  tensors: Readonly<Record<string, HeldTensor>>,
): PieceSlots {
  let [count, bytes] = [0, 0];
  for (const piece of pieces) {
    const tensor = tensors[piece.tensor];
    if (!tensor || !passesThrough(tensor)) continue;
    count++;
    bytes = Math.max(bytes, piece.bytes);
  }
  return { count: Math.min(PIECES_AHEAD, count), bytes };
}

/** Memory of the host, in bytes. */
export interface HostMemory {
  /** What the tensors' sources keep. */
  readonly heldBytes: number;
  /** Pieces on their way to the device. */
  readonly piecesBytes: number;
  /** Results that are kept in arrays. */
  readonly resultBytes: number;
  /** All of it. */
  readonly peakBytes: number;
}

/**
 * Adds up the host's memory during a run.
 *
 * @param tensors what is uploaded, by name.
 * @param elsewhere results that leave for somewhere else as they are read back, such as a file.
 */
export function predictHostMemory(
  schedule: Schedule,
  tensors: Readonly<Record<string, HeldTensor>>,
  elsewhere: Iterable<string> = [],
): HostMemory {
  const pieces = allPieces(schedule);
  const uploaded = new Set(pieces.map(({ tensor }) => tensor));
  const { count, bytes } = slotsFor(pieces, tensors);
  const results = broughtBack(schedule);
  for (const name of elsewhere) results.delete(name);
  const heldBytes = Object.entries(tensors)
    .reduce((sum, [name, tensor]) => sum + (uploaded.has(name) ? tensor.heldBytes : 0), 0);
  const resultBytes = [...results].reduce((sum, name) => sum + tensorBytes(schedule, name), 0);
  const piecesBytes = count * bytes;
  return { heldBytes, piecesBytes, resultBytes, peakBytes: heldBytes + piecesBytes + resultBytes };
}

/**
 * Returns the host's memory of a run whose matrices stay in their files and whose results are
 * kept; none of a schedule that uploads nothing, as tensors are the caller's throughout.
 */
export function planHostMemory(schedule: Schedule): HostMemory | undefined {
  const tensors = tensorsOf(schedule.problem);
  const uploaded = new Set(allPieces(schedule).map(({ tensor }) => tensor));
  if (uploaded.size === 0) return undefined;
  const held = Object.fromEntries(
    [...uploaded].map((name) => {
      const bytes = tensorBytes(schedule, name);
      return [name, { bytes, heldBytes: tensors.get(name)?.inRows ? 0 : bytes }];
    }),
  );
  return predictHostMemory(schedule, held);
}

/** Returns the names of the tensors that come back to the host. */
export function broughtBack({ steps }: Schedule): Set<string> {
  return new Set(steps.flatMap((step) => step.kind === "readback" ? [step.tensor] : []));
}

/** Returns the bytes of a host tensor: of the buffers that hold it, and of what never leaves the host. */
export function tensorBytes(schedule: Schedule, tensor: string): number {
  const { start, count } = paddingOf(schedule, tensor);
  return start + count;
}

/**
 * Returns which bytes of a host tensor no buffer holds: those of ids that another head does not
 * have, which come last. Gradients are zeros there.
 */
export function paddingOf(schedule: Schedule, tensor: string): Range {
  const { buffers, problem, residency } = schedule;
  const start = buffers.reduce(
    (most, { holds, bytes }) =>
      holds?.tensor === tensor ? Math.max(most, holds.offset + bytes) : most,
    0,
  );
  const found = tensorsOf(problem).get(tensor);
  const padded = found?.inRows && found.axis === "vocab" &&
    paddingRows(problem, found.head, residency) > 0;
  if (!padded) return { start, count: 0 };
  return { start, count: roundUp(bytesIn(shapeIn(schedule, found), found), WORD) - start };
}

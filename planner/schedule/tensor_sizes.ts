/**
 * How large a tensor of a schedule is: its shape, and the bytes of it.
 *
 * @module
 */
import type { Schedule } from "./schedule.ts";
import { elementBytes, elementType, type NamedTensor } from "./tensors.ts";

/** Returns the extents of a tensor that is one, from the outermost to the innermost. */
export function shapeIn(
  { problem, share, block, splits }: Schedule,
  { head, shape }: NamedTensor,
): readonly number[] {
  return shape!({ problem, head, share, blocks: block.count, splits });
}

/** Returns the bytes of a part of a tensor with some extents. */
export function bytesIn(extents: readonly number[], { key, head }: NamedTensor): number {
  return extents.reduce((a, b) => a * b, elementBytes(elementType(key, head)));
}

/**
 * What the host's tensors of a schedule hold: types, shapes and names of rows, for
 * hosts that have nothing but a manifest to go by.
 *
 * @module
 */
import type { Dtype } from "../../planner/dtype.ts";
import type { Problem } from "../../planner/problem.ts";
import type { Schedule } from "../../planner/schedule/schedule.ts";
import {
  elementBytes,
  type ElementType,
  elementType,
  type NamedTensor,
  tensorsOf,
} from "../../planner/schedule/tensors.ts";

/** A tensor of the host. Elements lie in row-major order, without padding but that of the shape. */
export interface HostTensor {
  readonly dtype: ElementType;
  readonly shape: readonly number[];
  /** What each row, or each word where there is one axis, holds. */
  readonly rows?: readonly string[];
  /** What shape and names do not say. */
  readonly note?: string;
}

/** Returns the descriptions of the tensors that a schedule's buffers hold, by name. */
export function hostTensors(schedule: Schedule): Record<string, HostTensor> {
  const { problem, buffers, block, splits, gradientDtype } = schedule;
  const tensors = tensorsOf(problem);
  const held: Record<string, HostTensor> = {};
  for (const { holds, bytes } of buffers) {
    if (!holds || holds.tensor in held) continue;
    const tensor = tensors.get(holds.tensor)!;
    const sizes = { blocks: block.count, splits, bytes, gradientDtype };
    held[holds.tensor] = described(tensor, problem, sizes);
  }
  return held;
}

/** Returns the description of a tensor; `bytes` are its size, where the table does not say. */
function described(
  { key, head, shape, rows, note }: NamedTensor,
  problem: Problem,
  { bytes, gradientDtype, ...sizes }: {
    readonly blocks: number;
    readonly splits: number;
    readonly bytes: number;
    readonly gradientDtype: Dtype | undefined;
  },
): HostTensor {
  const dtype = elementType(key, head, gradientDtype);
  return {
    dtype,
    shape: shape?.({ problem, head, ...sizes }) ?? [bytes / elementBytes(dtype)],
    ...(rows ? { rows: rows(problem) } : {}),
    ...(note ? { note: note(problem) } : {}),
  };
}

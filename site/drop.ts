/// <reference lib="dom" />
/**
 * The head in a safetensors file that the visitor gives: the file's header is read, and of its
 * weight what a run asks for, by range.
 *
 * @module
 */
import { InputError } from "../fixtures/errors.ts";
import { findHead } from "../fixtures/head_tensors.ts";
import { headerLength, parseHeader, type TensorInfo } from "../fixtures/safetensors_header.ts";
import { type Dtype, DTYPES } from "../planner/dtype.ts";
import type { TensorSource } from "../host/source.ts";
import type { OutputHead } from "../planner/models/head.ts";

/** A head found in a file. */
export interface FoundHead {
  readonly head: OutputHead;
  /** The tensor's name. */
  readonly name: string;
  /** The weight's bytes, which stay in the file until they are asked for. */
  readonly weight: TensorSource;
  /** How many tensors there are besides. */
  readonly others: number;
}

/** What of a file is needed. */
type Sliced = Pick<File, "name" | "size" | "slice">;

/** Returns a range of a file. */
async function rangeIn(file: Sliced, start: number, end: number): Promise<Uint8Array> {
  return new Uint8Array(await file.slice(start, end).arrayBuffer());
}

/** Returns a tensor of a file, which is read where and when it is asked for. */
function tensorIn(file: Sliced, { start, end }: Pick<TensorInfo, "start" | "end">): TensorSource {
  return {
    bytes: end - start,
    heldBytes: 0,
    async read(offset, length, into) {
      const bytes = await rangeIn(file, start + offset, start + offset + length);
      if (!into) return bytes;
      into.set(bytes);
      return into;
    },
  };
}

/**
 * Finds the output layer in a file, by the names in use.
 *
 * @throws {InputError} where the file is none, or has no head that can be planned.
 */
export async function headIn(file: Sliced): Promise<FoundHead> {
  const length = headerLength(await rangeIn(file, 0, 8), file.size, file.name);
  const { tensors } = parseHeader(await rangeIn(file, 8, 8 + length), file.size, file.name);
  const { weight, bias } = findHead(file.name, new Set(tensors.keys()), {});
  const { dtype, shape: [vocab, hidden, ...rest] } = tensors.get(weight)!;
  const stored = DTYPES.find((name) => name === dtype.toLowerCase()) as Dtype | undefined;
  if (vocab === undefined || hidden === undefined || rest.length > 0 || stored === undefined) {
    throw new InputError(
      `${file.name}: ${weight} is ${dtype} of ${
        tensors.get(weight)!.shape.join(" x ")
      }; a matrix in F32, F16 or BF16 is needed`,
    );
  }
  return {
    head: { vocab, hidden, dtype: stored, ...(bias === undefined ? {} : { bias: true }) },
    name: weight,
    weight: tensorIn(file, tensors.get(weight)!),
    others: tensors.size - 1,
  };
}

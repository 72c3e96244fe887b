/// <reference lib="dom" />
/**
 * The head in a safetensors file that the visitor gives: only the file's header is read.
 *
 * @module
 */
import { InputError } from "../fixtures/errors.ts";
import { findHead } from "../fixtures/head_tensors.ts";
import { headerLength, parseHeader } from "../fixtures/safetensors_header.ts";
import { type Dtype, DTYPES } from "../planner/dtype.ts";
import type { OutputHead } from "../planner/models/head.ts";

/** A head found in a file. */
export interface FoundHead {
  readonly head: OutputHead;
  /** The tensor's name. */
  readonly name: string;
  /** How many tensors there are besides. */
  readonly others: number;
}

/**
 * Finds the output layer in a file, by the names in use.
 *
 * @throws {InputError} where the file is none, or has no head that can be planned.
 */
export async function headIn(file: Pick<File, "name" | "size" | "slice">): Promise<FoundHead> {
  const bytes = async (start: number, end: number) =>
    new Uint8Array(await file.slice(start, end).arrayBuffer());
  const length = headerLength(await bytes(0, 8), file.size, file.name);
  const { tensors } = parseHeader(await bytes(8, 8 + length), file.size, file.name);
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
    others: tensors.size - 1,
  };
}

/**
 * Sinks: where the bytes of a tensor go, range by range: an array, or a file that
 * never is in memory as a whole.
 *
 * @module
 */
import type { TensorSource } from "./source.ts";

/** Takes the bytes of a tensor by range. */
export interface TensorSink {
  /** Takes a range. The bytes are the caller's again once the promise is kept. */
  write(offset: number, bytes: Uint8Array): Promise<void>;
}

/** A sink whose bytes can be read once they are written. */
export type TensorStore = TensorSink & TensorSource;

/** Returns a sink that writes into an array. */
export function arraySink(array: Uint8Array): TensorSink {
  return {
    write(offset, bytes) {
      array.set(bytes, offset);
      return Promise.resolve();
    },
  };
}

/**
 * Errors in what moves bytes between files, memory and device.
 *
 * @module
 */
import {
  AHEAD,
  FAILURES,
  FILE_RANGE,
  FILE_WEIGHTS,
  LARGE_REFERENCE,
  SOURCES,
  STREAMED_SOURCE,
  SYNTHETIC,
  WRITER,
} from "./killers.ts";
import type { Mutant } from "./mutant.ts";

/** Errors in sources, sinks and those who read and write them. */
export const HOST: readonly Mutant[] = [
  {
    name: "a range of a source begins where the source does",
    file: "host/source.ts",
    find: "tensor.read(start + offset, length, into)",
    replace: "tensor.read(offset, length, into)",
    why: "every rank would have the first rank's rows of a weight in a file",
    killers: [SOURCES],
  },
  {
    name: "a source may give less than it was asked for",
    file: "host/source.ts",
    find: "if (bytes.length === length) return bytes;",
    replace: "if (bytes.length <= length) return bytes;",
    why: "what is missing would be what an earlier window left there",
    killers: [SOURCES, FAILURES],
  },
  {
    name: "all pieces are read into the same memory",
    file: "kernels/run/feed.ts",
    find: "this.#staged++ % this.#slots.count",
    replace: "this.#staged++ % 1",
    why: "a window would hold parts of those after it",
    killers: [STREAMED_SOURCE],
  },
  {
    name: "nothing is read before it is needed",
    file: "kernels/run/feed.ts",
    find: "this.#waiting === this.#slots.count : ",
    replace: "this.#waiting === 1 : ",
    why: "the device would wait for the disk at every window",
    killers: [AHEAD],
  },
  {
    name: "a file that changes while it is read goes unnoticed",
    file: "fixtures/files/file_range.ts",
    find:
      "into);\n      // Bytes of two states would be mixed where somebody writes meanwhile.\n      await this.#check(file);",
    replace: "into);",
    why: "a checkpoint that is being saved would be half of each",
    killers: [FILE_RANGE],
  },
  {
    name: "a tensor is read from the start of its file",
    file: "fixtures/files/file_range.ts",
    find: "this.start + offset, into",
    replace: "offset, into",
    why: "weights would be the file's header",
    killers: [FILE_RANGE, FILE_WEIGHTS],
  },
  {
    name: "a tensor is written to the start of its file",
    file: "fixtures/files/safetensors_writer.ts",
    find: "await file.seek(start + offset, Deno.SeekMode.Start);",
    replace: "await file.seek(offset, Deno.SeekMode.Start);",
    why: "gradients would lie over the header and one another",
    killers: [WRITER],
  },
  {
    name: "a file that is not whole takes its place",
    file: "fixtures/files/safetensors_writer.ts",
    find: "if (this.#written !== all) {",
    replace: "if (this.#written > all) {",
    why: "zeros would pass for gradients",
    killers: [WRITER],
  },
  {
    name: "half precision is widened over what has not been read",
    file: "fixtures/widened.ts",
    find: "into.subarray(length / 2)",
    replace: "into.subarray(0, length / 2)",
    why: "elements would be made of one another",
    killers: [SYNTHETIC, FILE_WEIGHTS],
  },
  {
    name: "a stream that is taken up in the middle of a pair begins with the next",
    file: "fixtures/random.ts",
    find: "if (odd === 1) this.normal();",
    replace: "",
    why: "a weight that is made by ranges would not be the one that is made at once",
    killers: [SYNTHETIC],
  },
  {
    name: "the reference reads the first block of a large weight over and over",
    file: "fixtures/reference/matrix_rows.ts",
    find: "this.#decoded(index * this.#perBlock, this.#rowsOf(index))",
    replace: "this.#decoded(0, this.#rowsOf(index))",
    why: "what is compared with would be of another head",
    killers: [LARGE_REFERENCE],
  },
];

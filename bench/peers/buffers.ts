/**
 * Buffers of a caller's own.
 *
 * @module
 */
import type { TensorPart } from "../../mod.ts";

/** Bytes that a queue is given at a time: it keeps a copy of what it has not written yet. */
const PIECE = 64 * 2 ** 20;

/** Returns what makes buffers on a device: with a tensor or a part of one in them, or empty. */
export function createBuffers(device: GPUDevice) {
  const { queue } = device;
  const usage = GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_DST | GPUBufferUsage.COPY_SRC;
  const empty = ({ bytes }: Pick<TensorPart, "bytes">) =>
    device.createBuffer({ size: bytes, usage });
  const upload = (
    data: Float32Array<ArrayBuffer> | Int32Array<ArrayBuffer>,
    part: TensorPart = { offset: 0, bytes: data.byteLength },
  ) => {
    const buffer = empty(part);
    for (let at = 0; at < part.bytes; at += PIECE) {
      const size = Math.min(PIECE, part.bytes - at);
      queue.writeBuffer(buffer, at, data.buffer, data.byteOffset + part.offset + at, size);
      queue.submit([]);
    }
    return buffer;
  };
  return { upload, empty };
}

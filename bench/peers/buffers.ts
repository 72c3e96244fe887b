/**
 * Buffers of a caller's own.
 *
 * @module
 */

/** Returns what makes buffers on a device: with a tensor in them, or empty. */
export function createBuffers(device: GPUDevice) {
  const usage = GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_DST | GPUBufferUsage.COPY_SRC;
  const empty = (size: number) => device.createBuffer({ size, usage });
  const upload = (data: Float32Array<ArrayBuffer> | Int32Array<ArrayBuffer>) => {
    const buffer = empty(data.byteLength);
    device.queue.writeBuffer(buffer, 0, data);
    return buffer;
  };
  return { upload, empty };
}

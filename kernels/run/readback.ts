/**
 * Buffers of the device as bytes of the host.
 *
 * @module
 */
import { bufferLabel } from "./labels.ts";
import { BufferUsage, MapMode } from "./provider.ts";

/** Some bytes of a buffer, which needs `COPY_SRC` usage. */
export interface Part {
  readonly buffer: GPUBuffer;
  /** Bytes before the part; 0 where it is left out. */
  readonly offset?: number;
  readonly bytes: number;
}

/**
 * Waits for the device and returns parts of buffers, one behind the other, by way
 * of one staging buffer that is mapped once: each mapping costs a wait.
 *
 * @param what the staging buffer is for, in its label.
 */
export async function readParts(
  device: GPUDevice,
  parts: readonly Part[],
  what: string,
): Promise<Uint8Array<ArrayBuffer>> {
  const staging = device.createBuffer({
    label: bufferLabel("staging", what),
    size: parts.reduce((sum, { bytes }) => sum + bytes, 0),
    usage: BufferUsage.MAP_READ | BufferUsage.COPY_DST,
  });
  try {
    const encoder = device.createCommandEncoder();
    let at = 0;
    for (const { buffer, offset = 0, bytes } of parts) {
      encoder.copyBufferToBuffer(buffer, offset, staging, at, bytes);
      at += bytes;
    }
    device.queue.submit([encoder.finish()]);
    await staging.mapAsync(MapMode.READ);
    return new Uint8Array(staging.getMappedRange().slice(0));
  } finally {
    staging.destroy();
  }
}

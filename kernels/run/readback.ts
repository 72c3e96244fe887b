/**
 * Buffers of the device as bytes of the host.
 *
 * @module
 */
import { catchReports, GpuError, lossCheck, reported, throwIfLost } from "./errors.ts";
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
 * Maps a range of a staging buffer and returns it; it is valid until the buffer is unmapped.
 *
 * @param what the range holds, for the message.
 * @throws {GpuError} when the device does not hand it over.
 */
export async function mapped(
  staging: GPUBuffer,
  what: string,
  range: { readonly offset: number; readonly bytes: number },
): Promise<ArrayBuffer> {
  try {
    await staging.mapAsync(MapMode.READ, range.offset, range.bytes);
    return staging.getMappedRange(range.offset, range.bytes);
  } catch (error) {
    throw new GpuError(`The device did not hand ${what} over: ${(error as Error).message}`);
  }
}

/**
 * Waits for the device and returns parts of buffers, one behind the other, by way
 * of one staging buffer that is mapped once: each mapping costs a wait.
 *
 * @param what the staging buffer is for, in its label.
 * @throws {GpuError} when the device reports an error, is lost, or does not hand them over.
 */
export async function readParts(
  device: GPUDevice,
  parts: readonly Part[],
  what: string,
): Promise<Uint8Array<ArrayBuffer>> {
  const throwIfKnownLost = lossCheck(device);
  const bytes = parts.reduce((sum, { bytes }) => sum + bytes, 0);
  let staging: GPUBuffer | undefined;
  let mapping: Promise<ArrayBuffer>;
  let report: ReturnType<ReturnType<typeof catchReports>>;
  const end = catchReports(device);
  try {
    try {
      staging = device.createBuffer({
        label: bufferLabel("staging", what),
        size: bytes,
        usage: BufferUsage.MAP_READ | BufferUsage.COPY_DST,
      });
      const encoder = device.createCommandEncoder();
      let at = 0;
      for (const { buffer, offset = 0, bytes } of parts) {
        encoder.copyBufferToBuffer(buffer, offset, staging, at, bytes);
        at += bytes;
      }
      device.queue.submit([encoder.finish()]);
      mapping = mapped(staging, what, { offset: 0, bytes });
    } finally {
      report = end();
    }
    const [outcome, found] = await Promise.all([
      mapping.then((range) => ({ range }), (error: unknown) => ({ error })),
      report,
    ]);
    if (found || "error" in outcome) await throwIfLost(device);
    if (found) throw reported(found);
    if ("error" in outcome) throw outcome.error;
    // What a device that is lost has mapped is nobody's results.
    throwIfKnownLost();
    return new Uint8Array(outcome.range.slice(0));
  } finally {
    staging?.destroy();
  }
}

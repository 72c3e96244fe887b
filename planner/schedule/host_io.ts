/**
 * Inputs from the host and results back to it: wraps a schedule whose tensors
 * are the host's in uploads and readbacks. A schedule without them works on
 * buffers that the caller owns.
 *
 * @module
 */
import { roundDown } from "./matrix.ts";
import { predictMemory } from "./memory.ts";
import type { BufferSpec, Readback, Schedule, Step } from "./schedule.ts";
import { streamedTensors, streamWindows } from "./streaming.ts";

/**
 * Bounds of the buffer that results leave through, piece by piece. Between them
 * it takes what the finished schedule has just given back, so that reading
 * results never raises the peak of a large job.
 */
const STAGING_BYTES = { least: 64 * 2 ** 10, most: 64 * 2 ** 20 };

/**
 * Returns the bytes of the staging buffer, from those of the largest result and the most scratch
 * that is alive at once.
 */
export function stagingSize(largestResult: number, scratch: number): number {
  const freed = roundDown(scratch, 256);
  return Math.min(
    largestResult,
    Math.min(Math.max(freed, STAGING_BYTES.least), STAGING_BYTES.most),
  );
}

/**
 * Returns the same schedule with every input uploaded first and every output read back
 * last; the windows of a streamed weight when their turn comes.
 */
export function withHostIo(schedule: Schedule): Schedule {
  const uploads: Step[] = [];
  const outputs: BufferSpec[] = [];
  const streamed = streamedTensors(schedule);
  for (const spec of schedule.buffers) {
    const { name, bytes, category, holds } = spec;
    if (!holds || streamed.has(holds.tensor)) continue;
    if (category !== "input") {
      outputs.push(spec);
      continue;
    }
    const slice = { buffer: name, offset: 0, bytes };
    uploads.push({ kind: "upload", tensor: holds.tensor, sourceOffset: holds.offset, slice });
  }
  const results = schedule.buffers.filter(({ category, holds }) => holds && category !== "input");
  const stagingBytes = stagingSize(
    results.reduce((most, { bytes }) => Math.max(most, bytes), 0),
    predictMemory(schedule).byCategory.scratch,
  );
  const staging: BufferSpec = { name: "staging", bytes: stagingBytes, category: "staging" };
  const { buffers, steps } = schedule.residency === "windows"
    ? streamWindows(schedule, (finished) => readbacks(finished, stagingBytes))
    : schedule;
  return {
    ...schedule,
    buffers: [...buffers, staging],
    steps: [
      ...uploads,
      ...steps,
      ...outputs.flatMap((output) => readbacks(output, stagingBytes)),
    ],
    backwardStart: undefined,
  };
}

function readbacks({ name, bytes, holds }: BufferSpec, stagingBytes: number): Readback[] {
  const count = Math.ceil(bytes / stagingBytes);
  return Array.from({ length: count }, (_, index) => {
    const offset = index * stagingBytes;
    const size = Math.min(stagingBytes, bytes - offset);
    return {
      kind: "readback",
      tensor: holds!.tensor,
      targetOffset: holds!.offset + offset,
      slice: { buffer: name, offset, bytes: size },
      staging: { buffer: "staging", offset: 0, bytes: size },
    };
  });
}

/**
 * Results on the device, which are read with what it has reported meanwhile: a step that failed
 * has none, and whoever reads is told.
 *
 * @module
 */
import { ownBuffers } from "./callers_buffers.ts";
import type { Encoder } from "./encoder.ts";
import { catchReports, type Report, reported, throwIfLost } from "./errors.ts";
import { readParts } from "./readback.ts";

/** The results of what an encoder is given to do. */
export class ReportedResults {
  readonly #encoder: Encoder;
  /** What the device has reported first of the calls since results were last read. */
  #report: Promise<Report | undefined> = Promise.resolve(undefined);

  constructor(encoder: Encoder) {
    this.#encoder = encoder;
  }

  /** Does something, and keeps what the device reports of it until results are read. */
  watch(work: () => void): void {
    const end = catchReports(this.#encoder.device);
    try {
      work();
    } finally {
      this.#report = firstOf(this.#report, end());
    }
  }

  /**
   * Returns results, all or those of some names, as bytes: all at once.
   *
   * @throws {GpuError} when the device is lost, or has reported an error since the last time.
   */
  async read(names?: readonly string[]): Promise<Record<string, Uint8Array>> {
    const { schedule, device } = this.#encoder;
    const results = ownBuffers(schedule).filter(({ name, holds }) =>
      holds && (names?.includes(name) ?? true)
    );
    // Both at once: a call that comes after this one may be submitted before results are there.
    const report = this.#report;
    this.#report = Promise.resolve(undefined);
    const parts = results.map(({ name, bytes }) => ({ buffer: this.#encoder.buffer(name), bytes }));
    const [outcome] = await Promise.allSettled([readParts(device, parts, "results")]);
    const found = await report;
    if (found) {
      await throwIfLost(device);
      throw reported(found);
    }
    if (outcome.status === "rejected") throw outcome.reason;
    let offset = 0;
    return Object.fromEntries(results.map(({ name, bytes }) => {
      const piece = outcome.value.subarray(offset, offset + bytes);
      offset += bytes;
      return [name, piece];
    }));
  }
}

async function firstOf<T>(...each: Promise<T | undefined>[]): Promise<T | undefined> {
  return (await Promise.all(each)).find((value) => value !== undefined);
}

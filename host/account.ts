/**
 * An account of the host's memory: what a run allocates for tensors, and what its
 * sources keep. It knows nothing of schedules, so that a prediction can be held
 * against it.
 *
 * @module
 */

/** Counts bytes of the host's memory while they are in use. */
export class HostAccount {
  #liveBytes = 0;
  #peakBytes = 0;

  /** Bytes in use now. */
  get liveBytes(): number {
    return this.#liveBytes;
  }

  /** Returns the most bytes in use at once. */
  get peakBytes(): number {
    return this.#peakBytes;
  }

  /** Allocates an array, and counts it until it is given up. */
  allocate(bytes: number): Uint8Array<ArrayBuffer> {
    const array = new Uint8Array(bytes);
    this.hold(bytes);
    return array;
  }

  /** Counts bytes that somebody else allocated. */
  hold(bytes: number): void {
    this.#liveBytes += bytes;
    this.#peakBytes = Math.max(this.#peakBytes, this.#liveBytes);
  }

  /** Counts bytes no more. */
  release(bytes: number): void {
    this.#liveBytes -= bytes;
  }
}

/**
 * What can go wrong between ranks, as exceptions.
 *
 * @module
 */

/** A rank cannot go on, or does what the others do not: all of them end. */
export class RankError extends Error {
  /** Tells this error from others without `instanceof`. */
  override name = "RankError";

  /**
   * Says what is wrong.
   *
   * @param code the exit code that the rank at fault would have had alone.
   * @param everywhere whether all ranks know, so that none waits for this one.
   */
  constructor(message: string, readonly code: number, readonly everywhere: boolean) {
    super(message);
  }
}

/** Ranks cannot be joined by MPI, or MPI reports an error. */
export class MpiError extends Error {
  /** Tells this error from others without `instanceof`. */
  override name = "MpiError";
}

/**
 * A team: the ranks of a job as processes, as one of them sees it. Whatever
 * library joins them gives this, and whoever runs a job on ranks needs no more.
 *
 * @module
 */
import type { Parallelism } from "../../planner/parallel.ts";
import { RankError } from "./errors.ts";
import type { Bytes, Exchange } from "./exchange.ts";

/** What a rank says of itself before a job. Ranks go on if all are as the first. */
export interface Standing {
  /** The version of lce. */
  readonly version: string;
  /** A digest of what it is about to do. */
  readonly plan: string;
  /** Why it cannot go on, and the exit code for that. */
  readonly failure?: { readonly text: string; readonly code: number } | undefined;
}

/** The ranks of a job, seen by one of them. */
export interface Team {
  /** This rank, and how many there are. */
  readonly rank: number;
  readonly ranks: number;
  /** Makes the groups of a split, and returns what carries tensors within them. */
  split(parallelism: Parallelism): Exchange;
  /**
   * Waits for all ranks.
   *
   * @throws {RankError} on every rank, where one cannot go on or differs from the first.
   */
  agree(standing: Standing): Promise<void>;
  /** Brings what each rank has, as many bytes each, to all of them, in the order of ranks. */
  tell(what: string, own: Bytes): Promise<Bytes[]>;
  /** Brings what each rank has to the first, which alone gets anything, in the order of ranks. */
  gather(own: Bytes): Promise<Bytes[]>;
  /**
   * Lets the first rank ask the others for bytes while it does `work`; they answer by
   * `read` until it is done.
   *
   * @returns what the first rank's work gave; nothing on others.
   */
  serve<T>(
    read: (offset: number, length: number) => Promise<Uint8Array>,
    work: (readOf: ReadOf) => Promise<T>,
  ): Promise<T | undefined>;
}

/** Reads bytes that a rank has, from an offset on. */
export type ReadOf = (rank: number, offset: number, length: number) => Promise<Uint8Array>;

/** A plan by other limits, or flags, than the first rank's: what may be wrong. */
const OTHER_PLAN = "give all ranks the same command line and files, on devices of a kind";

/**
 * Compares what ranks say of themselves.
 *
 * @param differs the exit code where one differs.
 * @throws {RankError} naming the first rank that cannot go on, or differs from rank 0.
 */
export function checkStandings(standings: readonly Standing[], differs: number): void {
  const failed = standings.findIndex(({ failure }) => failure);
  if (failed >= 0) {
    const { text, code } = standings[failed]!.failure!;
    const all = standings.every(({ failure }) => failure?.text === text);
    throw new RankError(all ? text : `rank ${failed}: ${text}`, code, true);
  }
  const [first] = standings as readonly [Standing];
  for (const [rank, { version, plan }] of standings.entries()) {
    if (version !== first.version) {
      throw new RankError(
        `rank ${rank} has lce ${version}, but rank 0 has ${first.version}: install one on all hosts`,
        differs,
        true,
      );
    }
    if (plan !== first.plan) {
      throw new RankError(
        `rank ${rank} has another plan than rank 0: ${OTHER_PLAN}`,
        differs,
        true,
      );
    }
  }
}

/**
 * Waiting for what MPI does, with a limit, and finding out who keeps everybody
 * waiting: whoever has waited for too long raises an alarm, which all who wait
 * answer. Those who do not answer are at fault.
 *
 * @module
 */
import { RankError } from "../errors.ts";
import { check, fixed, type Handle, type Mpi } from "./library.ts";

/** Messages between ranks, apart from collectives, by their tags. */
export const TAG = { alarm: 1, gather: 2, request: 3, reply: 4 } as const;

/** Times that MPI is asked before a look at the clock. */
const SPINS = 64;

/** Milliseconds of a wait without any pause: timers take one at least, and often several. */
const EAGER = 3;

/** A wait's pauses, by how long it has lasted: it ends by that share later, and no more than this, in milliseconds. */
const PAUSE_SHARE = 0.1;
const MOST_PAUSE = 5;

/** Milliseconds in which a rank that waits answers an alarm. */
const GRACE = 2000;

/** Any rank, in Open MPI's numbers. */
const ANY_SOURCE = -1;

/** The ranks that MPI started, and what waits of this one. */
export class Requests {
  #alarmed: Promise<never> | undefined;

  /**
   * Waits on behalf of one rank.
   *
   * @param timeout milliseconds after which the others are asked.
   * @param code the exit code where they do not answer.
   */
  constructor(
    readonly mpi: Mpi,
    readonly rank: number,
    readonly ranks: number,
    readonly timeout: number,
    readonly code: number,
  ) {}

  get world(): Handle {
    return this.mpi.ompi_mpi_comm_world;
  }

  /**
   * Begins something and waits for its end.
   *
   * @param what is waited for, in words.
   * @param begin calls MPI, with the request that it is to fill in.
   * @throws {RankError} where a rank keeps this one waiting.
   */
  async finish(
    what: string,
    begin: (request: Uint8Array<ArrayBuffer>) => number,
  ): Promise<void> {
    const request = fixed(8);
    check(this.mpi, what, begin(request));
    const begun = performance.now();
    for (let turn = 1; !this.#done(what, request); turn++) {
      if (turn % SPINS !== 0) continue;
      const lasted = performance.now() - begun;
      if (lasted < EAGER) continue;
      if (lasted > this.timeout || this.#hearsAlarm()) {
        await (this.#alarmed ??= this.#alarm(what, begun));
      }
      // Ranks that share cores need them: a wait may end so much later than it could.
      await pause(Math.min(MOST_PAUSE, PAUSE_SHARE * lasted));
    }
  }

  send(what: string, to: number, tag: number, bytes: Uint8Array<ArrayBuffer>) {
    const { mpi } = this;
    return this.finish(
      what,
      (request) =>
        mpi.MPI_Isend(bytes, bytes.length, mpi.ompi_mpi_byte, to, tag, this.world, request),
    );
  }

  receive(what: string, from: number, tag: number, into: Uint8Array<ArrayBuffer>) {
    const { mpi } = this;
    return this.finish(
      what,
      (request) =>
        mpi.MPI_Irecv(into, into.length, mpi.ompi_mpi_byte, from, tag, this.world, request),
    );
  }

  #done(what: string, request: Uint8Array<ArrayBuffer>): boolean {
    const flag = flagged();
    check(this.mpi, what, this.mpi.MPI_Test(request, flag, null));
    return flag[0] !== 0;
  }

  #hearsAlarm(): boolean {
    const flag = flagged();
    const { mpi, world } = this;
    check(mpi, "a probe", mpi.MPI_Iprobe(ANY_SOURCE, TAG.alarm, world, flag, null));
    return flag[0] !== 0;
  }

  /** Tells all, hears who answers, and says who does not: the first of those who do, alone. */
  async #alarm(what: string, begun: number): Promise<never> {
    const { mpi, world, rank, ranks } = this;
    const others = Array.from({ length: ranks }, (_, each) => each).filter((each) => each !== rank);
    const empty = fixed(1);
    const answers = new Map<number, Uint8Array<ArrayBuffer>>();
    for (const other of others) {
      // Nobody waits for these to arrive: who does not take them is found out below.
      mpi.MPI_Isend(empty, 1, mpi.ompi_mpi_byte, other, TAG.alarm, world, fixed(8));
      const request = fixed(8);
      mpi.MPI_Irecv(fixed(1), 1, mpi.ompi_mpi_byte, other, TAG.alarm, world, request);
      answers.set(other, request);
    }
    const until = performance.now() + GRACE;
    while (answers.size > 0 && performance.now() < until) {
      for (const [other, request] of answers) {
        if (this.#done("an alarm", request)) answers.delete(other);
      }
      await pause(1);
    }
    const silent = [...answers.keys()];
    const speaker =
      others.concat(rank).filter((each) => !answers.has(each)).sort((a, b) => a - b)[0];
    // The speaker's end is that of all; whoever outlives it speaks for itself.
    if (speaker !== rank) await new Promise((resolve) => setTimeout(resolve, 2 * GRACE));
    const seconds = Math.round((performance.now() - begun) / 1e3);
    throw new RankError(
      silent.length === 0
        ? `the ranks wait for one another: rank ${rank} for ${what}, since ${seconds} s`
        : `${silent.length === 1 ? "rank" : "ranks"} ${
          silent.join(", ")
        } did not come to ${what} within ${seconds} s, and did not answer: hung, or slower than --rank-timeout allows`,
      this.code,
      false,
    );
  }
}

function flagged(): Int32Array<ArrayBuffer> {
  return new Int32Array(new ArrayBuffer(4));
}

function pause(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}

/**
 * Ranks that `mpirun` started, as a team.
 *
 * @module
 */
import type { Parallelism } from "../../../planner/parallel.ts";
import type { Bytes, Exchange } from "../exchange.ts";
import { checkStandings, type ReadOf, type Standing, type Team } from "../team.ts";
import { mpiExchange, PIECE_BYTES } from "./exchange.ts";
import { check, fixed, type Handle, libraryVersion, type Mpi, openMpi } from "./library.ts";
import { Requests, TAG } from "./requests.ts";

/** How ranks are joined. */
export interface JoinOptions {
  /** Seconds that a rank may keep the others waiting. */
  readonly timeoutSeconds: number;
  /** Exit codes: where a rank is silent, and where ranks differ. */
  readonly codes: { readonly silent: number; readonly differs: number };
  readonly env: (name: string) => string | undefined;
}

/** Bytes of what a rank says of itself, in JSON; a longer failure is cut. */
const STANDING_BYTES = 4096;
const FAILURE_LETTERS = 1000;

/** In the place of how many bytes the first rank asks for: none yet, and no more. */
const AT_WORK = -2;
const DONE = -1;

/** How often in a timeout the first rank says that it is at work. */
const BEATS = 4;

/**
 * Joins the ranks that `mpirun` started with this one.
 *
 * @throws {MpiError} when Open MPI cannot be loaded, or another MPI is at work.
 */
export function joinMpi({ timeoutSeconds, codes, env }: JoinOptions): MpiTeam {
  const mpi = openMpi(env);
  check(mpi, "MPI_Init", mpi.MPI_Init(null, null));
  const world = mpi.ompi_mpi_comm_world;
  check(
    mpi,
    "its error handler",
    mpi.MPI_Comm_set_errhandler(world, mpi.ompi_mpi_errors_return),
  );
  const rank = number(mpi, "MPI_Comm_rank", world);
  const ranks = number(mpi, "MPI_Comm_size", world);
  return new MpiTeam(
    new Requests(mpi, rank, ranks, 1e3 * timeoutSeconds, codes.silent),
    codes.differs,
  );
}

function number(mpi: Mpi, what: "MPI_Comm_rank" | "MPI_Comm_size", world: Handle): number {
  const into = new Int32Array(new ArrayBuffer(4));
  check(mpi, what, mpi[what](world, into));
  return into[0]!;
}

/** A team whose ranks MPI joins. */
export class MpiTeam implements Team {
  constructor(readonly requests: Requests, readonly differs: number) {}

  get rank(): number {
    return this.requests.rank;
  }

  get ranks(): number {
    return this.requests.ranks;
  }

  /** Returns which library, and which version of it, joins them. */
  get library(): string {
    return libraryVersion(this.requests.mpi);
  }

  split(parallelism: Parallelism): Exchange {
    return mpiExchange(this.requests, parallelism);
  }

  async agree(standing: Standing): Promise<void> {
    const { failure, ...rest } = standing;
    const told = {
      ...rest,
      ...(failure ? { failure: { ...failure, text: failure.text.slice(0, FAILURE_LETTERS) } } : {}),
    };
    const own = fixed(STANDING_BYTES);
    own.set(new TextEncoder().encode(JSON.stringify(told)).subarray(0, STANDING_BYTES));
    const all = await this.tell("the comparison of plans", own);
    const standings = all.map((bytes) =>
      JSON.parse(new TextDecoder().decode(bytes).replace(/\0+$/, "")) as Standing
    );
    checkStandings(standings, this.differs);
  }

  async tell(what: string, own: Bytes): Promise<Bytes[]> {
    const { mpi, world } = this.requests;
    const { length } = own;
    const told = fixed(length);
    told.set(own);
    const all = fixed(length * this.ranks);
    const byte = mpi.ompi_mpi_byte;
    await this.requests.finish(
      what,
      (request) => mpi.MPI_Iallgather(told, length, byte, all, length, byte, world, request),
    );
    return Array.from(
      { length: this.ranks },
      (_, rank) => all.slice(rank * length, (rank + 1) * length),
    );
  }

  async gather(own: Bytes): Promise<Bytes[]> {
    if (this.rank !== 0) {
      await this.#send(0, TAG.gather, own);
      return [];
    }
    const all = [own];
    for (let rank = 1; rank < this.ranks; rank++) all.push(await this.#receive(rank, TAG.gather));
    return all;
  }

  async serve<T>(
    read: (offset: number, length: number) => Promise<Uint8Array>,
    work: (readOf: ReadOf) => Promise<T>,
  ): Promise<T | undefined> {
    if (this.rank !== 0) {
      for (;;) {
        const asked = fixed(16);
        await this.requests.receive("rank 0", 0, TAG.request, asked);
        const [offset, length] = new Float64Array(asked.buffer);
        if (length === AT_WORK) continue;
        if (length === DONE) return undefined;
        const bytes = fixed(length!);
        bytes.set(await read(offset!, length!));
        await this.#send(0, TAG.reply, bytes);
      }
    }
    const ask = (rank: number, offset: number, length: number) =>
      this.requests.send(
        `rank ${rank}`,
        rank,
        TAG.request,
        new Uint8Array(Float64Array.of(offset, length).buffer),
      );
    // A rank answers one question at a time.
    const turns = new Map<number, Promise<unknown>>();
    const inTurn = <Answer>(rank: number, question: () => Promise<Answer>): Promise<Answer> => {
      const answer = (turns.get(rank) ?? Promise.resolve()).then(question);
      turns.set(rank, answer);
      return answer;
    };
    const readOf: ReadOf = (rank, offset, length) =>
      rank === 0 ? read(offset, length) : inTurn(rank, async () => {
        await ask(rank, offset, length);
        return await this.#receive(rank, TAG.reply);
      });
    const others = Array.from({ length: this.ranks - 1 }, (_, index) => index + 1);
    // The others cannot tell long work from a rank that hangs, unless they are told.
    const { promise: broken, reject } = Promise.withResolvers<never>();
    broken.catch(() => {});
    const beat = setInterval(
      () => {
        for (const rank of others) inTurn(rank, () => ask(rank, 0, AT_WORK)).catch(reject);
      },
      this.requests.timeout / BEATS,
    );
    try {
      return await Promise.race([work(readOf), broken]);
    } finally {
      clearInterval(beat);
      for (const rank of others) {
        await Promise.allSettled([turns.get(rank)]);
        await ask(rank, 0, DONE);
      }
    }
  }

  /** Leaves, when all others leave too. */
  finalize(): void {
    this.requests.mpi.MPI_Finalize();
  }

  /** Ends all ranks, this one first. */
  abort(code: number): void {
    this.requests.mpi.MPI_Abort(this.requests.world, code);
  }

  /** Sends bytes, their number first. */
  async #send(to: number, tag: number, bytes: Bytes): Promise<void> {
    const length = new Uint8Array(Float64Array.of(bytes.length).buffer);
    await this.requests.send(`rank ${to}`, to, tag, length);
    for (let at = 0; at < bytes.length; at += PIECE_BYTES) {
      await this.requests.send(`rank ${to}`, to, tag, bytes.subarray(at, at + PIECE_BYTES));
    }
  }

  async #receive(from: number, tag: number): Promise<Bytes> {
    const length = fixed(8);
    await this.requests.receive(`rank ${from}`, from, tag, length);
    const bytes = fixed(new Float64Array(length.buffer)[0]!);
    for (let at = 0; at < bytes.length; at += PIECE_BYTES) {
      await this.requests.receive(
        `rank ${from}`,
        from,
        tag,
        bytes.subarray(at, at + PIECE_BYTES),
      );
    }
    return bytes;
  }
}

/**
 * Collectives by MPI, in pieces of bounded size. Each is the library's own
 * non-blocking form, whose order of additions depends on sizes alone, never on
 * who comes first.
 *
 * @module
 */
import type { Parallelism } from "../../../planner/parallel.ts";
import type { Collective } from "../../../planner/schedule/schedule.ts";
import type { Bytes, Exchange } from "../exchange.ts";
import { check, fixed, type Handle, type Mpi } from "./library.ts";
import type { Requests } from "./requests.ts";

/** Bytes that a rank gives at once: MPI counts elements in 31 bits, and copies take memory. */
export const PIECE_BYTES = 4 * 2 ** 20;

/** Returns what carries tensors within the groups of a split. All ranks make them together. */
export function mpiExchange(requests: Requests, { tensor }: Parallelism): Exchange {
  const { mpi, world, rank } = requests;
  // Ranks of a tensor-parallel group have adjacent numbers.
  const colours = { tensor: Math.floor(rank / tensor), data: rank % tensor };
  const groups = {
    tensor: split(mpi, world, "lce tensor", colours.tensor, rank),
    data: split(mpi, world, "lce data", colours.data, rank),
  };
  return {
    here: () => 1,
    async combine(collective, [given], ranks) {
      const carry = new Carrier(requests, collective, groups[collective.group], ranks);
      return [await carry.carry(given!)];
    },
  };
}

function split(mpi: Mpi, world: Handle, name: string, colour: number, rank: number): Handle {
  const made = new BigUint64Array(new ArrayBuffer(8));
  check(mpi, "a split", mpi.MPI_Comm_split(world, colour, rank, made));
  const group = Deno.UnsafePointer.create(made[0]!);
  // Monitors of MPI report by this name.
  check(mpi, "a name", mpi.MPI_Comm_set_name(group, new TextEncoder().encode(`${name}\0`)));
  return group;
}

/** One collective under way. */
class Carrier {
  readonly #what: string;

  constructor(
    readonly requests: Requests,
    readonly collective: Collective,
    readonly group: Handle,
    readonly ranks: number,
  ) {
    this.#what = `${collective.op} of ${collective.what}`;
  }

  carry(given: Bytes): Promise<Bytes> {
    const { op } = this.collective;
    if (op === "all-gather") return this.#gather(given);
    return op === "reduce-scatter-sum" ? this.#scatter(given) : this.#reduce(given);
  }

  async #reduce(given: Bytes): Promise<Bytes> {
    const { mpi } = this.requests;
    const [type, op] = this.#reduction();
    const got = fixed(given.length);
    for (const { start, end } of pieces(given.length)) {
      await this.#finish((request) =>
        mpi.MPI_Iallreduce(
          given.subarray(start, end),
          got.subarray(start, end),
          (end - start) / 4,
          type,
          op,
          this.group,
          request,
        )
      );
    }
    return got;
  }

  async #gather(given: Bytes): Promise<Bytes> {
    const { mpi } = this.requests;
    const got = fixed(given.length * this.ranks);
    for (const { start, end } of pieces(given.length)) {
      const length = end - start;
      const all = fixed(length * this.ranks);
      await this.#finish((request) =>
        mpi.MPI_Iallgather(
          given.subarray(start, end),
          length,
          mpi.ompi_mpi_byte,
          all,
          length,
          mpi.ompi_mpi_byte,
          this.group,
          request,
        )
      );
      for (let rank = 0; rank < this.ranks; rank++) {
        got.set(all.subarray(rank * length, (rank + 1) * length), rank * given.length + start);
      }
    }
    return got;
  }

  async #scatter(given: Bytes): Promise<Bytes> {
    const { mpi } = this.requests;
    const [type, op] = this.#reduction();
    const part = given.length / this.ranks;
    const got = fixed(part);
    for (const { start, end } of pieces(part)) {
      const length = end - start;
      const all = fixed(length * this.ranks);
      for (let rank = 0; rank < this.ranks; rank++) {
        all.set(given.subarray(rank * part + start, rank * part + end), rank * length);
      }
      await this.#finish((request) =>
        mpi.MPI_Ireduce_scatter_block(
          all,
          got.subarray(start, end),
          length / 4,
          type,
          op,
          this.group,
          request,
        )
      );
    }
    return got;
  }

  #finish(begin: (request: Bytes) => number): Promise<void> {
    return this.requests.finish(this.#what, begin);
  }

  #reduction(): readonly [type: Handle, op: Handle] {
    const { mpi } = this.requests;
    const { op, type } = this.collective;
    return [
      type === "u32" ? mpi.ompi_mpi_unsigned : mpi.ompi_mpi_float,
      op === "all-reduce-max"
        ? mpi.ompi_mpi_op_max
        : op === "all-reduce-min"
        ? mpi.ompi_mpi_op_min
        : mpi.ompi_mpi_op_sum,
    ];
  }
}

function* pieces(bytes: number): Generator<{ readonly start: number; readonly end: number }> {
  for (let start = 0; start < bytes; start += PIECE_BYTES) {
    yield { start, end: Math.min(start + PIECE_BYTES, bytes) };
  }
}

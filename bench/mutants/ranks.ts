/**
 * Errors in what ranks tell each other over MPI, when, and how long it takes.
 *
 * @module
 */
import { FOUR_PROCESSES, LINK_TIMES, LINKS, PIECES, SPLITS } from "./killers.ts";
import type { Mutant } from "./mutant.ts";

/** Errors of ranks as processes, of collectives that are under way, and of what is said of their time. */
export const RANKS: readonly Mutant[] = [
  {
    name: "ranks wait for the first no longer than for one that hangs",
    file: "kernels/ranks/mpi/team.ts",
    find: "inTurn(rank, () => ask(rank, 0, AT_WORK)).catch(reject)",
    replace: "inTurn(rank, () => Promise.resolve()).catch(reject)",
    why: "a long comparison would end all ranks",
    killers: [FOUR_PROCESSES],
  },
  {
    name: "over MPI the least of the ranks' numbers is the largest",
    file: "kernels/ranks/mpi/exchange.ts",
    find: "? mpi.ompi_mpi_op_min",
    replace: "? mpi.ompi_mpi_op_max",
    why: "the id predicted by all ranks would be one that no rank predicts",
    killers: [FOUR_PROCESSES],
  },
  {
    name: "over MPI a scattered sum's pieces are those of the rank before",
    file: "kernels/ranks/mpi/exchange.ts",
    find: "given.subarray(rank * part + start, rank * part + end), rank * length",
    replace: "given.subarray(rank * part + start, rank * part + end), (rank * length) ^ length",
    why: "two ranks of a group would have each other's gradients",
    killers: [FOUR_PROCESSES],
  },
  {
    name: "a collective that lands leaves no outcome",
    file: "kernels/ranks/execute_ranks.ts",
    find: "    this.#flights.delete(flight);\n    await this.#end(collective, begun);",
    replace: "    this.#flights.delete(flight);\n    void [collective, begun];",
    why: "each rank would keep its own terms of a gradient",
    killers: [PIECES],
  },
  {
    name: "gradients are told piece by piece, and once more at the end",
    file: "planner/schedule/draft.ts",
    find: "    this.#told.add(axis);\n",
    replace: "",
    why: "they would be multiplied by the ranks",
    killers: [PIECES],
  },
  {
    name: "groups never reach over hosts",
    file: "planner/links.ts",
    find: "return across !== undefined && ",
    replace: "return across === undefined && ",
    why: "a split across hosts would look as fast as one within",
    killers: [LINKS],
  },
  {
    name: "a long time counts for more than a short one",
    file: "planner/links.ts",
    find: "const [one, more] = [1 / seconds, bytes / seconds];",
    replace: "const [one, more] = [1, bytes / seconds];",
    why: "latencies would be whatever the largest tensor says",
    killers: [LINKS],
  },
  {
    name: "more is hidden than there is to compute",
    file: "planner/splits.ts",
    find: "hidden += Math.min(sending, computed - from);",
    replace: "hidden += sending;",
    why: "overlap would make any link fast enough",
    killers: [SPLITS],
  },
  {
    name: "the best split is the slowest",
    file: "planner/splits.ts",
    find: "able.sort((a, b) => seconds(a) - seconds(b));",
    replace: "able.sort((a, b) => seconds(b) - seconds(a));",
    why: "clusters would be rented for it",
    killers: [SPLITS],
  },
  {
    name: "collectives' times are of one way to the host",
    file: "planner/links.ts",
    find: "    2 * staging.seconds +",
    replace: "    staging.seconds +",
    why: "what counts most would count half",
    killers: [LINK_TIMES],
  },
];

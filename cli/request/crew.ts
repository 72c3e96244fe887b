/**
 * Ranks in processes of their own, for commands: they agree before each job, the
 * first alone speaks, and whatever ends one of them ends all.
 *
 * @module
 */
import manifest from "../../deno.json" with { type: "json" };
import type { Crew as RanksCrew } from "../../fixtures/verify/verify_ranks.ts";
import type { Exchange } from "../../kernels/ranks/exchange.ts";
import { joinMpi, type MpiTeam } from "../../kernels/ranks/mpi/team.ts";
import { RankError } from "../../kernels/ranks/errors.ts";
import type { Parallelism } from "../../planner/parallel.ts";
import { endsAs } from "../ended.ts";
import { EXIT, explain, UsageError } from "../exit.ts";
import type { Output } from "../output.ts";

/** Seconds that a rank may keep the others waiting, where nothing is said. */
export const RANK_TIMEOUT = 120;

/** The ranks that mpirun started, as a command of one of them has them. */
export class Crew implements RanksCrew {
  #exchange: Exchange | undefined;

  constructor(readonly team: MpiTeam, readonly parallelism: Parallelism) {}

  /** Carries tensors; all ranks ask for it together, first after they agreed. */
  get exchange(): Exchange {
    return this.#exchange ??= this.team.split(this.parallelism);
  }

  /** Does something on every rank, as {@linkcode agreed} does. */
  agreed<T>(work: () => Promise<T>, digest?: (outcome: T) => Promise<string>): Promise<T> {
    return agreed(this.team, work, digest);
  }
}

/**
 * Does something on every rank, and goes on if it went well on all, and came to the same.
 *
 * @param digest of what came of it.
 * @throws {RankError} on all ranks alike.
 */
async function agreed<T>(
  team: MpiTeam,
  work: () => Promise<T> | T,
  digest: (outcome: T) => Promise<string> = () => Promise.resolve(""),
): Promise<T> {
  const standing = { version: manifest.version, plan: "" };
  let outcome: T;
  try {
    outcome = await work();
  } catch (error) {
    const { code, text = "" } = explain(error);
    await team.agree({ ...standing, failure: { text, code } });
    throw error;
  }
  await team.agree({ ...standing, plan: await digest(outcome) });
  return outcome;
}

/** What `--mpi` is given with. */
export interface CrewOptions {
  /** Returns how so many ranks split what they do. @throws {UsageError} where they cannot. */
  splitOf(ranks: number): Parallelism;
  readonly rankTimeout?: number | undefined;
}

/**
 * Joins the ranks of a command and runs it.
 *
 * @param exit takes the exit code of a rank that has nothing to say itself.
 * @param command is given the ranks, and an output that is silent on all but the first.
 * @throws {MpiError} when they cannot be joined.
 */
export async function withCrew(
  { splitOf, rankTimeout = RANK_TIMEOUT }: CrewOptions,
  output: Output,
  exit: (code: number) => void,
  command: (crew: Crew, output: Output) => Promise<void>,
): Promise<void> {
  if (!(rankTimeout > 0)) throw new UsageError(`--rank-timeout ${rankTimeout}: must be above 0`);
  const team = joinMpi({
    timeoutSeconds: rankTimeout,
    codes: { silent: EXIT.device, differs: EXIT.usage },
    env: (name) => Deno.env.get(name),
  });
  const first = team.rank === 0;
  endsAs(team.rank);
  try {
    const split = await agreed(
      team,
      () => splitOf(team.ranks),
      (split) => Promise.resolve(JSON.stringify(split)),
    );
    const crew = new Crew(team, split);
    await command(crew, first ? output : { ...output, print() {}, note() {}, progress() {} });
    team.finalize();
  } catch (error) {
    const { code, text } = explain(error);
    if (error instanceof RankError && error.everywhere) {
      team.finalize();
      if (first) throw error;
      return exit(code);
    }
    const name = error instanceof RankError ? "" : `rank ${team.rank}: `;
    output.note(`lce: ${name}${text}`);
    team.abort(code);
  }
}

/** Returns a split, if it is of so many ranks. @throws {UsageError} where it is of others. */
export function checkSplit(parallelism: Parallelism | undefined, ranks: number): Parallelism {
  if (!parallelism) {
    throw new UsageError(
      "--mpi: say how its ranks split the job: --tensor-parallel, --data-parallel or both",
    );
  }
  const { tensor, data } = parallelism;
  if (ranks === tensor * data) return parallelism;
  throw new UsageError(
    `--mpi: mpirun started ${ranks} ${
      ranks === 1 ? "rank" : "ranks"
    }, but --tensor-parallel ${tensor} by --data-parallel ${data} takes ${
      tensor * data
    }: mpirun -n ${tensor * data}`,
  );
}

/**
 * Returns the ranks of a host as a tensor-parallel group, and hosts as replicas.
 *
 * @throws {UsageError} where there is one rank, or hosts do not have as many, one after the other.
 */
export function splitByHost(ranks: number): Parallelism {
  const local = Number(Deno.env.get("OMPI_COMM_WORLD_LOCAL_SIZE") ?? ranks);
  const [rank, place] = ["RANK", "LOCAL_RANK"].map((name) =>
    Number(Deno.env.get(`OMPI_COMM_WORLD_${name}`) ?? 0)
  );
  if (ranks === 1) {
    throw new UsageError("--mpi: one rank has nobody to tell anything: mpirun -n 2, or more");
  }
  if (ranks % local !== 0 || rank! % local !== place) {
    throw new UsageError(
      `--mpi: ${ranks} ranks, of which rank ${rank} is number ${place} of ${local} on its host: give all hosts as many, one after the other (mpirun --map-by slot)`,
    );
  }
  return { tensor: local, data: ranks / local, sequence: false };
}

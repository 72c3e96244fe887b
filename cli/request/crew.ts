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

  /**
   * Does something on every rank, and goes on if it went well on all, and came to the same.
   *
   * @param digest of what came of it.
   * @throws {RankError} on all ranks alike.
   */
  async agreed<T>(
    work: () => Promise<T>,
    digest: (outcome: T) => Promise<string> = () => Promise.resolve(""),
  ): Promise<T> {
    const standing = { version: manifest.version, plan: "" };
    let outcome: T;
    try {
      outcome = await work();
    } catch (error) {
      const { code, text = "" } = explain(error);
      await this.team.agree({ ...standing, failure: { text, code } });
      throw error;
    }
    await this.team.agree({ ...standing, plan: await digest(outcome) });
    return outcome;
  }
}

/** What `--mpi` is given with. */
export interface CrewOptions {
  readonly parallelism: Parallelism | undefined;
  readonly rankTimeout: number;
}

/**
 * Joins the ranks of a command and runs it.
 *
 * @param exit takes the exit code of a rank that has nothing to say itself.
 * @param command is given the ranks, and an output that is silent on all but the first.
 * @throws {MpiError} when they cannot be joined.
 */
export async function withCrew(
  { parallelism, rankTimeout }: CrewOptions,
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
  const crew = new Crew(team, parallelism ?? { tensor: 1, data: 1, sequence: false });
  const first = team.rank === 0;
  endsAs(team.rank);
  try {
    await crew.agreed(() => Promise.resolve(checkSize(team.ranks, parallelism)));
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

/** @throws {UsageError} where the split is of other ranks than there are. */
function checkSize(ranks: number, parallelism: Parallelism | undefined): void {
  if (!parallelism) {
    throw new UsageError(
      "--mpi: say how its ranks split the job: --tensor-parallel, --data-parallel or both",
    );
  }
  const { tensor, data } = parallelism;
  if (ranks === tensor * data) return;
  throw new UsageError(
    `--mpi: mpirun started ${ranks} ${
      ranks === 1 ? "rank" : "ranks"
    }, but --tensor-parallel ${tensor} by --data-parallel ${data} takes ${
      tensor * data
    }: mpirun -n ${tensor * data}`,
  );
}

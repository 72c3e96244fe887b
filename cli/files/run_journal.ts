/**
 * What `lce run --output` keeps of a long run while it goes on, for `--resume`.
 *
 * @module
 */
import manifest from "../../deno.json" with { type: "json" };
import { Journal, journalPath } from "../../fixtures/files/journal.ts";
import type { Fixture } from "../../fixtures/fixture.ts";
import type { RoundJournal, Rounds } from "../../fixtures/verify/rounds.ts";
import { identityOf } from "../../fixtures/verify/run_identity.ts";
import { broughtBack, tensorBytes } from "../../planner/schedule/host_memory.ts";
import type { Plan } from "../../planner/plan.ts";
import { UsageError } from "../exit.ts";

/** Refuses to begin anew where a run can be taken up, unless it may be replaced. @throws {UsageError} */
export async function checkJournal(
  output: string,
  { force, resume }: { force: boolean; resume: boolean },
): Promise<void> {
  if (force || resume) return;
  const path = journalPath(output);
  if (!await Deno.lstat(path).then(() => true, () => false)) return;
  throw new UsageError(
    `--output ${output}: ${path} is of a run that was broken off; --resume goes on, --force begins anew`,
  );
}

/** The journal of an output: opened when there are rounds to keep, and gone when they are written. */
export class RunJournal {
  #journal: Journal | undefined;

  constructor(readonly output: string, readonly fixture: Fixture, readonly resume: boolean) {}

  /**
   * Opens it for a plan.
   *
   * @throws {OtherRunError} when what is there is of another run.
   * @throws {UsageError} when the run is to go on, and nobody can say that it is the same.
   */
  async open(plan: Plan, { count }: Rounds): Promise<RoundJournal | undefined> {
    const identity = await identityOf(this.fixture, plan);
    if (!identity) {
      if (!this.resume) return undefined;
      throw new UsageError(
        `--resume: ${this.fixture.name} is not read from files, so nobody can say that it is the same`,
      );
    }
    this.#journal = await Journal.open(
      journalPath(this.output),
      {
        identity: { "version of lce": manifest.version, ...identity },
        tensors: Object.fromEntries(
          [...broughtBack(plan.schedule)].map((name) => [name, tensorBytes(plan.schedule, name)]),
        ),
        rounds: count,
      },
      this.resume,
    );
    return this.#journal;
  }

  /** Returns how many rounds it has. */
  get finished(): number {
    return this.#journal?.finished ?? 0;
  }

  /** Removes it: the output is in its place. */
  async remove(): Promise<void> {
    await this.#journal?.remove();
    this.#journal = undefined;
  }

  /** Leaves it for another run, and returns what is to be said of it. */
  leave(): string | undefined {
    const remark = this.#journal?.remark;
    this.#journal?.close();
    this.#journal = undefined;
    return remark;
  }
}

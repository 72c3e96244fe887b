/**
 * The fixtures that `lce run` is asked for, and what came of them.
 *
 * @module
 */
import type { CheckpointOptions } from "../../fixtures/files/checkpoint.ts";
import { findFixtures, openDefault, openFixture } from "../../fixtures/files/open.ts";
import type { Fixture } from "../../fixtures/fixture.ts";
import { thoroughExtras } from "../../fixtures/verify/thorough.ts";
import { EXIT } from "../exit.ts";

/** A fixture that is opened when its turn comes. */
export interface Source {
  readonly name: string;
  readonly open: () => Promise<Fixture>;
  /** Whether it was found in a folder, so that a kind which lce cannot run is left out. */
  readonly skippable: boolean;
}

/** Returns the fixtures that paths stand for; the default fixture where there are none. */
export async function sourcesOf(
  paths: readonly string[],
  options: CheckpointOptions,
  thorough: boolean,
): Promise<Source[]> {
  const extras = thorough
    ? thoroughExtras().map((fixture) => ({
      name: fixture.name,
      open: () => Promise.resolve(fixture),
      skippable: false,
    }))
    : [];
  if (paths.length === 0) {
    return [{ name: "tiny-lm", open: openDefault, skippable: false }, ...extras];
  }
  const sources: Source[] = [];
  for (const path of paths) {
    for (const found of await findFixtures(path)) {
      sources.push({
        name: found.path,
        open: () => openFixture(found, options),
        skippable: found.path !== path,
      });
    }
  }
  return [...sources, ...extras];
}

/** What came of all fixtures. */
export class Tally {
  #agreed = 0;
  #disagreed = 0;
  readonly #failures: number[] = [];

  /** Counts a fixture that ran. */
  ran(ok: boolean): void {
    if (ok) this.#agreed++;
    else this.#disagreed++;
  }

  /** Counts one that could not run, by the exit code of why. */
  failed(code: number): void {
    this.#failures.push(code);
  }

  /** Returns the exit code of all of them. */
  get exitCode(): number {
    return this.#disagreed > 0 ? EXIT.verification : this.#failures[0] ?? EXIT.ok;
  }

  /** Returns the counts in a sentence. */
  summary(): string {
    const parts = [
      `${this.#agreed} agree`,
      ...(this.#disagreed > 0 ? [`${this.#disagreed} FAILED`] : []),
      ...(this.#failures.length > 0 ? [`${this.#failures.length} could not run`] : []),
    ];
    return this.exitCode === EXIT.ok
      ? `All ${this.#agreed} fixtures agree.`
      : `${parts.join(", ")}.`;
  }
}

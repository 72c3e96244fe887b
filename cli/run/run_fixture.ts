/**
 * Running one fixture: once, on ranks, or in every way.
 *
 * @module
 */
import process from "node:process";
import type { Fixture } from "../../fixtures/fixture.ts";
import { onceMore, type Retry } from "../../fixtures/verify/once_more.ts";
import type { ReferenceMode } from "../../fixtures/reference/scope.ts";
import { runThoroughly, type Variant } from "../../fixtures/verify/thorough.ts";
import { type Verification, verify } from "../../fixtures/verify/verify.ts";
import {
  digestOf,
  type ParallelVerification,
  planRanks,
  verifyPlanned,
  verifyRanks,
} from "../../fixtures/verify/verify_ranks.ts";
import type { AcquiredDevice } from "../../kernels/run/device.ts";
import type { Parallelism } from "../../planner/parallel.ts";
import type { PlanOptions } from "../../planner/plan.ts";
import { RunJournal } from "../files/run_journal.ts";
import { openRunOutput } from "../files/run_output.ts";
import { ranksJson, ranksText } from "../report/ranks.ts";
import type { Crew } from "../request/crew.ts";
import { retriedText } from "../report/retried.ts";
import { runJson, runText } from "../report/run.ts";
import type { Layout } from "../report/table.ts";
import { thoroughJson, thoroughText } from "../report/thorough.ts";

/** What a run found, in JSON and for people; neither is made before it is asked for. */
export interface Found {
  readonly ok: boolean;
  json(): object;
  text(layout: Layout): string;
}

/** How a fixture is run once. */
export interface Once {
  readonly parallelism: Parallelism | undefined;
  readonly options: PlanOptions;
  readonly reference: ReferenceMode;
  readonly path: string | undefined;
  readonly round: number | undefined;
  readonly resume: boolean;
  readonly progress: (what: string, done: number, total: number) => void;
  readonly note: (text: string) => void;
  /** Returns what is run once a search has found something, where something is. */
  readonly next?: ((found: Verification) => Promise<Fixture>) | undefined;
  /** Told how many rounds there are to go on from, where a run breaks off. */
  readonly onKept?: (rounds: number) => void;
}

/** Runs a fixture once, and where the device has no memory for that, once more in less. */
export async function once(fixture: Fixture, acquired: AcquiredDevice, how: Once): Promise<Found> {
  // What a round resulted in is of its plan: another would have to begin anew.
  let keptRounds = 0;
  const { value: found, retried } = await onceMore(
    how.options,
    (options) =>
      attempt(fixture, acquired, { ...how, options, onKept: (rounds) => keptRounds = rounds }),
    () => keptRounds === 0 && !how.resume,
  );
  return retried ? withRetry(found, retried) : found;
}

/** Returns what was found, and that it was at the second attempt. */
function withRetry(found: Found, retried: Retry): Found {
  return {
    ok: found.ok,
    json: () => ({ ...found.json(), retried }),
    text: (layout) => `${found.text(layout)}\n${retriedText(retried, layout)}`,
  };
}

/** Runs a fixture on one device or on several simulated ranks; its file is whole or not there. */
async function attempt(
  fixture: Fixture,
  acquired: AcquiredDevice,
  { parallelism, options, reference, path, round, resume, progress, note, next, onKept }: Once,
): Promise<Found> {
  const how = { reference, onProgress: progress };
  if (parallelism) {
    return foundByRanks(await verifyRanks(fixture, acquired, parallelism, options, how));
  }
  const file = path === undefined ? undefined : await openRunOutput(path, fixture);
  const kept = path === undefined ? undefined : new RunJournal(path, fixture, resume);
  let found: Verification;
  try {
    found = await verify(fixture, acquired, options, {
      ...how,
      round,
      stores: file?.stores ?? {},
      ...(kept ? { journal: (plan, rounds) => kept.open(plan, rounds) } : {}),
    });
    await file?.finish(found);
    await kept?.remove();
  } catch (error) {
    await file?.abort();
    onKept?.(kept?.finished ?? 0);
    const remark = kept?.leave();
    if (remark !== undefined) note(remark);
    throw error;
  }
  const searched = foundOnce(found);
  if (!next) return searched;
  const following = foundOnce(await verify(await next(found), acquired, options, how));
  return {
    ok: searched.ok && following.ok,
    json: () => ({ ...searched.json(), ok: searched.ok && following.ok, next: following.json() }),
    text: (layout) => `${searched.text(layout)}\n\n${following.text(layout)}`,
  };
}

function foundOnce(found: Verification): Found {
  const resident = residentPeakBytes();
  return {
    ok: found.ok,
    json: () => runJson(found, resident),
    text: (layout) => runText(found, resident, layout),
  };
}

/**
 * Runs a fixture on a crew's ranks, if all can, and where halves do not hold the values of one,
 * once more on all of them in f32. Nothing is found on others than the first.
 *
 * @throws {RankError} on all ranks alike, where one cannot open or plan it as the others do.
 */
export async function together(
  crew: Crew,
  open: () => Promise<Fixture>,
  acquired: AcquiredDevice,
  { options, reference }: Pick<Once, "options" | "reference">,
  progressOf: (fixture: Fixture) => Once["progress"],
): Promise<Found | undefined> {
  const { team, parallelism } = crew;
  let fixture: Fixture | undefined;
  const { value: found, retried } = await onceMore(
    options,
    async (options) => {
      const planned = await crew.agreed(
        async () => planRanks(fixture ??= await open(), acquired, parallelism, options, team.rank),
        digestOf,
      );
      const onProgress = progressOf(planned.fixture);
      return await verifyPlanned(planned, acquired, { reference, onProgress, crew });
    },
    // A device that refuses memory is one rank's, and the others know nothing of it.
    (why) => "halves" in why,
  );
  if (!found) return undefined;
  const told = foundByRanks(found, team.library);
  return retried ? withRetry(told, retried) : told;
}

function foundByRanks(found: ParallelVerification, library?: string): Found {
  return {
    ok: found.ok,
    json: () => ranksJson(found, library),
    text: (layout) => ranksText(found, library, layout),
  };
}

/** Returns the most memory that the process has had at once, device of software included, as the system counts it. */
function residentPeakBytes(): number {
  return 1024 * process.resourceUsage().maxRSS;
}

/** Runs a fixture in every way. */
export async function thoroughly(
  fixture: Fixture,
  acquired: AcquiredDevice,
  progress: (what: string) => void,
): Promise<Found> {
  const variants: Variant[] = [];
  for await (const variant of runThoroughly(fixture, acquired, progress)) variants.push(variant);
  const ok = variants.length > 0 && variants.every(({ ok }) => ok);
  return {
    ok,
    json: () => thoroughJson(fixture, variants, ok),
    text: () => thoroughText(fixture, variants, ok),
  };
}

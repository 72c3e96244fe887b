/**
 * Which split of a job over so many ranks is best: every way to factor them into those
 * that split the vocabulary and those that split the tokens is planned, and compared by
 * time and memory of a rank.
 *
 * @module
 */
import type { DeviceProfile } from "./device.ts";
import {
  ASSUMED_LINKS,
  collectiveSeconds,
  crossesHosts,
  type LinkRates,
  sendingSeconds,
} from "./links.ts";
import { dispatchSeconds } from "./schedule/cost.ts";
import { type Parallelism, ParallelismError, type ParallelPlan, planParallel } from "./parallel.ts";
import { DoesNotFitError } from "./plan.ts";
import type { Problem } from "./problem.ts";
import type { PlanOptions } from "./search/question.ts";
import { AS_FAST } from "./tuning.ts";

/** Where a rank's time goes. */
export interface RankTime {
  /** Seconds of the largest rank's own work. */
  readonly compute: number;
  /** Seconds in which ranks tell each other something. */
  readonly collectives: number;
  /** Those of them in which the rank's own work goes on. */
  readonly overlapped: number;
  /** All together: what goes on at once counts once. */
  readonly seconds: number;
  /** Whether device and links were measured, or the figures serve for ranking alone. */
  readonly measured: boolean;
}

/** A way to split a job, and what becomes of it. */
export interface SplitCandidate {
  readonly parallelism: Parallelism;
  /** Absent where there can be none. */
  readonly planned?: { readonly plan: ParallelPlan; readonly time: RankTime };
  /** Why it lost, or cannot be; of the best, why it is the best. */
  readonly verdict: string;
}

/** Every split over so many ranks. */
export interface Splits {
  readonly ranks: number;
  readonly best: SplitCandidate & Required<Pick<SplitCandidate, "planned">>;
  /** The best first, then by time; those that cannot be come last. */
  readonly candidates: readonly SplitCandidate[];
}

/** Returns the time of a plan's largest rank. */
export function rankTime(plan: ParallelPlan, links?: LinkRates): RankTime {
  const { largest, collectives, parallelism } = plan;
  const rates = links ?? ASSUMED_LINKS;
  const { seconds: compute, measuredRates } = largest.cost;
  const exchanged = collectives.reduce(
    (sum, step) => sum + collectiveSeconds(step, parallelism, rates),
    0,
  );
  const overlapped = overlappedSeconds(plan, rates);
  return {
    compute,
    collectives: exchanged,
    overlapped,
    seconds: compute + exchanged - overlapped,
    measured: measuredRates && (links !== undefined || collectives.length === 0),
  };
}

/** Returns the seconds of collectives that are hidden behind what is computed before they land. */
function overlappedSeconds({ largest, parallelism }: ParallelPlan, links: LinkRates): number {
  if (!parallelism.overlap) return 0;
  const { schedule, device } = largest;
  const flights = new Map<number, { readonly from: number; readonly sending: number }>();
  let [computed, hidden] = [0, 0];
  for (const step of schedule.steps) {
    if (step.kind === "dispatch") computed += dispatchSeconds(step, device);
    else if (step.kind === "collective" && step.flight !== undefined) {
      const sending = sendingSeconds(step, parallelism, links);
      flights.set(step.flight, { from: computed, sending });
    } else if (step.kind === "landing") {
      const { from, sending } = flights.get(step.flight)!;
      hidden += Math.min(sending, computed - from);
    }
  }
  return hidden;
}

/** Returns every way to split over so many ranks, tensor-parallel ones the fewest first. */
export function factorisations(ranks: number): Parallelism[] {
  const found: Parallelism[] = [];
  for (let tensor = 1; tensor <= ranks; tensor++) {
    if (ranks % tensor !== 0) continue;
    const data = ranks / tensor;
    found.push({ tensor, data, sequence: false });
    if (tensor > 1) found.push({ tensor, data, sequence: true });
  }
  return found;
}

/**
 * Plans every split, and chooses: of those that fit the fastest, and of those that are as fast
 * the one whose largest rank takes the least memory.
 *
 * @throws {DoesNotFitError} where none fits.
 * @throws {ParallelismError} where the job cannot be split over so many.
 */
export function planSplits(
  problem: Problem,
  device: DeviceProfile,
  ranks: number,
  options: PlanOptions = {},
  links?: LinkRates,
): Splits {
  const able: { parallelism: Parallelism; planned: { plan: ParallelPlan; time: RankTime } }[] = [];
  const unable: { parallelism: Parallelism; error: Error }[] = [];
  for (const parallelism of factorisations(ranks)) {
    try {
      const plan = planParallel(problem, device, parallelism, options);
      able.push({ parallelism, planned: { plan, time: rankTime(plan, links) } });
    } catch (error) {
      const known = error instanceof ParallelismError || error instanceof DoesNotFitError;
      if (!known) throw error;
      unable.push({ parallelism, error });
    }
  }
  if (able.length === 0) {
    throw unable.find(({ error }) => error instanceof DoesNotFitError)?.error ?? unable[0]!.error;
  }
  const peak = ({ planned }: (typeof able)[number]) => planned.plan.largest.memory.peakBytes;
  const seconds = ({ planned }: (typeof able)[number]) => planned.time.seconds;
  able.sort((a, b) => seconds(a) - seconds(b));
  const fast = able.filter((each) => seconds(each) <= AS_FAST * seconds(able[0]!));
  const best = fast.reduce((least, each) => peak(each) < peak(least) ? each : least);
  const judged = able.map((each) => ({ ...each, verdict: verdictOn(each, best, links) }));
  const chosen = judged[able.indexOf(best)]!;
  return {
    ranks,
    best: chosen,
    candidates: [
      chosen,
      ...judged.filter((each) => each !== chosen),
      ...unable.map(({ parallelism, error }) => ({ parallelism, verdict: error.message })),
    ],
  };
}

type Able = SplitCandidate["planned"] & object;

/** Says why a split lost to the best. */
function verdictOn(
  each: { readonly parallelism: Parallelism; readonly planned: Able },
  best: { readonly parallelism: Parallelism; readonly planned: Able },
  links: LinkRates | undefined,
): string {
  if (each === best) return "chosen: of the fastest, the one that takes the least memory";
  const [own, others] = [each.planned.time, best.planned.time];
  const slower = own.seconds / others.seconds;
  if (slower <= AS_FAST) return "as fast, and takes more memory";
  const more = {
    compute: own.compute - others.compute,
    collectives: own.collectives - others.collectives,
  };
  const crossing = (["tensor", "data"] as const).filter((group) =>
    links && each.parallelism[group] > 1 && crossesHosts(group, each.parallelism, links)
  );
  const why = more.compute > more.collectives
    ? "more work of its own"
    : `more traffic${crossing.includes("tensor") ? ", its vocabulary split across hosts" : ""}`;
  return `${slower.toFixed(2)} times as long: ${why}`;
}

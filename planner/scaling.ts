/**
 * How a job's time changes with the ranks that do it, simulated from the device's and
 * the links' rates. Strong scaling: the same job over more ranks. Weak: each rank
 * brings as many tokens.
 *
 * @module
 */
import type { DeviceProfile } from "./device.ts";
import type { LinkRates } from "./links.ts";
import { ParallelismError } from "./parallel.ts";
import { DoesNotFitError } from "./plan.ts";
import { MAX_DIMENSION, type Problem, resized } from "./problem.ts";
import type { PlanOptions } from "./search/question.ts";
import { planSplits, type RankTime, type SplitCandidate } from "./splits.ts";

/** How a job grows with its ranks. */
export const SCALINGS = ["strong", "weak"] as const;

/** One of them. */
export type Scaling = typeof SCALINGS[number];

/** So many ranks, at their best split. */
export interface ScalingPoint {
  readonly ranks: number;
  readonly tokens: number;
  /** Absent where nothing fits. */
  readonly best?: SplitCandidate & Required<Pick<SplitCandidate, "planned">>;
  /** Why nothing does. */
  readonly reason?: string;
  /**
   * Share of the ideal: that of the fewest ranks which can do the job, times as many ranks, for
   * as many tokens.
   */
  readonly efficiency?: number;
}

/** Returns the ranks of a curve: powers of two, and the last as it was asked for. */
export function ranksUpTo(most: number): number[] {
  const ranks: number[] = [];
  for (let count = 1; count < most; count *= 2) ranks.push(count);
  return [...ranks, most];
}

/** Plans a job over 1, 2, 4 and so on to `most` ranks, each time at the best split. */
export function* scale(
  problem: Problem,
  device: DeviceProfile,
  { scaling, most }: { readonly scaling: Scaling; readonly most: number },
  options: PlanOptions = {},
  links?: LinkRates,
): Generator<ScalingPoint> {
  let first: { readonly ranks: number; readonly perToken: number } | undefined;
  for (const ranks of ranksUpTo(most)) {
    const tokens = scaling === "weak" ? problem.tokens * ranks : problem.tokens;
    if (tokens > MAX_DIMENSION) {
      yield { ranks, tokens, reason: `${tokens} tokens are more than ${MAX_DIMENSION}` };
      continue;
    }
    try {
      const at = resized(problem, { tokens });
      const { best } = planSplits(at, device, ranks, options, links);
      const perToken = best.planned.time.seconds / tokens;
      first ??= { ranks, perToken };
      const efficiency = (first.perToken * first.ranks) / (perToken * ranks);
      yield { ranks, tokens, best, efficiency };
    } catch (error) {
      if (!(error instanceof ParallelismError || error instanceof DoesNotFitError)) throw error;
      yield { ranks, tokens, reason: error.message };
    }
  }
}

/** Returns the fewest ranks from which on collectives take longer than the ranks' own work. */
export function dominatedFrom(points: readonly ScalingPoint[]): number | undefined {
  const dominated = ({ best }: ScalingPoint) => best && isDominated(best.planned.time);
  const last = points.findLastIndex((point) => point.best && !dominated(point));
  return points.slice(last + 1).find(dominated)?.ranks;
}

function isDominated({ collectives, compute }: RankTime): boolean {
  return collectives > compute;
}

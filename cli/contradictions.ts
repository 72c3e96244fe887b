/**
 * Strategies asked for together with what they cannot do: said before anything
 * is planned, for it is the request that is at fault, not the device.
 *
 * @module
 */
import type { Problem } from "../planner/problem.ts";
import type { StrategyName } from "../planner/schedule.ts";
import { ALL_STRATEGIES } from "../planner/strategies/mod.ts";

/** Strategies that keep the logits of every id at once, so that no window can be fixed. */
const WHOLE_VOCABULARY: readonly StrategyName[] = ["two-stage", "chunked"];

/** Why a strategy cannot serve a problem's pass, and what can; the text begins with its name. */
export function strategyFault(
  problem: Problem,
  strategy: StrategyName | undefined,
): string | undefined {
  const reason = ALL_STRATEGIES.find(({ name }) => name === strategy)?.unsuited(problem);
  if (reason === undefined) return undefined;
  const able = ALL_STRATEGIES.filter((each) => each.unsuited(problem) === undefined)
    .map(({ name }) => name);
  return `${strategy}: ${reason}, and the pass is ${problem.pass}. ` +
    `For this pass there are ${able.join(", ")}`;
}

/** Why a strategy cannot work on a window that was asked for. */
export function windowFault(
  { vocab }: Problem,
  { strategy, window }: { strategy?: StrategyName | undefined; window?: number | undefined },
): string | undefined {
  if (!strategy || !WHOLE_VOCABULARY.includes(strategy)) return undefined;
  if (window === undefined || window >= vocab) return undefined;
  return `${strategy}: works on the whole vocabulary, so a window of ${window} ids cannot be. ` +
    "Leave the window out, or choose fused or windowed";
}

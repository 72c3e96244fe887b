/**
 * Every strategy, in the order in which they are tried and listed. A new one is
 * a new file and a line here.
 *
 * @module
 */
import { chunked } from "./chunked.ts";
import { fused } from "./fused.ts";
import type { StrategyName } from "../schedule/schedule.ts";
import type { Strategy } from "./strategy.ts";
import { twoStage } from "./two_stage.ts";
import { windowed } from "./windowed.ts";

/** Every strategy. */
export const ALL_STRATEGIES: readonly Strategy[] = [twoStage, fused, windowed, chunked];

/** Returns the strategy of a name. */
export function strategyNamed(name: StrategyName): Strategy {
  return ALL_STRATEGIES.find((each) => each.name === name)!;
}

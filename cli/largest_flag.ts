/**
 * The flag that asks for the largest problem that fits, and flags that cannot be
 * given together with others of `lce plan`.
 *
 * @module
 */
import { LARGEST_DIMENSIONS, type LargestDimension } from "../planner/largest.ts";
import { UsageError } from "./exit.ts";
import { flagName } from "./request.ts";

/** Values of `--largest`. */
export const LARGEST = LARGEST_DIMENSIONS;

/** Flags with the least value in place of the one that is looked for. */
export function withLeast(
  dimension: LargestDimension | undefined,
  flags: Record<string, unknown>,
): Record<string, unknown> {
  return dimension === undefined ? flags : { ...flags, [dimension]: 1 };
}

/** The flags that change what `lce plan` says. */
export interface PlanModes {
  readonly sweep: readonly string[] | undefined;
  readonly largest: LargestDimension | undefined;
  readonly timeline: string | undefined;
  readonly compare: boolean;
  readonly explain: boolean;
}

/** Checks that flags do not contradict each other. @throws {UsageError} naming two that do. */
export function checkTogether(modes: PlanModes, flags: Record<string, unknown>): void {
  const { largest } = modes;
  if (largest !== undefined && flags[largest] !== undefined) {
    throw new UsageError(
      `--largest ${largest} looks for the largest ${largest}, and ${
        flagName(largest)
      } fixes it: leave one of them out`,
    );
  }
  const ranks = ["tensorParallel", "dataParallel", "sequenceParallel"]
    .find((flag) => flags[flag] !== undefined);
  const given = Object.entries(modes)
    .filter(([, value]) => value !== undefined && value !== false)
    .map(([mode]) => flagName(mode));
  if (ranks !== undefined && given.length > 0) {
    throw new UsageError(
      `${given[0]} and ${
        flagName(ranks)
      } cannot be given together: it is about one plan, and each rank has its own`,
    );
  }
  const other = given.filter((flag) => flag !== "--sweep" && flag !== "--timeline");
  if (modes.sweep !== undefined && other.length > 0) {
    throw new UsageError(
      `--sweep and ${other[0]} cannot be given together: a sweep is many plans, and ${
        other[0]
      } is about one`,
    );
  }
}

/**
 * The flags that change what `lce plan` is asked, and which of them contradict
 * each other.
 *
 * @module
 */
import type { LargestDimension } from "../../planner/largest.ts";
import { type CodebookHead, codebookHead } from "../../planner/heads/codebook.ts";
import type { Problem } from "../../planner/problem.ts";
import { UsageError } from "../exit.ts";
import type { Modes } from "./modes_shape.ts";
import { flagName } from "./request.ts";

/** Flags with the least value in place of the one that is looked for. */
export function withLeast(
  dimension: LargestDimension | undefined,
  flags: Record<string, unknown>,
): Record<string, unknown> {
  return dimension === undefined ? flags : { ...flags, [dimension]: 1 };
}

/** The codebook head that is asked for. @throws {UsageError} when so many codes cannot be. */
export function checkCodes(problem: Problem, codes: number): CodebookHead {
  try {
    return codebookHead(problem, codes);
  } catch (error) {
    if (error instanceof RangeError) throw new UsageError(`--codes ${codes}: ${error.message}`);
    throw error;
  }
}

/** Flags that know no ranks, and why. */
const WITHOUT_RANKS: ReadonlyMap<string, string> = new Map([
  ["--compare", "the published methods' models are of one device"],
  ["--sweep", "a sweep's points are plans of one device; plan its points one by one"],
  ["--codes", "a codebook head is planned for one device"],
]);

/** Checks that flags do not contradict each other. @throws {UsageError} naming two that do. */
export function checkTogether(
  { sweep, largest, timeline, compare, explain, codes }: Modes,
  flags: Record<string, unknown>,
): void {
  // The rest of them are about how the answer looks.
  const modes = { sweep, largest, timeline, compare, explain, codes };
  if (largest !== undefined && flags[largest] !== undefined) {
    throw new UsageError(
      `--largest ${largest} looks for the largest ${largest}, and ${
        flagName(largest)
      } fixes it: leave one of them out`,
    );
  }
  if (largest === "vocab" && codes !== undefined) {
    throw new UsageError(
      "--largest vocab and --codes cannot be given together: the vocabulary does not matter where codes stand for it",
    );
  }
  const ranks = ["tensorParallel", "dataParallel", "sequenceParallel"]
    .find((flag) => flags[flag] !== undefined);
  const given = Object.entries(modes)
    .filter(([, value]) => value !== undefined && value !== false)
    .map(([mode]) => flagName(mode));
  const alone = given.find((flag) => WITHOUT_RANKS.has(flag));
  if (ranks !== undefined && alone !== undefined) {
    throw new UsageError(
      `${alone} and ${flagName(ranks)} cannot be given together: ${WITHOUT_RANKS.get(alone)}`,
    );
  }
  const other = given.filter((flag) => flag !== "--sweep" && flag !== "--timeline");
  if (sweep !== undefined && other.length > 0) {
    throw new UsageError(
      `--sweep and ${other[0]} cannot be given together: a sweep is many plans, and ${
        other[0]
      } is about one`,
    );
  }
}

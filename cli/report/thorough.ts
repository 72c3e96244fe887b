/**
 * Thorough runs as text and as JSON.
 *
 * @module
 */
import { problemJson } from "../../planner/problem_schema.ts";
import type { Fixture } from "../../fixtures/fixture.ts";
import type { Variant } from "../../fixtures/verify/thorough.ts";
import { checkRows } from "./run.ts";
import { indented, table } from "./table.ts";

/** Returns one entry of the contract of `lce run --thorough --json`. */
export function thoroughJson(
  { name, problem }: Fixture,
  variants: readonly Variant[],
  ok: boolean,
) {
  return { fixture: name, problem: problemJson(problem), variants, ok };
}

/** Returns a line where all is well; the ways in which it is not, and what is wrong. */
export function thoroughText(
  { name }: Fixture,
  variants: readonly Variant[],
  ok: boolean,
): string {
  const wrong = variants.filter((variant) => !variant.ok);
  const passes = [...new Set(variants.map(({ pass }) => pass))].join(" and ");
  const lines = wrong.flatMap((variant) => [
    indented(nameOf(variant)),
    ...(variant.memoryOk ? [] : [indented("memory differs from the prediction", 4)]),
    ...(variant.repeats === false ? [indented("the same step again gave other results", 4)] : []),
    indented(
      table(checkRows({
        ...variant.agreement,
        checks: variant.agreement.checks.filter(({ ok }) => !ok),
      })),
      4,
    ),
  ]);
  const verdict = ok
    ? `ok in ${variants.length} ways (${passes})`
    : `FAILED in ${wrong.length} of ${variants.length} ways (${passes})`;
  return [`${name}: ${verdict}`, ...lines].join("\n");
}

function nameOf({ pass, strategy, window, block, how }: Variant): string {
  return `${pass}, ${strategy}, window ${window}, block ${block}, ${how}`;
}

/**
 * A fingerprint of the matrix kernels' texts: measurements of one version say
 * nothing about another.
 *
 * @module
 */
import { SPECIFICATION_DEFAULTS } from "../../planner/device.ts";
import { makePlan } from "../../planner/plan.ts";
import { parseProblem } from "../../planner/problem_schema.ts";
import { ALL_STRATEGIES } from "../../planner/strategies/mod.ts";
import { kernelKey, wgslOf } from "./generate.ts";

/** Returns the fingerprint, eight hexadecimal digits: equal where every matrix kernel is. */
export function kernelVersion(): string {
  const problem = parseProblem({ tokens: 64, hidden: 64, vocab: 256, pass: "train" });
  const texts = new Map<string, string>();
  for (const { name: strategy, passes, baseline } of ALL_STRATEGIES) {
    // The baseline has no kernel of its own.
    if (baseline || !passes.includes("train")) continue;
    const { schedule } = makePlan(problem, SPECIFICATION_DEFAULTS, { strategy });
    for (const step of schedule.steps) {
      if (step.kind === "dispatch" && step.tile) {
        texts.set(kernelKey(step), wgslOf(schedule, step));
      }
    }
  }
  return fnv1a([...texts.values()].join("\n")).toString(16).padStart(8, "0");
}

/** Returns the FNV-1a hash of a text's UTF-16 code units, 32 bits. */
function fnv1a(text: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) {
    hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193) >>> 0;
  }
  return hash;
}

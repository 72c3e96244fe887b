/**
 * Sums over the invocations of a workgroup, and the words that they end in.
 *
 * @module
 */
import { type Total, totalIndex } from "../../planner/schedule/layout.ts";
import { block, index } from "./text.ts";

/** Returns a word of the totals buffer. */
export function total(name: Total): string {
  return `totals[${index(totalIndex(name))}]`;
}

/**
 * Returns statements that sum a variable over the `lanes` invocations of a workgroup by
 * halves, in a fixed order, in an array of workgroup memory: its first element is
 * the sum, for invocation 0.
 */
export function sumLanes(memory: string, variable: string, lanes: number): string[] {
  return [
    `${memory}[lane] = ${variable};`,
    `workgroupBarrier();`,
    block([
      block([`${memory}[lane] += ${memory}[lane + half];`], `if (lane < half)`),
      `workgroupBarrier();`,
    ], `for (var half = ${lanes / 2}u; half > 0u; half /= 2u)`),
  ];
}

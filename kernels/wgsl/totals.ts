/**
 * Sums over the invocations of a workgroup, and the words that they end in.
 *
 * @module
 */
import { type Total, totalIndex } from "../../planner/schedule/layout.ts";
import { block, index } from "./text.ts";

/** A word of the totals buffer. */
export function total(name: Total): string {
  return `totals[${index(totalIndex(name))}]`;
}

/**
 * Statements that sum a variable over the `lanes` invocations of a workgroup by
 * halves, in a fixed order, in an array of workgroup memory: its first element is
 * the sum, for invocation 0.
 */
export function sumLanes(memory: string, variable: string, lanes: number): string[] {
  return [
    `${memory}[lane] = ${variable};`,
    ...halves(lanes).flatMap((half) => [
      `workgroupBarrier();`,
      block([`${memory}[lane] += ${memory}[lane + ${half}u];`], `if (lane < ${half}u)`),
    ]),
  ];
}

/** A power of two halved until it is 1. */
export function halves(count: number): number[] {
  return count > 1 ? [count / 2, ...halves(count / 2)] : [];
}

/**
 * Published methods' memory beside a plan's, as text and as JSON.
 *
 * @module
 */
import { peersOf } from "../../planner/peers/mod.ts";
import { DoesNotFitError, makePlan, type Plan } from "../../planner/plan.ts";
import type { Problem } from "../../planner/problem.ts";
import { beyondInputs } from "../../planner/sweep.ts";
import { indented, table } from "./table.ts";

/** Bytes beyond the inputs in each pass; in training with the gradients that are returned. */
interface Row {
  readonly method: string;
  readonly title: string;
  readonly source: string;
  readonly note: string | null;
  readonly unsuited: string | null;
  readonly forwardExtraBytes: number | null;
  readonly trainExtraBytes: number | null;
}

/** Every published method, then ours: the plan, and what would be planned for the other pass. */
export function peersJson(plan: Plan): Row[] {
  const { problem, schedule } = plan;
  const rows = peersOf(problem).map(({ method, title, source, note, unsuited, ...memory }) => ({
    method,
    title,
    source,
    note: note ?? null,
    unsuited: unsuited ?? null,
    forwardExtraBytes: memory.forwardExtraBytes ?? null,
    trainExtraBytes: memory.trainExtraBytes ?? null,
  }));
  return [...rows, {
    method: "lce",
    title: `this plan, ${schedule.strategy}`,
    source: "planned, and checked by lce run",
    note: null,
    unsuited: null,
    forwardExtraBytes: ours(plan, "forward"),
    trainExtraBytes: ours(plan, "train"),
  }];
}

function ours(plan: Plan, pass: Problem["pass"]): number | null {
  const { problem, device, budget } = plan;
  if (problem.pass === pass) return beyondInputs(plan.memory);
  const { gradients: _, gradientFilter: __, ...common } = problem;
  try {
    const other = makePlan({ ...common, gradientFilter: 0, pass }, device, { budget });
    return beyondInputs(other.memory);
  } catch (error) {
    if (error instanceof DoesNotFitError) return null;
    throw error;
  }
}

/** The same for people. */
export function peersText(plan: Plan): string {
  const mebibytes = (bytes: number | null) =>
    bytes === null ? "-" : `${(bytes / 2 ** 20).toFixed(1)} MiB`;
  const rows = peersJson(plan).map((row) => [
    row.method,
    mebibytes(row.forwardExtraBytes),
    mebibytes(row.trainExtraBytes),
    row.unsuited ?? row.title,
  ]);
  return `methods: memory beyond inputs, in training with the gradients that are returned\n${
    indented(
      table([["method", "forward", "train", ""], ...rows], ["left", "right", "right"]),
    )
  }`;
}

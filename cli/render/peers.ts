/**
 * Published methods' memory beside a plan's, as text and as JSON.
 *
 * @module
 */
import { peersOf } from "../../planner/peers/mod.ts";
import { DoesNotFitError, makePlan, type Plan } from "../../planner/plan.ts";
import { parseProblem, type Problem } from "../../planner/problem.ts";
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
  /** The same with the problem's softcap, bias and so on, where the method does them. */
  readonly asAsked: Pick<Row, "forwardExtraBytes" | "trainExtraBytes">;
}

/**
 * Every published method, then ours: the plan, and what would be planned for the
 * other pass. Figures are of the plain cross-entropy of this size, as methods are
 * measured and published, and as most of them know no other; what the problem's
 * own options make of them stands beside them.
 */
export function peersJson(plan: Plan): Row[] {
  const { problem, schedule } = plan;
  const { tokens, hidden, vocab, dtype, pass } = problem;
  const plain = new Map(
    peersOf(parseProblem({ tokens, hidden, vocab, dtype, pass })).map((
      peer,
    ) => [peer.method, peer]),
  );
  const bytes = (value: number | undefined) => value ?? null;
  const rows = peersOf(problem).map((asAsked) => {
    const { method, title, source, note, ...as } = plain.get(asAsked.method)!;
    return {
      method,
      title,
      source,
      note: note ?? null,
      unsuited: asAsked.unsuited ?? as.unsuited ?? null,
      forwardExtraBytes: bytes(as.forwardExtraBytes),
      trainExtraBytes: bytes(as.trainExtraBytes),
      asAsked: {
        forwardExtraBytes: bytes(asAsked.forwardExtraBytes),
        trainExtraBytes: bytes(asAsked.trainExtraBytes),
      },
    };
  });
  const own = { forwardExtraBytes: ours(plan, "forward"), trainExtraBytes: ours(plan, "train") };
  return [...rows, {
    method: "lce",
    title: `this plan, ${schedule.strategy}`,
    source: "planned, and checked by lce run",
    note: null,
    unsuited: null,
    ...own,
    asAsked: own,
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
    remark(row, mebibytes),
  ]);
  return `methods: memory beyond inputs of a plain cross-entropy; in training with the gradients\n${
    indented(
      table([["method", "forward", "train", ""], ...rows], ["left", "right", "right"]),
    )
  }`;
}

/** Which method it is, and what the problem's options change or rule out. */
function remark(row: Row, mebibytes: (bytes: number | null) => string): string {
  const { asAsked, title, unsuited } = row;
  if (unsuited) return `${title}; ${unsuited}`;
  const same = asAsked.forwardExtraBytes === row.forwardExtraBytes &&
    asAsked.trainExtraBytes === row.trainExtraBytes;
  const both = `${mebibytes(asAsked.forwardExtraBytes)} and ${mebibytes(asAsked.trainExtraBytes)}`;
  return same ? title : `${title}; ${both} with this problem's options`;
}

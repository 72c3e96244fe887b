/**
 * Published methods' memory beside a plan's, as text and as JSON.
 *
 * @module
 */
import { peersOf } from "../../planner/peers/mod.ts";
import { DoesNotFitError, makePlan, type Plan } from "../../planner/plan.ts";
import { learnerOf, type Problem } from "../../planner/problem.ts";
import { parseProblem } from "../../planner/problem_schema.ts";
import { beyondInputs } from "../../planner/sweep.ts";
import { formatBytes } from "../../planner/units.ts";
import { indented, type Layout, table, within } from "./table.ts";
import { wrapped } from "./wrap.ts";

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
 * Returns every published method, then ours: the plan, and what would be planned for the other
 * pass. Figures are of the plain cross-entropy of this size, as methods are measured and published,
 * and as most of them know no other; what the problem's own options make of them stands beside
 * them.
 */
export function peersJson(plan: Plan): Row[] {
  const { problem } = plan;
  const { tokens, pass } = problem;
  const { hidden, vocab, dtype } = learnerOf(problem);
  // Methods of distillation are few, and do no more than that.
  const plainProblem = problem.distill || problem.fusion
    ? problem
    : parseProblem({ tokens, hidden, vocab, dtype, pass });
  const plain = new Map(peersOf(plainProblem).map((peer) => [peer.method, peer]));
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
  return [...rows, {
    method: "lce",
    title: "lce, as it would plan each pass",
    source: "planned, and checked by lce run",
    note: null,
    unsuited: null,
    forwardExtraBytes: planned(plan, { ...plainProblem, pass: "forward" }),
    trainExtraBytes: problem.fusion ? null : planned(plan, { ...plainProblem, pass: "train" }),
    asAsked: {
      forwardExtraBytes: pass === "forward" ? beyondInputs(plan.memory) : null,
      trainExtraBytes: pass === "train" ? beyondInputs(plan.memory) : null,
    },
  }];
}

/**
 * Returns what a problem would take on the plan's device and within its budget; nothing where it
 * does not fit.
 */
function planned({ device, budget, outline }: Plan, problem: Problem): number | null {
  const hostIo = outline.residency !== "caller";
  try {
    return beyondInputs(makePlan(problem, device, { budget, hostIo }).memory);
  } catch (error) {
    if (error instanceof DoesNotFitError) return null;
    throw error;
  }
}

const NO_FUSING =
  "methods: none is known that fuses heads: the repository of dynamic logit fusion's authors (arXiv 2406.15480) had no code when it was looked at, commit dc44066";

const HEADING = (of: string) =>
  `methods: memory beyond inputs of ${of}; in training with the gradients`;

/** Returns the same for people, the least memory of the plan's pass first. */
export function peersText(plan: Plan, layout: Layout = {}): string {
  if (plan.problem.fusion) return wrapped(NO_FUSING, layout.width);
  const bytes = plan.problem.pass === "train" ? "trainExtraBytes" : "forwardExtraBytes";
  const rows = peersJson(plan)
    .sort((a, b) => (a[bytes] ?? Infinity) - (b[bytes] ?? Infinity))
    .map((row) => [
      row.method,
      sizeText(row.forwardExtraBytes),
      sizeText(row.trainExtraBytes),
      remark(row),
    ]);
  return `${
    wrapped(HEADING(plan.problem.distill ? "distillation" : "a plain cross-entropy"), layout.width)
  }\n${
    indented(
      table(
        [["method", "forward", "train", "about"], ...rows],
        ["left", "right", "right"],
        within(layout),
      ),
    )
  }`;
}

function sizeText(bytes: number | null): string {
  return bytes === null ? "-" : formatBytes(bytes);
}

/** Returns which method it is, and what the problem's options change or rule out. */
function remark(row: Row): string {
  const { asAsked, title, unsuited } = row;
  if (unsuited) return `${title}; ${unsuited}`;
  const passes = ["forwardExtraBytes", "trainExtraBytes"] as const;
  const asked = passes.filter((pass) => asAsked[pass] !== null);
  if (asked.every((pass) => asAsked[pass] === row[pass])) return title;
  const figures = asked.map((pass) => sizeText(asAsked[pass])).join(" and ");
  return `${title}; ${figures} with this problem's options`;
}

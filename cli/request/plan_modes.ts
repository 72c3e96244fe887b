/**
 * The flags that change what `lce plan` is asked, and which of them contradict
 * each other.
 *
 * @module
 */
import type { LargestDimension } from "../../planner/largest.ts";
import { withAdapter } from "../../planner/heads/adapter.ts";
import { type CodebookHead, codebookHead } from "../../planner/heads/codebook.ts";
import { issueText } from "../../planner/issues.ts";
import { headOf, type HeadsProblemInput, type Problem } from "../../planner/problem.ts";
import { problemSchema } from "../../planner/problem_schema.ts";
import { UsageError } from "../exit.ts";
import { EXPERT_MODES, type Modes, TEACHER_MODES } from "./modes_shape.ts";
import { PEERS_OF_ONE_DEVICE } from "../report/sweep.ts";
import { flagName, parallelismOf, type ParallelSettings, parallelShape } from "./request.ts";

/** Returns flags with the least value in place of the one that is looked for. */
export function withLeast(
  dimension: LargestDimension | undefined,
  flags: Record<string, unknown>,
): Record<string, unknown> {
  return dimension === undefined ? flags : { ...flags, [dimension]: 1 };
}

/**
 * Returns the codebook head that is asked for. @throws {UsageError} when there are more codes than ids.
 */
export function checkCodes(problem: Problem, codes: number): CodebookHead {
  try {
    return codebookHead(problem, codes);
  } catch (error) {
    if (error instanceof RangeError) throw new UsageError(`--codes ${codes}: ${error.message}`);
    throw error;
  }
}

/**
 * Returns the problem with the adapter that is asked for.
 *
 * @throws {UsageError} where something beside it is about a head without one.
 */
export function checkAdapter(
  problem: Problem,
  { adapterRank, codes, compare, peers, sweep, largest }: Modes,
): Problem {
  if (adapterRank === undefined) return problem;
  const other = Object.entries({
    codes,
    compare: compare || undefined,
    peers,
    sweep,
    "largest hidden": largest === "hidden" || undefined,
    subTokens: problem.subTokens,
  }).find(([, value]) => value !== undefined)?.[0];
  if (other !== undefined) {
    throw new UsageError(
      `--adapter-rank and ${
        flagName(other)
      } cannot be given together: that is about a head without an adapter`,
    );
  }
  return withAdapter(problem, adapterRank);
}

/**
 * Returns the problem with the teacher that is asked for: of as many ids as the student, and
 * stored as it is.
 *
 * @throws {UsageError} where there is half of one, or something beside it is about a single head.
 */
export function checkDistill(problem: Problem, modes: Modes): Problem {
  const { distill, teacherHidden, teacherLearns, distillWeight: weight, ...of } = modes;
  const { teacherList: listed, beta, temperature, ceWeight } = of;
  if (distill === undefined) {
    const idle = TEACHER_MODES.find((name) => modes[name] !== undefined);
    if (idle === undefined) return problem;
    throw new UsageError(
      `${flagName(idle)} ${modes[idle]}: is of a teacher: add --distill, or leave it out`,
    );
  }
  if (listed === undefined && teacherHidden === undefined) {
    throw new UsageError(
      `--distill ${distill}: needs --teacher-hidden, the teacher's hidden size, or --teacher-list, how many ids it is known by`,
    );
  }
  const [headed] = Object.entries({ teacherHidden, teacherLearns })
    .filter(([, value]) => value !== undefined && value !== false);
  if (listed !== undefined && headed) {
    throw new UsageError(
      `--teacher-list and ${
        flagName(headed[0] as keyof Modes)
      } cannot be given together: a list has no head`,
    );
  }
  const { codes, adapterRank, peers, sweep, largest, ranks } = modes;
  refuseBeside("distill", { codes, adapterRank, peers, sweep, largest, ranks });
  const head = headOf(problem);
  return headsOf(`--distill ${distill}`, {
    ...problem,
    heads: [
      { ...head, name: "student" },
      ...(teacherHidden === undefined ? [] : [{
        name: "teacher",
        hidden: teacherHidden,
        vocab: head.vocab,
        dtype: head.dtype,
        frozen: !teacherLearns,
      }]),
    ],
    distill: { divergence: distill, listed, beta, temperature, weight, ceWeight },
  });
}

/**
 * Returns the problem of three heads that are fused: of as many ids as the large model's, and
 * stored as it is.
 *
 * @throws {UsageError} where one is missing, or something beside it is about a single head.
 */
export function checkFusion(problem: Problem, modes: Modes): Problem {
  const { fusion, expertHidden, baseHidden = expertHidden } = modes;
  if (!fusion) {
    const idle = EXPERT_MODES.find((name) => modes[name] !== undefined);
    if (idle === undefined) return problem;
    throw new UsageError(
      `${flagName(idle)} ${modes[idle]}: is of heads that are fused: add --fusion, or leave it out`,
    );
  }
  if (expertHidden === undefined) {
    throw new UsageError("--fusion: needs --expert-hidden, the expert's hidden size");
  }
  const { codes, adapterRank, distill, peers, sweep, largest, ranks } = modes;
  refuseBeside("fusion", { codes, adapterRank, distill, peers, sweep, largest, ranks });
  const head = headOf(problem);
  const { vocab, dtype } = head;
  return headsOf("--fusion", {
    ...problem,
    heads: [
      { ...head, name: "large" },
      { name: "expert", hidden: expertHidden, vocab, dtype },
      { name: "base", hidden: baseHidden!, vocab, dtype },
    ],
    fusion: true,
  });
}

/** Refuses what is about a single head beside several. @throws {UsageError} */
function refuseBeside(mode: keyof Modes, others: Partial<Modes>): void {
  const [other] = Object.entries(others).find(([, value]) => value !== undefined) ?? [];
  if (other === undefined) return;
  throw new UsageError(
    `${flagName(mode)} and ${
      flagName(other)
    } cannot be given together: that is about a single head`,
  );
}

/** Returns a problem of several heads that a flag makes. @throws {UsageError} where it cannot be. */
function headsOf(flag: string, input: HeadsProblemInput): Problem {
  const parsed = problemSchema().safeParse(input);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  throw new UsageError(`${flag}: ${issue!.path.join(".")} ${issueText(issue!)}`);
}

/** Modes that know no ranks, and why. */
const WITHOUT_RANKS: Readonly<Partial<Record<keyof Modes, string>>> = {
  compare: PEERS_OF_ONE_DEVICE,
  peers: PEERS_OF_ONE_DEVICE,
};

/**
 * Checks that a job which is split over ranks is asked nothing that knows none, whether
 * flags or a plan file say so. @throws {UsageError} naming two settings that contradict.
 */
export function checkRanks(modes: Modes, split: ParallelSettings): void {
  checkNeeds(modes, split);
  const settings = { ...split, ranks: modes.ranks };
  const [ranks] = [...Object.keys(parallelShape), "ranks"].filter((name) =>
    settings[name as keyof typeof settings] !== undefined
  );
  if (ranks === undefined) return;
  for (const [mode, reason] of Object.entries(WITHOUT_RANKS)) {
    const value = modes[mode as keyof Modes];
    if (value === undefined || value === false || String(value) === "none") continue;
    throw new UsageError(
      `${flagName(mode)} and ${flagName(ranks)} cannot be given together: ${reason}`,
    );
  }
}

/** Settings that mean something only beside others. */
function checkNeeds({ ranks, scaling, links }: Modes, split: ParallelSettings): void {
  const parallel = parallelismOf(split) !== undefined;
  if (ranks !== undefined && parallel) {
    throw new UsageError(
      `--ranks ${ranks} looks for the split, and --tensor-parallel, --data-parallel and --sequence-parallel fix it: leave one of them out`,
    );
  }
  if (scaling !== undefined && ranks === undefined) {
    throw new UsageError(`--scaling ${scaling}: needs --ranks, up to which it goes, such as 4k`);
  }
  if (links !== undefined && ranks === undefined && !parallel) {
    throw new UsageError(
      `--links ${links}: is of ranks: add --ranks, or --tensor-parallel, or leave it out`,
    );
  }
}

/** Checks that flags do not contradict each other. @throws {UsageError} naming two that do. */
export function checkTogether(
  { sweep, largest, timeline, compare, explain, codes, ranks, scaling }: Modes,
  flags: Record<string, unknown>,
): void {
  // The rest of them are about how the answer looks.
  const modes = { sweep, largest, timeline, compare, explain, codes, ranks };
  if (largest !== undefined && flags[largest] !== undefined) {
    throw new UsageError(
      `--largest ${largest} looks for the largest ${largest}, and ${
        flagName(largest)
      } fixes it: leave one of them out`,
    );
  }
  if (largest === "tokens" && flags.sampledTokens !== undefined) {
    throw new UsageError(
      "--largest tokens and --sampled-tokens cannot be given together: a sample is of known tokens",
    );
  }
  if (largest === "hidden" && flags.subTokens !== undefined) {
    throw new UsageError(
      "--largest hidden and --sub-tokens cannot be given together: sub-tokens divide the hidden size",
    );
  }
  if (largest === "vocab" && codes !== undefined) {
    throw new UsageError(
      "--largest vocab and --codes cannot be given together: the vocabulary does not matter where codes stand for it",
    );
  }
  if (ranks !== undefined && largest !== undefined) {
    throw new UsageError(
      "--ranks and --largest cannot be given together: the split depends on the sizes",
    );
  }
  const single = { timeline, explain };
  const [one] = Object.entries(single).find(([, value]) => value) ?? [];
  if (scaling !== undefined && one !== undefined) {
    throw new UsageError(
      `--scaling and ${flagName(one)} cannot be given together: it is many plans, and ${
        flagName(one)
      } is about one`,
    );
  }
  const given = Object.entries(modes)
    .filter(([, value]) => value !== undefined && value !== false)
    .map(([mode]) => flagName(mode));
  const other = given.filter((flag) => flag !== "--sweep" && flag !== "--timeline");
  if (sweep !== undefined && other.length > 0) {
    throw new UsageError(
      `--sweep and ${other[0]} cannot be given together: a sweep is many plans, and ${
        other[0]
      } is about one`,
    );
  }
}

/** Checks that one plan of known sizes is asked for, which an earlier one may be of too. @throws {UsageError} */
export function checkComparable({ sweep, largest, scaling }: Modes): void {
  const many = { sweep, largest, scaling };
  const [other] = Object.entries(many).find(([, value]) => value !== undefined) ?? [];
  if (other === undefined) return;
  throw new UsageError(
    `--against and ${
      flagName(other)
    } cannot be given together: an earlier plan is one plan of fixed sizes`,
  );
}

/**
 * Which problems a published method can do. The tables are those of its
 * documentation and source; a problem beyond them gets a reason, not a number.
 *
 * @module
 */
import type { Dtype } from "../dtype.ts";
import type { Divergence } from "../heads/distill.ts";
import { learnerOf, type Problem } from "../problem.ts";

/** Options of a problem that a method may lack: how to name them, and when they are asked for. */
const OPTIONS = {
  bias: { title: "a bias", asked: (problem: Problem) => learnerOf(problem).bias },
  softcap: {
    title: "a softcap",
    asked: (problem: Problem) => learnerOf(problem).softcap !== undefined,
  },
  logitScale: {
    title: "a logit scale",
    asked: (problem: Problem) => learnerOf(problem).logitScale !== 1,
  },
  labelSmoothing: {
    title: "label smoothing",
    asked: ({ labelSmoothing }: Problem) => labelSmoothing > 0,
  },
  classWeight: { title: "class weights", asked: ({ classWeight }: Problem) => classWeight },
  zLoss: { title: "a z-loss", asked: ({ zLoss }: Problem) => zLoss > 0 },
  entropy: {
    title: "entropy per token",
    asked: ({ statistics }: Problem) => statistics.includes("entropy"),
  },
  collision: {
    title: "the softmax's sum of squares per token",
    asked: ({ statistics }: Problem) => statistics.includes("collision"),
  },
  predicted: {
    title: "predicted ids",
    asked: ({ statistics }: Problem) => statistics.includes("predicted"),
  },
  teacher: {
    title: "gradients of the teacher",
    asked: ({ distill, heads }: Problem) => distill !== undefined && heads[1]?.frozen === false,
  },
  statistics: {
    title: "the statistics objective",
    asked: ({ objective }: Problem) => objective === "statistics",
  },
} as const;

/** Option of a problem that a method may lack. */
export type PeerOption = keyof typeof OPTIONS;

/** What a method can do; whatever is left out is unlimited. */
export interface PeerLimits {
  /** Options that it has. */
  readonly options: readonly PeerOption[];
  /** True where other options are possible but no model of their memory is held here. */
  readonly open?: boolean;
  /** Storage types. */
  readonly dtypes?: readonly Dtype[];
  /** What it distils by, where it does. */
  readonly divergences?: readonly Divergence[];
  /** What it distils by as well, though no model of its memory is held here. */
  readonly unmodelled?: readonly Divergence[];
  /** Reductions. */
  readonly reductions?: readonly Problem["reduction"][];
  /** The hidden size must be a multiple of this. */
  readonly hiddenMultiple?: number;
  /** Most tokens. */
  readonly maxTokens?: number;
}

/** Returns why a method cannot do a problem, or `undefined` where it can. */
export function unsuited(limits: PeerLimits, problem: Problem): string | undefined {
  const { dtypes, divergences, unmodelled = [], reductions, ...most } = limits;
  const { hiddenMultiple = 1, maxTokens = Infinity } = most;
  const { distill } = problem;
  if (distill && unmodelled.includes(distill.divergence)) {
    return `its memory by ${distill.divergence} is not modelled`;
  }
  if (divergences && distill && !divergences.includes(distill.divergence)) {
    return `distils by ${divergences.join(" or ")} only, not ${distill.divergence}`;
  }
  if (dtypes && !dtypes.includes(learnerOf(problem).dtype)) {
    return `works in ${dtypes.join(" or ")} only, not ${learnerOf(problem).dtype}`;
  }
  if (reductions && !reductions.includes(problem.reduction)) {
    return `has no reduction "${problem.reduction}", only ${reductions.join(" or ")}`;
  }
  if (learnerOf(problem).hidden % hiddenMultiple !== 0) {
    return `needs a hidden size that is a multiple of ${hiddenMultiple}, not ${
      learnerOf(problem).hidden
    }`;
  }
  if (problem.tokens > maxTokens) {
    return `takes at most ${maxTokens} tokens, not ${problem.tokens}`;
  }
  for (const [name, { title, asked }] of Object.entries(OPTIONS)) {
    if (!asked(problem) || limits.options.includes(name as PeerOption)) continue;
    return limits.open ? `its memory with ${title} is not modelled` : `does not do ${title}`;
  }
  return undefined;
}

/**
 * Kernels over tokens: what their statistics mean, what gradient they ask for,
 * and what their losses add up to.
 *
 * @module
 */
import {
  coefficients,
  crossEntropy,
  type Derivatives,
  distilled,
  type TokenLoss,
} from "../../planner/objective.ts";
import { LINEAR_WORKGROUP } from "../../planner/schedule/combining.ts";
import {
  type CoefficientRow,
  coefficientRows,
  followsTargets,
  hasReducedLoss,
  type TokenResult,
  tokenResults,
  tokenStride,
  upstreamRows,
} from "../../planner/schedule/layout.ts";
import { keptOf } from "../../planner/heads/distill.ts";
import { wantsEntropy } from "../../planner/schedule/statistics.ts";
import type { Problem } from "../../planner/problem.ts";
import { splitsVocabulary, wholeVocab } from "../../planner/schedule/schedule.ts";
import type { KernelContext } from "./context.ts";
import { gradientBound } from "./halves.ts";
import { inBlocks, KEPT_COUNT, keptRow } from "./logit.ts";
import { OnlineStatistics } from "./statistics.ts";
import { sumLanes, total } from "./totals.ts";
import { WGSL } from "./arithmetic.ts";
import { binds, block, kernel, plus, scaled } from "./text.ts";

const LANES = LINEAR_WORKGROUP;

/** A word of the totals buffer that holds an f32. */
const totalWeight = `bitcast<f32>(${total("totalWeight")})`;

/** Returns what the reduction multiplies the two parts of a token's loss by. */
function reductionScales(problem: Problem): { nllScale: string; zScale: string } {
  return problem.reduction === "mean"
    ? {
      nllScale: `1f / bitcast<f32>(${total("keptWeight")})`,
      zScale: `1f / f32(${total("kept")})`,
    }
    : { nllScale: "1f", zScale: "1f" };
}

/** Returns the objective of a token as text, in terms of variables named as its statistics. */
function lossText(
  { dispatch, schedule }: KernelContext,
  upstream: string,
): TokenLoss<string> {
  const { problem } = schedule;
  const token = {
    logprob: "logprob",
    lse: "lse",
    entropy: "entropy",
    smoothed: "smoothed",
    targetWeight: binds(dispatch, "class_weight") ? "class_weight[id_of_target]" : "1f",
  };
  const reduction = { ...reductionScales(problem), upstream };
  const options = { ...problem, vocab: wholeVocab(schedule) };
  return problem.distill
    ? distilled(WGSL, { ...token, divergence: "divergence" }, reduction, {
      ...options,
      ...problem.distill,
    })
    : crossEntropy(WGSL, token, reduction, options);
}

/** Returns where a result of a token lies in `tokens`. */
export function tokenResult(problem: Problem, name: TokenResult, at: string): string {
  return `tokens[${plus(tokenResults(problem).indexOf(name) * tokenStride(problem), at)}]`;
}

/**
 * Folds the splits of each kept token into its results: log-sum-exp,
 * log-probability, loss. Ignored tokens get zeros.
 */
export function merge(context: KernelContext): string {
  const { dispatch, schedule } = context;
  const { problem } = schedule;
  const online = new OnlineStatistics(problem);
  // Where ranks hold different rows, their splits have been folded to one set already.
  const splits = splitsVocabulary(schedule.share) ? 1 : schedule.splits;
  const at = inBlocks("position");
  const { loss, share } = lossText(context, "1f");
  const values: Readonly<Record<string, readonly string[]>> = {
    loss: [`bitcast<u32>(${loss})`],
    share: [`bitcast<u32>(${share})`],
    ...online.results,
  };
  // Lists of whole rows come later.
  const rows = [...new Set(tokenResults(problem))].filter((name) => values[name]);
  // A list has each token's numbers together, in as many rows as it is long.
  const store = (name: TokenResult, words: readonly string[]) =>
    words.map((word, index) =>
      words.length === 1
        ? `${tokenResult(problem, name, "token")} = ${word};`
        : `${tokenResult(problem, name, plus(scaled("token", words.length), index))} = ${word};`
    );
  return kernel(dispatch, {
    title: "the splits of a token's statistics folded into its results.",
    types: {
      tokens: "u32",
    },
    functions: online.functions,
    workgroup: LANES,
    builtins: ["invocation"],
    body: [
      `let position = invocation.x;`,
      block([`return;`], `if (position >= params.tokens)`),
      `let token = ${plus("params.token_start", keptRow(context, "position"))};`,
      block([
        `// Tokens that do not count come after those that do.`,
        ...rows.flatMap((name) => store(name, values[name]!.map(() => "0u"))),
        `return;`,
      ], `if (position >= ${KEPT_COUNT})`),
      `// The statistics of all of the vocabulary, split by split.`,
      ...online.declare("0"),
      ...(binds(dispatch, "gathered")
        ? online.foldRanks("0", schedule.share!.tensor, at)
        : online.foldSplits("0", splits, at)),
      ...(binds(dispatch, "class_weight") ? [`let id_of_target = kept_targets[token];`] : []),
      ...(problem.labelSmoothing > 0 ? [`let total_weight = ${totalWeight};`] : []),
      `// What follows from them.`,
      ...online.finish("0"),
      `// ${rows.length} results, a row of all tokens each: ${rows.join(", ")}.`,
      ...rows.flatMap((name) => store(name, values[name]!)),
    ],
  });
}

/**
 * Returns the coefficients of each kept token's gradient, from its results and the upstream
 * gradient. They lie by position, as the matrix kernels read them.
 */
export function coefficientsKernel(context: KernelContext): string {
  const { dispatch, schedule: { problem } } = context;
  const { distill } = problem;
  const stride = tokenStride(problem);
  const upstream = (name: string) =>
    `upstream[${plus(upstreamRows(problem).indexOf(name) * stride, "token")}]`;
  const derivatives: Derivatives<string> = problem.objective === "statistics"
    ? {
      logprob: upstream("logprob"),
      lse: upstream("lse"),
      entropy: upstream("entropy"),
      smoothed: "0f",
    }
    : lossText(
      context,
      upstreamRows(problem).includes("loss") ? upstream("loss") : "1f",
    ).derivatives;
  const four = coefficients(WGSL, { lse: "lse", entropy: "entropy" }, derivatives, totalWeight);
  const pull = WGSL.mul(
    derivatives.divergence ?? "0f",
    WGSL.literal(1 / (distill?.temperature ?? 1)),
  );
  const bounded = binds(dispatch, "gradient_bound");
  const named = bounded ? { a: "a", b: "b", c: "c", d: "d", pull: "pull" } : { ...four, pull };
  const words: Record<CoefficientRow, string> = {
    a: `bitcast<u32>(${named.a})`,
    b: `bitcast<u32>(${named.b})`,
    c: `bitcast<u32>(${named.c})`,
    d: `bitcast<u32>(${named.d})`,
    lse: "bitcast<u32>(lse)",
    target: "id_of_target",
    pull: `bitcast<u32>(${named.pull})`,
    soft_lse: "bitcast<u32>(soft_lse)",
    teacher_lse: "bitcast<u32>(teacher_lse)",
    divergence: "bitcast<u32>(divergence)",
    student_part: "bitcast<u32>(student_part)",
  };
  const ofTeacher = distill ? keptOf(distill).coefficients : [];
  return kernel(dispatch, {
    title: "what the gradient by a token's logits is made of.",
    types: { gradient_bound: "atomic<u32>" },
    workgroup: LANES,
    builtins: ["invocation"],
    body: [
      `let position = invocation.x;`,
      block([`return;`], `if (position >= ${KEPT_COUNT})`),
      `let token = ${plus("params.token_start", keptRow(context, "position"))};`,
      ...(followsTargets(problem)
        ? [
          `let id_of_target = kept_targets[token];`,
          `let lse = ${tokenResult(problem, "lse", "token")};`,
        ]
        : []),
      ...(wantsEntropy(problem)
        ? [`let entropy = ${tokenResult(problem, "entropy", "token")};`]
        : []),
      ...ofTeacher.map((name) => {
        const result = name === "soft_lse" && distill?.temperature === 1 ? "lse" : name;
        return `let ${name} = ${tokenResult(problem, result, "token")};`;
      }),
      ...(bounded
        ? [
          ...(followsTargets(problem)
            ? (["a", "b", "c", "d"] as const).map((name) => `let ${name} = ${four[name]};`)
            : []),
          ...(distill ? [`let pull = ${pull};`] : []),
          `// The largest gradient of a logit there may be, over all tokens: order does not matter.`,
          `let bound = ${
            gradientBound(problem, {
              ...{ a: "a", b: "b", d: "d", lse: "lse", totalWeight, pull: "pull" },
              ...(four.c === "0f" ? {} : { c: "c" }),
            })
          };`,
          `atomicMax(&gradient_bound[0], bitcast<u32>(bound) & 0x7fffffffu);`,
        ]
        : []),
      `// A row of all positions each: ${coefficientRows(problem).join(", ")}.`,
      ...coefficientRows(problem).map((name, row) =>
        `coefficients[${plus(row * stride, inBlocks("position"))}] = ${words[name]};`
      ),
    ],
  });
}

/** Adds the tokens' shares up to the loss; NaN for a mean over no tokens, as in PyTorch. */
export function reduce(context: KernelContext): string {
  const { dispatch, schedule: { problem } } = context;
  if (!hasReducedLoss(problem)) throw new Error("A problem without a reduced loss has no reduce");
  const perChunk = LANES * LANES;
  const loss = problem.reduction === "mean"
    ? `select(sums[0], bitcast<f32>(params.nan), ${total("kept")} == 0u)`
    : "sums[0]";
  return kernel(dispatch, {
    title: "the loss, summed in levels to keep rounding small.",
    memory: [`var<workgroup> sums: array<f32, ${LANES}>;`],
    workgroup: LANES,
    builtins: ["lane"],
    body: [
      `// Each invocation adds up ${LANES} tokens at a time, then these sums.`,
      `var sum = 0f;`,
      block([
        `let last = min(first + ${perChunk}u, ${problem.tokens}u);`,
        `var part = 0f;`,
        block(
          [`part += ${tokenResult(problem, "share", "token")};`],
          `for (var token = first; token < last; token += ${LANES}u)`,
        ),
        `sum += part;`,
      ], `for (var first = lane; first < ${problem.tokens}u; first += ${perChunk}u)`),
      ...sumLanes("sums", "sum", LANES),
      block([`loss[0] = ${loss};`], `if (lane == 0u)`),
    ],
  });
}

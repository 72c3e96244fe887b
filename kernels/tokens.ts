/**
 * Kernels over tokens: which ones count, what their statistics mean, and what
 * they add up to.
 *
 * @module
 */
import {
  coefficients,
  crossEntropy,
  type Derivatives,
  type TokenLoss,
} from "../planner/objective.ts";
import { LINEAR_WORKGROUP } from "../planner/strategies/draft.ts";
import {
  COEFFICIENT_ROWS,
  hasReducedLoss,
  keptHeader,
  type TokenResult,
  tokenResults,
  tokenStride,
  TOTALS,
  upstreamRows,
  wantsEntropy,
} from "../planner/strategies/layout.ts";
import type { Problem } from "../planner/problem.ts";
import { splitsVocabulary, wholeVocab } from "../planner/schedule.ts";
import { KEPT_COUNT, keptRow } from "./logit.ts";
import { OnlineStatistics } from "./online.ts";
import { binds, declarations, indent, type KernelContext, WGSL } from "./wgsl.ts";

const LANES = LINEAR_WORKGROUP;

/** Consecutive tokens that one invocation of `select-tokens` looks at. */
const TOKENS_PER_LANE = 16;

/** Sums `name` over the lanes of a workgroup by halves, in a fixed order; lane 0 has the result. */
function sumLanes(name: string): string {
  return [
    `shared_${name}[lane] = ${name};`,
    ...halves(LANES).flatMap((half) => [
      `workgroupBarrier();`,
      `if (lane < ${half}u) {`,
      `  shared_${name}[lane] += shared_${name}[lane + ${half}u];`,
      `}`,
    ]),
  ].join("\n");
}

function halves(count: number): number[] {
  return count > 1 ? [count / 2, ...halves(count / 2)] : [];
}

/**
 * Lists the rows of the tokens that are not ignored, block by block and in
 * order, and adds up what `mean` divides by. A target outside the vocabulary
 * counts as ignored, so that no kernel reads past a matrix, and is reported.
 */
export function selectTokens(context: KernelContext): string {
  const { dispatch, schedule } = context;
  const { problem, block } = schedule;
  const vocab = wholeVocab(schedule);
  const weighted = binds(dispatch, "class_weight");
  const perChunk = LANES * TOKENS_PER_LANE;
  const total = (name: typeof TOTALS[number]) => `totals[${TOTALS.indexOf(name)}u]`;
  return `// select-tokens: rows of the tokens that are not ignored, and what mean divides by.

${declarations(dispatch, { targets: "i32", class_weight: "f32", kept: "u32", totals: "u32" })}

var<workgroup> counts: array<u32, ${LANES}>;
var<workgroup> shared_weight: array<f32, ${LANES}>;
var<workgroup> shared_bad: array<u32, ${LANES}>;

fn is_kept(token: u32) -> bool {
  let target_id = targets[token];
  return target_id != ${
    wgslInt(problem.ignoreIndex)
  } && target_id >= 0 && u32(target_id) < ${vocab}u;
}

@compute @workgroup_size(${LANES})
fn main(@builtin(local_invocation_index) lane: u32) {
  var kept_total = 0u;
  var weight = 0f;
  var bad = 0xffffffffu;
  for (var block = 0u; block < ${block.count}u; block++) {
    let block_start = block * ${block.tokens}u;
    let block_end = min(block_start + ${block.tokens}u, ${problem.tokens}u);
    var kept_in_block = 0u;
    for (var chunk = block_start; chunk < block_end; chunk += ${perChunk}u) {
      let first = min(chunk + lane * ${TOKENS_PER_LANE}u, block_end);
      let last = min(first + ${TOKENS_PER_LANE}u, block_end);
      var mine = 0u;
      for (var token = first; token < last; token++) {
        if (is_kept(token)) {
          mine++;
          weight += ${weighted ? "class_weight[u32(targets[token])]" : "1f"};
        } else if (targets[token] != ${wgslInt(problem.ignoreIndex)}) {
          bad = min(bad, token);
        }
      }
      // Inclusive prefix sum over the lanes.
      counts[lane] = mine;
      workgroupBarrier();
${
    indent(
      halves(LANES).reverse().map((step) =>
        [
          `var before${step} = 0u;`,
          `if (lane >= ${step}u) {`,
          `  before${step} = counts[lane - ${step}u];`,
          `}`,
          `workgroupBarrier();`,
          `counts[lane] += before${step};`,
          `workgroupBarrier();`,
        ].join("\n")
      ),
      3,
    )
  }
      var position = kept_in_block + counts[lane] - mine;
      for (var token = first; token < last; token++) {
        if (is_kept(token)) {
          kept[${keptHeader(block.count)}u + block_start + position] = token - block_start;
          position++;
        }
      }
      kept_in_block += counts[${LANES - 1}u];
      workgroupBarrier();
    }
    if (lane == 0u) {
      kept[block] = kept_in_block;
    }
    kept_total += kept_in_block;
  }
${indent(sumLanes("weight"))}
  shared_bad[lane] = bad;
  workgroupBarrier();
  if (lane == 0u) {
    for (var other = 1u; other < ${LANES}u; other++) {
      bad = min(bad, shared_bad[other]);
    }
    ${total("kept")} = kept_total;
    ${total("keptWeight")} = bitcast<u32>(shared_weight[0]);
    ${total("badTarget")} = bad + 1u;
  }
  // The sum of all class weights, which label smoothing needs.
  var vocab_weight = 0f;
  for (var id = lane; id < ${weighted ? vocab : 0}u; id += ${LANES}u) {
    vocab_weight += ${weighted ? "class_weight[id]" : "0f"};
  }
  workgroupBarrier();
${indent(sumLanes("weight").replaceAll(" = weight;", " = vocab_weight;"))}
  if (lane == 0u) {
    ${total("totalWeight")} = ${
    weighted ? "bitcast<u32>(shared_weight[0])" : `bitcast<u32>(${WGSL.literal(vocab)})`
  };
  }
}
`;
}

function wgslInt(value: number): string {
  return value === -(2 ** 31) ? "i32(-2147483647 - 1)" : `${value}`;
}

/** What the reduction multiplies the two parts of a token's loss by. */
function reductionScales(problem: Problem): { nllScale: string; zScale: string } {
  return problem.reduction === "mean"
    ? { nllScale: "(1f / bitcast<f32>(totals[1u]))", zScale: "(1f / f32(totals[0u]))" }
    : { nllScale: "1f", zScale: "1f" };
}

/** The objective of a token as text, in terms of variables named as its statistics. */
function crossEntropyText(context: KernelContext, upstream: string): TokenLoss<string> {
  const { dispatch, schedule } = context;
  const { problem } = schedule;
  return crossEntropy(
    WGSL,
    {
      logprob: "logprob",
      lse: "lse",
      entropy: "entropy",
      smoothed: "smoothed",
      targetWeight: binds(dispatch, "class_weight") ? "class_weight[id_of_target]" : "1f",
    },
    { ...reductionScales(problem), upstream },
    { ...problem, vocab: wholeVocab(schedule) },
  );
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
  const rows = tokenResults(problem);
  const at = "params.token_start + position";
  const { loss, share } = crossEntropyText(context, "1f");
  const values: Record<TokenResult, string> = {
    loss: `bitcast<u32>(${loss})`,
    share: `bitcast<u32>(${share})`,
    lse: "bitcast<u32>(lse)",
    logprob: "bitcast<u32>(logprob)",
    entropy: "bitcast<u32>(log_of_sum - weighted0 / sum0)",
    predicted: "argmax0",
  };
  const store = (name: TokenResult, value: string) =>
    `${tokenResult(problem, name, "token")} = ${value};`;
  return `// merge: splits folded into results per token.

${
    declarations(dispatch, {
      kept: "u32",
      targets: "i32",
      partials: "u32",
      totals: "u32",
      class_weight: "f32",
      tokens: "u32",
    })
  }

@compute @workgroup_size(${LANES})
fn main(@builtin(global_invocation_id) invocation: vec3<u32>) {
  let position = invocation.x;
  if (position < params.tokens && targets[${at}] == ${wgslInt(problem.ignoreIndex)}) {
    let token = ${at};
${indent(rows.map((name) => store(name, "0u")), 2)}
  }
  if (position >= ${KEPT_COUNT}) {
    return;
  }
  let token = params.token_start + ${keptRow(context, "position")};
  let id_of_target = u32(targets[token]);
${indent(online.declare("0").replaceAll("; ", ";\n"))}
  for (var split = 0u; split < ${splits}u; split++) {
${indent([online.read("_next", "split", at), online.fold("0", "_next")], 2)}
  }
  let log_of_sum = log(sum0);
  let lse = max0 + log_of_sum;
  // Both differences are small where the logits themselves may be large.
  let logprob = (target0 - max0) - log_of_sum;
${
    online.names.includes("smoothed")
      ? "  let smoothed = smoothed0 - bitcast<f32>(totals[2u]) * lse;\n"
      : ""
  }${indent(rows.map((name) => store(name, values[name])))}
}
`;
}

/** Where a result of a token lies in `tokens`. */
function tokenResult(problem: Problem, name: TokenResult, token: string): string {
  return `tokens[${tokenResults(problem).indexOf(name) * tokenStride(problem)}u + ${token}]`;
}

/**
 * The coefficients of each kept token's gradient, from its results and the
 * upstream gradient. They lie by position, as the matrix kernels read them.
 */
export function coefficientsKernel(context: KernelContext): string {
  const { dispatch, schedule: { problem } } = context;
  const stride = tokenStride(problem);
  const upstream = (name: string) =>
    `upstream[${upstreamRows(problem).indexOf(name) * stride}u + token]`;
  const derivatives: Derivatives<string> = problem.objective === "statistics"
    ? {
      logprob: upstream("logprob"),
      lse: upstream("lse"),
      entropy: upstream("entropy"),
      smoothed: "0f",
    }
    : crossEntropyText(
      context,
      upstreamRows(problem).includes("loss") ? upstream("loss") : "1f",
    ).derivatives;
  const four = coefficients(
    WGSL,
    { lse: "lse", entropy: "entropy" },
    derivatives,
    "bitcast<f32>(totals[2u])",
  );
  const words: Record<typeof COEFFICIENT_ROWS[number], string> = {
    a: `bitcast<u32>(${four.a})`,
    b: `bitcast<u32>(${four.b})`,
    c: `bitcast<u32>(${four.c})`,
    d: `bitcast<u32>(${four.d})`,
    lse: "bitcast<u32>(lse)",
    target: "id_of_target",
  };
  const entropy = wantsEntropy(problem) ? tokenResult(problem, "entropy", "token") : "0f";
  return `// coefficients: what the gradient by a token's logits is made of.

${
    declarations(dispatch, {
      kept: "u32",
      targets: "i32",
      totals: "u32",
      class_weight: "f32",
      upstream: "f32",
      tokens: "f32",
      coefficients: "u32",
    })
  }

@compute @workgroup_size(${LANES})
fn main(@builtin(global_invocation_id) invocation: vec3<u32>) {
  let position = invocation.x;
  if (position >= ${KEPT_COUNT}) {
    return;
  }
  let token = params.token_start + ${keptRow(context, "position")};
  let id_of_target = u32(targets[token]);
  let lse = ${tokenResult(problem, "lse", "token")};
  let entropy = ${entropy};
${
    indent(COEFFICIENT_ROWS.map((name, row) =>
      `coefficients[${row * stride}u + params.token_start + position] = ${words[name]};`
    ))
  }
}
`;
}

/** Adds the tokens' shares up to the loss; NaN for a mean over no tokens, as in PyTorch. */
export function reduce(context: KernelContext): string {
  const { dispatch, schedule: { problem } } = context;
  if (!hasReducedLoss(problem)) throw new Error("A problem without a reduced loss has no reduce");
  const shares = tokenResults(problem).indexOf("share") * tokenStride(problem);
  const loss = problem.reduction === "mean"
    ? "select(shared_total[0], bitcast<f32>(params.nan), totals[0u] == 0u)"
    : "shared_total[0]";
  return `// reduce: the loss, summed in two levels to keep rounding small.

${declarations(dispatch, { tokens: "f32", totals: "u32", loss: "f32" })}

var<workgroup> shared_total: array<f32, ${LANES}>;

@compute @workgroup_size(${LANES})
fn main(@builtin(local_invocation_index) lane: u32) {
  var total = 0f;
  for (var first = lane; first < ${problem.tokens}u; first += ${LANES * LANES}u) {
    var part = 0f;
    let last = min(first + ${LANES * LANES}u, ${problem.tokens}u);
    for (var token = first; token < last; token += ${LANES}u) {
      part += tokens[${shares}u + token];
    }
    total += part;
  }
${indent(sumLanes("total"))}
  if (lane == 0u) {
    loss[0] = ${loss};
  }
}
`;
}

/**
 * Results as numbers: decodes what a schedule's output buffers hold.
 *
 * @module
 */
import {
  hasReducedLoss,
  resultWidth,
  TILE_FLAG,
  tokenResults,
  tokenStride,
  type Total,
  totalIndex,
  TOTALS,
  WORD,
} from "../../planner/schedule/layout.ts";
import { type Problem, vocabOf } from "../../planner/problem.ts";
import type { Slice } from "../../planner/schedule/schedule.ts";
import type { Same } from "../../planner/same.ts";
import {
  RESULT_NAMES,
  type ResultLayout,
  type ResultName,
  RESULTS,
  TOKEN_RESULTS,
  type TokenResultName,
} from "../../planner/schedule/results.ts";
import { tensorName } from "../../planner/schedule/tensors.ts";
import { checkHalves, decodeHalves, type Halves } from "./halves.ts";
import type { Outputs } from "./execute.ts";

/** Results of a run that are about all tokens together. */
export interface Totals {
  /** The reduced loss; `undefined` where the problem has none. NaN for a mean over no tokens. */
  readonly loss: number | undefined;
  /** Tokens that are not ignored. */
  readonly kept: number;
  /** First token whose target is neither in the vocabulary nor the ignored one. */
  readonly badTarget: number | undefined;
  /** What became of values in bf16, where products are in subgroup matrices. */
  readonly halves?: Halves;
}

/** Results of a run. Per-token arrays have one entry per token, 0 where it is ignored. */
export interface Results extends Totals {
  /** Loss before reduction. */
  readonly perToken?: Float32Array;
  /** Log-sum-exp of the logits: the natural logarithm of the softmax's denominator. */
  readonly lse: Float32Array;
  /** Log-probability of the target. */
  readonly logprob: Float32Array;
  /** Entropy of the softmax in nats, where the problem asks for it. */
  readonly entropy?: Float32Array;
  /** Collision probability of the softmax, `Σ p²`, where the problem asks for it. */
  readonly collision?: Float32Array;
  /** Most likely id, the smaller among equals. */
  readonly predicted?: Uint32Array;
  /** `[tokens, K]`: the K most likely ids, the most likely first, the smaller first among equals. */
  readonly topIds?: Uint32Array;
  /** `[tokens, K]`: their log-probabilities. */
  readonly topLogprobs?: Float32Array;
  /** An id that was drawn from the softmax at the problem's `sampleTemperature`. */
  readonly sampled?: Uint32Array;
  /** Its log-probability under the softmax of the logits themselves, as the model says it. */
  readonly sampledLogprob?: Float32Array;
  /**
   * Its log-probability under the softmax that it was drawn from; absent where the temperature is 1, as
   * both are the same.
   */
  readonly samplingLogprob?: Float32Array;
  /** How strong the expert is for the token, from 0 to 2, where the problem fuses heads. */
  readonly strength?: Float32Array;
  /** Divergence from the teacher in nats, where there is one. */
  readonly divergence?: Float32Array;
  /** Log-sum-exp of the teacher's logits over the temperature. */
  readonly teacherLse?: Float32Array;
  /** `[tokens, hidden]`, or an adapter's columns of it. Gradients are absent unless the schedule reads them back. */
  readonly gradHidden?: Float32Array;
  /** `[vocab, hidden]`, likewise. */
  readonly gradWeight?: Float32Array;
  /** `[vocab]`. */
  readonly gradBias?: Float32Array;
  /** Those of a teacher that learns as well, of its own sizes. */
  readonly gradTeacherHidden?: Float32Array;
  /** Likewise. */
  readonly gradTeacherWeight?: Float32Array;
  /** Likewise. */
  readonly gradTeacherBias?: Float32Array;
  /** Share of the tiles of logit gradients that the filter left out; absent without a filter. */
  readonly skippedTiles?: number;
}

true satisfies Same<ResultName, Exclude<keyof Results, keyof Totals | "skippedTiles">>;

/** Decodes what a schedule's `loss` and `totals` buffers hold. */
export function decodeTotals(problem: Problem, outputs: Outputs): Totals {
  const totals = wordsOf(outputs["totals"]!);
  const total = (name: Total) => totals[totalIndex(name)]!;
  const bad = total("badTarget");
  return {
    loss: hasReducedLoss(problem) ? floatsOf(wordsOf(outputs["loss"]!))[0]! : undefined,
    kept: total("kept"),
    badTarget: bad === 0 ? undefined : bad - 1,
    ...decodeHalves(problem, outputs),
  };
}

/**
 * Returns results that may be told.
 *
 * @throws {RangeError} when a target is neither in the vocabulary nor the ignored one.
 * @throws {HalvesError} when halves do not hold the values in bf16 that they were made of.
 */
export function checked<Found extends Totals>(problem: Problem, results: Found): Found {
  checkHalves(results);
  if (results.badTarget === undefined) return results;
  throw new RangeError(
    `The target of token ${results.badTarget} is neither in the vocabulary (0 to ${
      vocabOf(problem) - 1
    }) nor the ignored ${problem.ignoreIndex}`,
  );
}

/** Where the numbers of a result per token lie among the words of `tokens`, and how many a token has. */
function rowsOf(problem: Problem, name: ResultName): { start: number; width: number } | undefined {
  const found: ResultLayout = RESULTS[name];
  if (!("row" in found)) return undefined;
  const row = tokenResults(problem).indexOf(found.row);
  return { start: row * tokenStride(problem), width: resultWidth(problem, found.row) };
}

/** A result that stays on the device: one per token, by its name in {@linkcode Results}; or one of all tokens. */
export type DeviceResult =
  | Exclude<keyof Results, "kept" | "badTarget" | "halves" | "skippedTiles" | `grad${string}`>
  | "totals";
true satisfies Same<DeviceResult, TokenResultName | "loss" | "totals">;

/**
 * Returns where a result lies among a schedule's buffers. Rows of results per token begin at
 * multiples of 256 bytes, so that any device can bind each by itself.
 *
 * @throws {TypeError} where the problem does not have it.
 */
export function resultSlice(problem: Problem, name: DeviceResult): Slice {
  const has = (each: DeviceResult) =>
    each === "totals" ||
    (each === "loss" ? hasReducedLoss(problem) : rowsOf(problem, each)!.width > 0);
  const names = ["loss", "totals", ...TOKEN_RESULTS] as const;
  if (!names.includes(name) || !has(name)) {
    throw new TypeError(
      `The plan has no result "${name}": it has ${names.filter(has).join(", ")}`,
    );
  }
  if (name === "loss") return { buffer: "loss", offset: 0, bytes: WORD };
  if (name === "totals") return { buffer: "totals", offset: 0, bytes: WORD * TOTALS.length };
  const { start, width } = rowsOf(problem, name)!;
  return { buffer: "tokens", offset: WORD * start, bytes: WORD * width * problem.tokens };
}

/** Decodes the outputs of a schedule for a problem, of the first `tokens` where a step had no more. */
export function decodeResults(
  problem: Problem,
  outputs: Outputs,
  tokens: number = problem.tokens,
): Results {
  const arrays: Record<string, Float32Array | Uint32Array> = {};
  for (const name of RESULT_NAMES) {
    const layout: ResultLayout = RESULTS[name];
    const { tensor, type } = layout;
    const head = problem.heads["head" in layout ? layout.head ?? 0 : 0];
    const bytes = head && outputs[tensorName(problem, head, tensor)];
    // Of the only head there is no other.
    if (!bytes) continue;
    const rows = rowsOf(problem, name);
    if (rows && rows.width === 0) continue;
    const all = wordsOf(bytes);
    const words = rows ? all.subarray(rows.start, rows.start + rows.width * tokens) : all;
    arrays[name] = type === "u32" ? words : floatsOf(words);
  }
  const { lse, logprob } = arrays as unknown as Results;
  const flags = outputs["tile_flags"];
  return {
    ...decodeTotals(problem, outputs),
    ...arrays,
    ...{ lse, logprob },
    ...skippedTiles(flags && wordsOf(flags)),
  };
}

function wordsOf(bytes: Uint8Array): Uint32Array {
  return new Uint32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 4);
}

function floatsOf(words: Uint32Array): Float32Array {
  return new Float32Array(words.buffer, words.byteOffset, words.length);
}

/** Tiles without a kept token are flagged neither way, and do not count. */
function skippedTiles(flags: Uint32Array | undefined): { skippedTiles?: number } {
  if (!flags) return {};
  const idle = flags.filter((flag) => flag === TILE_FLAG.idle).length;
  const busy = flags.filter((flag) => flag === TILE_FLAG.busy).length;
  return { skippedTiles: idle + busy === 0 ? 0 : idle / (idle + busy) };
}

/**
 * Results as numbers: decodes what a schedule's output buffers hold.
 *
 * @module
 */
import {
  hasReducedLoss,
  TILE_FLAG,
  type TokenResult,
  tokenResults,
  tokenStride,
  type Total,
  totalIndex,
} from "../../planner/schedule/layout.ts";
import type { Problem } from "../../planner/problem.ts";
import type { Outputs } from "./execute.ts";

/** Results of a run that are about all tokens together. */
export interface Totals {
  /** The reduced loss; `undefined` where the problem has none. NaN for a mean over no tokens. */
  readonly loss: number | undefined;
  /** Tokens that are not ignored. */
  readonly kept: number;
  /** First token whose target is neither in the vocabulary nor the ignored one. */
  readonly badTarget: number | undefined;
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
  /** Most likely id, the smaller among equals. */
  readonly predicted?: Uint32Array;
  /** `[tokens, hidden]`. Gradients are absent unless the schedule reads them back. */
  readonly gradHidden?: Float32Array;
  /** `[vocab, hidden]`. */
  readonly gradWeight?: Float32Array;
  /** `[vocab]`. */
  readonly gradBias?: Float32Array;
  /** Share of the tiles of logit gradients that the filter left out; absent without a filter. */
  readonly skippedTiles?: number;
}

/** Decodes what a schedule's `loss` and `totals` buffers hold. */
export function decodeTotals(problem: Problem, outputs: Outputs): Totals {
  const totals = wordsOf(outputs["totals"]!);
  const total = (name: Total) => totals[totalIndex(name)]!;
  const bad = total("badTarget");
  return {
    loss: hasReducedLoss(problem) ? floatsOf(wordsOf(outputs["loss"]!))[0]! : undefined,
    kept: total("kept"),
    badTarget: bad === 0 ? undefined : bad - 1,
  };
}

/** Decodes the outputs of a schedule for a problem. */
export function decodeResults(problem: Problem, outputs: Outputs): Results {
  const words = (name: string) => outputs[name] && wordsOf(outputs[name]);
  const tokens = words("tokens")!;
  const rows = tokenResults(problem);
  const row = (name: TokenResult) => {
    const index = rows.indexOf(name);
    const start = index * tokenStride(problem);
    return index < 0 ? undefined : tokens.subarray(start, start + problem.tokens);
  };
  const optional = (key: string, array: Uint32Array | undefined) =>
    array ? { [key]: floatsOf(array) } : {};
  const predicted = row("predicted");
  return {
    ...decodeTotals(problem, outputs),
    lse: floatsOf(row("lse")!),
    logprob: floatsOf(row("logprob")!),
    ...optional("perToken", row("loss")),
    ...optional("entropy", row("entropy")),
    ...(predicted ? { predicted } : {}),
    ...optional("gradHidden", words("grad_hidden")),
    ...optional("gradWeight", words("grad_weight")),
    ...optional("gradBias", words("grad_bias")),
    ...skippedTiles(words("tile_flags")),
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

/**
 * A codebook head (VQ-Logits, arXiv 2505.10202): `K` codes stand for the rows of
 * the weight, and every id has the logit of its code.
 *
 * An id's logit never differs from that of another id of the same code, so the
 * softmax over the vocabulary is one over the codes with `log n` added to each,
 * where `n` is how many ids share it: an ordinary linear cross-entropy over `K`
 * rows with a bias, in which the vocabulary does not appear at all.
 *
 * @module
 */
import { bytesPerElement } from "../dtype.ts";
import { headOf, logitsBytes, type Problem } from "../problem.ts";

/** What a codebook takes and costs, beside the head it stands for. Sizes are bytes. */
export interface CodebookHead {
  readonly codes: number;
  /** The linear cross-entropy over the codes that is to be planned. */
  readonly problem: Problem;
  /** The codes, and the map from ids to codes, 4 bytes an id. */
  readonly codebookBytes: number;
  readonly mapBytes: number;
  /** The weight that the codes stand for. */
  readonly weightBytes: number;
  /** f32 logits of the codes, and of the vocabulary. */
  readonly codeLogitsBytes: number;
  readonly logitsBytes: number;
  /**
   * Least loss of a token, in nats, where codes share the ids evenly: ids of one code are equally
   * likely, so none is likelier than one in as many as share it. Of the smallest and the largest
   * share.
   */
  readonly lossFloor: readonly [number, number];
}

/**
 * Options under which the cross-entropy over codes is another than that over ids:
 * `log n` is added before scale and softcap, and the others count or weigh ids.
 */
const OPTIONS_OVER_IDS: readonly [string, (problem: Problem) => boolean][] = [
  ["a softcap", (problem) => headOf(problem).softcap !== undefined],
  ["a logit scale", (problem) => headOf(problem).logitScale !== 1],
  ["a bias", (problem) => headOf(problem).bias],
  ["label smoothing", ({ labelSmoothing }) => labelSmoothing > 0],
  ["a class weight", ({ classWeight }) => classWeight],
  ["the objective statistics", ({ objective }) => objective === "statistics"],
  ["a further statistic", ({ statistics }) => statistics.length > 0],
];

/**
 * Returns the head that stands for a problem's weight.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { headOf, parseProblem } from "../problem.ts";
 *
 * const head = codebookHead(parseProblem({ hidden: 4096, vocab: 256000 }), 4096);
 * assert.equal(headOf(head.problem).vocab, 4096);
 * assert.equal(head.codebookBytes / head.weightBytes, 4096 / 256000);
 * assert.equal(head.lossFloor[0], Math.log(62));
 * ```
 *
 * @throws {RangeError} unless there are from 1 to as many codes as ids, or where an option of the
 *   problem is not what it would be over the codes.
 */
export function codebookHead(problem: Problem, codes: number): CodebookHead {
  const { tokens, pass } = problem;
  const head = headOf(problem);
  const { hidden, vocab, dtype } = head;
  if (!(Number.isInteger(codes) && codes >= 1 && codes <= vocab)) {
    throw new RangeError(`${codes} codes cannot stand for ${vocab} ids: from 1 to ${vocab} can`);
  }
  const option = OPTIONS_OVER_IDS.find(([, differs]) => differs(problem))?.[0];
  if (option) {
    throw new RangeError(
      `${option} is not the same over codes as over ids: plan it without, or without codes`,
    );
  }
  const rowBytes = hidden * bytesPerElement(dtype);
  return {
    codes,
    problem: {
      ...problem,
      heads: [{ ...head, vocab: codes, bias: true }],
      // The bias is counted, not learned.
      ...(pass === "train" ? { gradients: problem.gradients ?? ["hidden", "weight"] } : {}),
    },
    codebookBytes: codes * rowBytes,
    mapBytes: 4 * vocab,
    weightBytes: vocab * rowBytes,
    codeLogitsBytes: logitsBytes({ tokens, vocab: codes }),
    logitsBytes: logitsBytes({ tokens, vocab }),
    lossFloor: [Math.log(Math.floor(vocab / codes)), Math.log(Math.ceil(vocab / codes))],
  };
}

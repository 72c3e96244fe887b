/**
 * A codebook head (VQ-Logits, arXiv 2505.10202): `K` codes stand for the rows of
 * the weight, and every id has the logit of its code.
 *
 * An id's logit never differs from that of another id of the same code, so the
 * softmax over the vocabulary is one over the codes with `log n` added to each,
 * where `n` is how many ids share it: an ordinary linear cross-entropy over `K`
 * rows with a bias, in which the vocabulary does not appear at all. Log-sum-exp and
 * gradients are those over ids; the loss of an id is that of its code and `log n`
 * more, for an id has an `n`-th of its code's probability.
 *
 * @module
 */
import { bytesPerElement } from "../dtype.ts";
import { LARGEST_F32 } from "../dtype.ts";
import { headOf, logitsBytes, type Problem, type Task } from "../problem.ts";

/** The target of a token that is ignored: a problem's own may be the number of a code. */
const NO_CODE = -100;

/** What a codebook takes and costs, beside the head it stands for. Sizes are bytes. */
export interface CodebookHead {
  /** How many codes there are. */
  readonly codes: number;
  /** The linear cross-entropy over the codes that is to be planned. */
  readonly problem: Problem;
  /** The codes. */
  readonly codebookBytes: number;
  /** The map from ids to codes, 4 bytes an id. */
  readonly mapBytes: number;
  /** The weight that the codes stand for. */
  readonly weightBytes: number;
  /** f32 logits of the codes. */
  readonly codeLogitsBytes: number;
  /** f32 logits of the vocabulary. */
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
  [
    "a further statistic",
    ({ statistics, topK, sampleTemperature }) =>
      statistics.length > 0 || topK > 0 || sampleTemperature !== undefined,
  ],
];

/**
 * Returns the head that stands for a problem's weight.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { headOf, parseProblem } from "@lce/lce";
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
  const { tokens } = problem;
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
      ignoreIndex: NO_CODE,
      // The bias is counted, not learned.
      gradients: problem.gradients ?? (head.frozen ? ["hidden"] : ["hidden", "weight"]),
    },
    codebookBytes: codes * rowBytes,
    mapBytes: 4 * vocab,
    weightBytes: vocab * rowBytes,
    codeLogitsBytes: logitsBytes({ tokens, vocab: codes }),
    logitsBytes: logitsBytes({ tokens, vocab }),
    lossFloor: [Math.log(Math.floor(vocab / codes)), Math.log(Math.ceil(vocab / codes))],
  };
}

/** The targets of some tokens over codes. */
export interface CodeTargets {
  /** `[tokens]`: the code of each target, -100 where it is ignored. */
  readonly targets: Int32Array;
  /** `[tokens]`: how much an id's loss exceeds its code's, `log n`, in nats; 0 where it is ignored. */
  readonly shared: Float64Array;
}

/**
 * Which code each id of the vocabulary has.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 *
 * const map = new CodeMap(Int32Array.of(0, 1, 1, 0, 1), 2);
 * assert.deepEqual([...map.bias], [Math.fround(Math.log(2)), Math.fround(Math.log(3))]);
 * const { targets, shared } = map.targets(Int32Array.of(4, -1, 0), -1);
 * assert.deepEqual([...targets], [1, -100, 0]);
 * assert.deepEqual([...shared], [Math.log(3), 0, Math.log(2)]);
 * ```
 */
export class CodeMap {
  /** How many ids each code has. */
  readonly counts: Uint32Array;

  /**
   * Takes the code of each id, and how many codes there are.
   *
   * @throws {RangeError} naming the first id that has none of them.
   */
  constructor(readonly codes: Int32Array, count: number) {
    this.counts = new Uint32Array(count);
    const bad = codes.findIndex((code) => !(code >= 0 && code < count));
    if (bad >= 0) {
      throw new RangeError(`codes[${bad}] is ${codes[bad]}, none of the codes 0 to ${count - 1}`);
    }
    for (const code of codes) this.counts[code]!++;
  }

  /** Returns the bias of each code: `log n`, or the lowest f32 where no id has it. */
  get bias(): Float32Array {
    return Float32Array.from(this.counts, (count) => count === 0 ? -LARGEST_F32 : Math.log(count));
  }

  /**
   * Returns the codes of target ids.
   *
   * @throws {RangeError} naming the first target that is neither an id nor the ignored one.
   */
  targets(ids: Int32Array, ignoreIndex: number): CodeTargets {
    const vocab = this.codes.length;
    const targets = new Int32Array(ids.length).fill(NO_CODE);
    const shared = new Float64Array(ids.length);
    ids.forEach((id, token) => {
      if (id === ignoreIndex) return;
      if (!(id >= 0 && id < vocab)) {
        throw new RangeError(
          `targets[${token}] is ${id}, neither in the vocabulary (0 to ${
            vocab - 1
          }) nor the ignored ${ignoreIndex}`,
        );
      }
      const code = this.codes[id]!;
      targets[token] = code;
      shared[token] = Math.log(this.counts[code]!);
    });
    return { targets, shared };
  }
}

/** Results of which some are others over ids than over codes. */
export interface CodeResults<Numbers> {
  /** The reduced loss. */
  readonly loss?: number | undefined;
  /** Per token, or for each of some rows. */
  readonly perToken?: Numbers | undefined;
  /** Likewise. */
  readonly logprob?: Numbers | undefined;
}

/**
 * Returns results over codes as results over ids; whatever else there is, is the same.
 *
 * @param rows tokens that arrays per token are of: all of them where it is left out.
 *
 * @example On a device: plan over codes, run on the map's bias and targets
 * ```ts
 * import assert from "node:assert/strict";
 * import { deviceProfile, LinearCrossEntropy, parseProblem, plan } from "@lce/lce";
 *
 * const device = await (await navigator.gpu.requestAdapter())!.requestDevice();
 * const map = new CodeMap(Int32Array.of(0, 1, 1, 0, 1, 1, 1), 2);
 * const { problem } = codebookHead(parseProblem({ tokens: 3, hidden: 4, vocab: 7 }), 2);
 * const head = await LinearCrossEntropy.create(device, plan(problem, deviceProfile(device)));
 *
 * const usage = GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_DST;
 * const buffer = (bytes: number) => device.createBuffer({ size: bytes, usage });
 * const weight = buffer(2 * 4 * 4); // the codes
 * const inputs = { hidden: buffer(3 * 4 * 4), weight, targets: buffer(3 * 4), bias: buffer(2 * 4) };
 * const targets = map.targets(Int32Array.of(6, -100, 0), -100);
 * device.queue.writeBuffer(inputs.bias, 0, new Float32Array(map.bias));
 * device.queue.writeBuffer(inputs.targets, 0, new Int32Array(targets.targets));
 * head.forward(inputs);
 * const { loss } = overIds(problem, targets, await head.readResults());
 * assert(Math.abs(loss! - Math.log(7)) < 1e-6); // all logits are zero
 *
 * head.destroy();
 * device.destroy();
 * ```
 *
 * @example By hand
 * ```ts
 * import assert from "node:assert/strict";
 *
 * // One token, two codes of three ids each, all logits equal: each id has a sixth.
 * const targets = { targets: Int32Array.of(0), shared: Float64Array.of(Math.log(3)) };
 * const { loss } = overIds({ reduction: "mean" }, targets, { loss: Math.log(2) });
 * assert(Math.abs(loss - Math.log(6)) < 1e-15);
 * ```
 */
export function overIds<
  Numbers extends Float32Array | Float64Array,
  Results extends CodeResults<Numbers>,
>(
  { reduction }: Pick<Task, "reduction">,
  { targets, shared }: CodeTargets,
  results: Results,
  rows?: Int32Array,
): Results {
  const { loss, perToken, logprob } = results;
  const more = (index: number) => shared[rows ? rows[index]! : index]!;
  const total = shared.reduce((sum, each) => sum + each, 0);
  const kept = targets.reduce((count, code) => code === NO_CODE ? count : count + 1, 0);
  return {
    ...results,
    ...(loss === undefined ? {} : { loss: loss + (reduction === "mean" ? total / kept : total) }),
    ...(perToken && { perToken: perToken.map((each, index) => each + more(index)) }),
    ...(logprob && { logprob: logprob.map((each, index) => each - more(index)) }),
  };
}

/**
 * What an objective of the caller's own is: a loss on the log-probabilities of tokens, with its
 * derivative by each. A plan with the objective `statistics` gives the log-probabilities in
 * `forward()` and turns the derivatives into gradients in `backward()`; no kernel knows any of
 * them. All arithmetic here is in float64, on one or two numbers a token.
 *
 * An objective is a file of its own: a term of each token ({@linkcode overTokens}), or of each
 * group of answers ({@linkcode overAnswers}).
 *
 * @module
 */

/** What a forward pass gave of each token: results of a plan with the objective `statistics`. */
export interface TokenValues {
  /** `[tokens]`: log-probability of the target. */
  readonly logprob: ArrayLike<number>;
  /** `[tokens]`: entropy of the softmax in nats, for objectives that go by it. */
  readonly entropy?: ArrayLike<number> | undefined;
}

/** A loss with its derivatives. */
export interface Differentiated {
  /** The loss. */
  readonly loss: number;
  /** `[tokens]` each: its derivatives by what a forward pass gives, as `packUpstream` takes them. */
  readonly upstream: Readonly<Record<"logprob" | "lse" | "entropy", Float64Array>>;
}

/**
 * An objective: from what a forward pass gave, what else it must know and its settings to a loss.
 *
 * @example A step of a policy
 * ```ts
 * import assert from "node:assert/strict";
 * import {
 *   deviceProfile,
 *   grpo,
 *   LinearCrossEntropy,
 *   packUpstream,
 *   parseProblem,
 *   plan,
 * } from "@lce/lce";
 *
 * const device = await (await navigator.gpu.requestAdapter())!.requestDevice();
 * const sizes = { tokens: 4, hidden: 4, vocab: 8 };
 * const problem = parseProblem({ ...sizes, pass: "train", objective: "statistics" });
 * const head = await LinearCrossEntropy.create(device, plan(problem, deviceProfile(device)));
 *
 * const usage = GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_DST;
 * const buffer = (size: number) => device.createBuffer({ size, usage });
 * const inputs = { hidden: buffer(4 * 4 * 4), weight: buffer(8 * 4 * 4), targets: buffer(4 * 4) };
 * const gradients = { hidden: buffer(4 * 4 * 4), weight: buffer(8 * 4 * 4) };
 *
 * // Log-probabilities come back, one number a token; derivatives go there.
 * head.forward(inputs);
 * const values = await head.readResults();
 * const { loss, upstream } = grpo(values, {
 *   answers: [{ tokens: [0, 3], advantage: 1 }, { tokens: [3, 4], advantage: -0.5 }],
 *   sampled: values.logprob,
 *   reference: values.logprob,
 * });
 * assert.equal(loss, -0.25); // on the policy that sampled
 * const packed = packUpstream(problem, upstream);
 * const derivatives = buffer(packed.byteLength);
 * device.queue.writeBuffer(derivatives, 0, packed);
 * head.backward(inputs, gradients, derivatives);
 *
 * head.destroy();
 * device.destroy();
 * ```
 */
export type Objective<Batch, Options> = (
  values: TokenValues,
  batch: Batch,
  options?: Options,
) => Differentiated;

/** Tokens of an answer, which follow each other: from the first to before the last. */
export type Span = readonly [start: number, end: number];

/** What a token adds to a loss, and the derivatives of that. */
export interface TokenTerm {
  readonly loss: number;
  readonly logprob: number;
  readonly entropy?: number;
}

/** Log-probability of an answer: the sum of its tokens', and how many these are. */
export interface AnswerValue {
  readonly sum: number;
  readonly length: number;
}

/** What a group of answers adds to a loss, and its derivative by the sum of each. */
export interface AnswersTerm {
  readonly loss: number;
  readonly slopes: readonly number[];
}

/**
 * Returns the loss that is a sum of the tokens' own terms, of each token of some spans.
 *
 * @throws {RangeError} when a span is empty or reaches past the tokens.
 */
export function overTokens<Item extends { readonly tokens: Span }>(
  { logprob }: TokenValues,
  items: readonly Item[],
  term: (token: number, item: Item) => TokenTerm,
): Differentiated {
  const { upstream } = nothing(logprob.length);
  let loss = 0;
  for (const item of items) {
    checkSpan(item.tokens, logprob.length);
    for (let token = item.tokens[0]; token < item.tokens[1]; token++) {
      const added = term(token, item);
      loss += added.loss;
      upstream.logprob[token]! += added.logprob;
      upstream.entropy[token]! += added.entropy ?? 0;
    }
  }
  return { loss, upstream };
}

/**
 * Returns the loss that is a mean over groups of answers, of a term that goes by the
 * log-probability of each whole answer.
 *
 * @throws {RangeError} when a span is empty or reaches past the tokens.
 */
export function overAnswers<Group>(
  { logprob }: TokenValues,
  groups: readonly Group[],
  answersOf: (group: Group) => readonly Span[],
  term: (answers: readonly AnswerValue[], group: Group) => AnswersTerm,
): Differentiated {
  const { upstream } = nothing(logprob.length);
  let loss = 0;
  for (const group of groups) {
    const answers = answersOf(group);
    const { loss: added, slopes } = term(answers.map((span) => valueOf(logprob, span)), group);
    loss += added / groups.length;
    for (const [index, [start, end]] of answers.entries()) {
      for (let token = start; token < end; token++) {
        upstream.logprob[token]! += slopes[index]! / groups.length;
      }
    }
  }
  return { loss, upstream };
}

function nothing(tokens: number): Differentiated {
  const zeros = () => new Float64Array(tokens);
  return { loss: 0, upstream: { logprob: zeros(), lse: zeros(), entropy: zeros() } };
}

function valueOf(logprob: ArrayLike<number>, span: Span): AnswerValue {
  checkSpan(span, logprob.length);
  let sum = 0;
  for (let token = span[0]; token < span[1]; token++) sum += logprob[token]!;
  return { sum, length: span[1] - span[0] };
}

function checkSpan([start, end]: Span, tokens: number): void {
  if (Number.isInteger(start) && Number.isInteger(end) && 0 <= start && start < end) {
    if (end <= tokens) return;
  }
  throw new RangeError(
    `Cannot take an answer of the tokens ${start} to ${end}: give its first and the one behind its last, of ${tokens}`,
  );
}

/** Returns an array of one number a token, if it is one. */
export function perToken(
  name: string,
  values: ArrayLike<number> | undefined,
  tokens: number,
): ArrayLike<number> {
  if (values?.length === tokens) return values;
  throw new RangeError(
    `Cannot go by ${name} of ${values?.length ?? 0} tokens: give a number for each of ${tokens}`,
  );
}

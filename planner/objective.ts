/**
 * Objectives: pure functions from a token's statistics to its loss and to the
 * derivatives of the loss by those statistics. They are written once, over an
 * abstract arithmetic, so that the same lines become WGSL in the merge kernel
 * and numbers in a test.
 *
 * Every objective on (logprob, lse, entropy, smoothed) has the same gradient in
 * logit space, `dz_v = p_v (a + c z_v) + b [v = y] + d u_v`; {@linkcode coefficients}
 * turns the derivatives into those four numbers, so no kernel knows an objective.
 *
 * @module
 */

/** The arithmetic that an objective is written in. */
export interface Arithmetic<T> {
  literal(value: number): T;
  add(a: T, b: T): T;
  sub(a: T, b: T): T;
  mul(a: T, b: T): T;
}

/** Ordinary numbers. */
export const FLOAT64: Arithmetic<number> = {
  literal: (value) => value,
  add: (a, b) => a + b,
  sub: (a, b) => a - b,
  mul: (a, b) => a * b,
};

/**
 * What a streamed pass knows of one token: with logits `z`, softmax `p`, target
 * `y` and class weights `u` (1 where there are none),
 * `lse = log sum exp z`, `logprob = z_y - lse`, `entropy = -sum p log p`,
 * `smoothed = sum u_v (z_v - lse)` and `targetWeight = u_y`.
 */
export interface TokenStatistics<T> {
  logprob: T;
  lse: T;
  entropy: T;
  smoothed: T;
  targetWeight: T;
}

/** A token's statistics with its divergence from a teacher. */
export interface TaughtStatistics<T> extends TokenStatistics<T> {
  divergence: T;
}

/** Derivatives of the reduced loss by each statistic of a token. */
export interface Derivatives<T> {
  logprob: T;
  lse: T;
  entropy: T;
  smoothed: T;
  /** From a teacher; left out where there is none. */
  divergence?: T;
}

/** What an objective says of one token. */
export interface TokenLoss<T> {
  /** The token's loss before reduction. */
  loss: T;
  /** The token's share of the reduced loss. */
  share: T;
  /** Derivatives of the reduced loss, upstream gradient included. */
  derivatives: Derivatives<T>;
}

/** The options that cross-entropy depends on. */
export interface CrossEntropyOptions {
  labelSmoothing: number;
  zLoss: number;
  vocab: number;
}

/**
 * Returns cross-entropy as PyTorch defines it, with label smoothing `s` and class weights, plus
 * `zLoss * lse^2` (PaLM, arXiv 2204.02311, section 5).
 *
 * `nllScale` and `zScale` are what the reduction multiplies the two parts by:
 * under `mean` one over the kept weights, and one over the kept tokens.
 */
export function crossEntropy<T>(
  { literal, add, mul }: Arithmetic<T>,
  token: TokenStatistics<T>,
  reduction: { nllScale: T; zScale: T; upstream: T },
  { labelSmoothing, zLoss, vocab }: CrossEntropyOptions,
): TokenLoss<T> {
  const zero = literal(0);
  const sharp = mul(literal(labelSmoothing - 1), token.targetWeight);
  const flat = literal(-labelSmoothing / vocab);
  const nll = labelSmoothing === 0
    ? mul(sharp, token.logprob)
    : add(mul(sharp, token.logprob), mul(flat, token.smoothed));
  const z = zLoss === 0 ? zero : mul(literal(zLoss), mul(token.lse, token.lse));
  const nllGradient = mul(reduction.upstream, reduction.nllScale);
  const zGradient = mul(reduction.upstream, reduction.zScale);
  return {
    loss: zLoss === 0 ? nll : add(nll, z),
    share: zLoss === 0
      ? mul(nll, reduction.nllScale)
      : add(mul(nll, reduction.nllScale), mul(z, reduction.zScale)),
    derivatives: {
      logprob: mul(nllGradient, sharp),
      lse: zLoss === 0 ? zero : mul(zGradient, mul(literal(2 * zLoss), token.lse)),
      entropy: zero,
      smoothed: labelSmoothing === 0 ? zero : mul(nllGradient, flat),
    },
  };
}

/** What the parts of a loss that has a teacher count. */
export interface DistillWeights {
  weight: number;
  ceWeight: number;
}

/**
 * Returns cross-entropy beside the divergence from a teacher: `ceWeight` times one and `weight`
 * times the other. A mean of the divergence is over the kept tokens, whatever their classes weigh.
 */
export function distilled<T>(
  arithmetic: Arithmetic<T>,
  token: TaughtStatistics<T>,
  reduction: { nllScale: T; zScale: T; upstream: T },
  { weight, ceWeight, ...options }: CrossEntropyOptions & DistillWeights,
): TokenLoss<T> {
  const { literal, add, mul } = arithmetic;
  const alone = crossEntropy(arithmetic, token, reduction, options);
  const scaled = (value: T) => mul(literal(ceWeight), value);
  const divergence = mul(literal(weight), token.divergence);
  const { logprob, lse, entropy, smoothed } = alone.derivatives;
  return {
    loss: add(scaled(alone.loss), divergence),
    share: add(scaled(alone.share), mul(divergence, reduction.zScale)),
    derivatives: {
      logprob: scaled(logprob),
      lse: scaled(lse),
      entropy: scaled(entropy),
      smoothed: scaled(smoothed),
      divergence: mul(mul(reduction.upstream, reduction.zScale), literal(weight)),
    },
  };
}

/** The four numbers of a token that the logit-gradient kernel needs. */
export interface Coefficients<T> {
  a: T;
  b: T;
  c: T;
  d: T;
}

/**
 * Returns the chain rule from a token's statistics to its logits, with `B = E_p[z] = lse - entropy`
 * and `U = sum u_v`: d logprob/dz = [v=y] - p, d lse/dz = p, d entropy/dz = -p (z - B), d
 * smoothed/dz = u - U p.
 */
export function coefficients<T>(
  { literal, add, sub, mul }: Arithmetic<T>,
  token: Pick<TokenStatistics<T>, "lse" | "entropy">,
  by: Derivatives<T>,
  totalWeight: T,
): Coefficients<T> {
  const zero = literal(0);
  return {
    a: add(
      sub(by.lse, by.logprob),
      sub(mul(by.entropy, sub(token.lse, token.entropy)), mul(totalWeight, by.smoothed)),
    ),
    b: by.logprob,
    c: sub(zero, by.entropy),
    d: by.smoothed,
  };
}

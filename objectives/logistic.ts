/**
 * The logistic function and its logarithm, of any number: no exponential overflows.
 *
 * @module
 */

/** Returns `1 / (1 + exp(-x))`. */
export function sigmoid(x: number): number {
  return x < 0 ? Math.exp(x) / (1 + Math.exp(x)) : 1 / (1 + Math.exp(-x));
}

/** Returns `-log sigmoid(x)`, which is `log(1 + exp(-x))`. */
export function logisticLoss(x: number): number {
  return Math.max(-x, 0) + Math.log1p(Math.exp(-Math.abs(x)));
}

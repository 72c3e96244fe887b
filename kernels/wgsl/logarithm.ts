/**
 * A logarithm that WGSL does not have.
 *
 * @module
 */

/** `log(1 + x)` for `x` from -1/2 to 1, where the sum would drop most of a small `x`. */
export const LOG_OF_ONE_AND =
  `// log(1 + x) for x from -1/2 to 1, as 2 artanh(x / (2 + x)): eight terms are exact to f32.
fn log_of_one_and(x: f32) -> f32 {
  let s = x / (2f + x);
  let q = s * s;
  return 2f * s * ${
    [3, 5, 7, 9, 11, 13].reduceRight((inner, n) => `(1f / ${n}f + q * ${inner})`, "(1f / 15f)")
      .replace(/^/, "(1f + q * ")
  });
}`;

/**
 * Gradients of two losses of the same parameters, combined: what the second would undo of the first
 * is left out.
 *
 * Dual-head distillation (DHKD, https://github.com/penghui-yang/DHKD, commit 7976c69,
 * `OptimGradAlign`) trains a backbone by the cross-entropy of one head and the divergence of another
 * from a teacher so. It takes all parameters together for one group; PCGrad (arXiv 2001.06782), of
 * which it is the half that never changes the first, takes them likewise.
 *
 * @module
 */

/** Two gradients, combined. */
export interface AlignedGradients {
  /** Their sum, an array for each that was given. */
  readonly gradients: Float64Array[];
  /** The inner product of both, over all arrays. */
  readonly inner: number;
  /** What is added to the second of the first, in multiples of it: 0 where they agree. */
  readonly share: number;
}

/**
 * Returns `g_0 + g_1`, after `g_1 := g_1 - (g_1 · g_0) / |g_0|² g_0` where `g_1 · g_0 < 0`: what of
 * the second gradient points against the first is taken away, and nothing of the first.
 *
 * Inner products are over all arrays of a call, which are one group of parameters: give those of
 * every parameter that both losses reach, as DHKD does, or those of one layer at a time. The same
 * on a device, without reading anything back, is {@linkcode GradientAlignment}.
 *
 * @param main the gradient of the loss that leads, such as the cross-entropy of the first head: one
 *   array for each tensor.
 * @param other that of the other loss, such as the divergence of a second head from a teacher: as
 *   many, of the same lengths.
 * @throws {RangeError} where they differ in number or length.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * const { gradients, share } = alignGradients([[1, 0]], [[-2, 3]]);
 * assert.deepEqual([...gradients[0]!], [1, 3]); // (-2, 3) less what is against (1, 0)
 * assert.equal(share, 2);
 * assert.deepEqual([...alignGradients([[1, 0]], [[2, 3]]).gradients[0]!], [3, 3]);
 * ```
 */
export function alignGradients(
  main: readonly ArrayLike<number>[],
  other: readonly ArrayLike<number>[],
): AlignedGradients {
  if (main.length !== other.length) {
    throw new RangeError(
      `Cannot align ${other.length} gradients with ${main.length}: give one of each tensor from both losses`,
    );
  }
  let [inner, square] = [0, 0];
  main.forEach((values, tensor) => {
    const others = other[tensor]!;
    if (values.length !== others.length) {
      throw new RangeError(
        `Cannot align gradient ${tensor}, of ${others.length} elements, with one of ${values.length}: both must be of the same tensor`,
      );
    }
    for (let index = 0; index < values.length; index++) {
      inner += values[index]! * others[index]!;
      square += values[index]! ** 2;
    }
  });
  // Squares of what is tiny may be 0, where the inner product is not.
  const share = inner < 0 && square > 0 ? -inner / square : 0;
  return {
    gradients: main.map((values, tensor) =>
      Float64Array.from(
        { length: values.length },
        (_, index) => (1 + share) * values[index]! + other[tensor]![index]!,
      )
    ),
    inner,
    share,
  };
}

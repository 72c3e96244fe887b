/**
 * Arrays one behind the other.
 *
 * @module
 */

/** An array of numbers of one type. */
interface Numbers {
  readonly length: number;
  set(from: ArrayLike<number>, at: number): void;
}

/** Returns some arrays, one behind the other, in a new one of the type given. */
export function concatenated<Of extends Numbers>(
  type: new (length: number) => Of,
  parts: readonly ArrayLike<number>[],
): Of {
  const whole = new type(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

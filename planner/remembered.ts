/**
 * What follows from a problem or a question alone, and is asked for again and again.
 *
 * @module
 */

/** Returns a function that derives something from an object once, and from then on remembers it. */
export function remembered<Of extends object, Derived>(
  derive: (of: Of) => Derived,
): (of: Of) => Derived {
  const known = new WeakMap<Of, Derived>();
  return (of) => {
    let derived = known.get(of);
    if (derived === undefined) known.set(of, derived = derive(of));
    return derived;
  };
}

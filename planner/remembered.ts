/**
 * What follows from a problem alone, and is asked for by each of a search's sketches.
 *
 * @module
 */
import type { Problem } from "./problem.ts";

/** Returns a function that derives something from a problem once, and from then on remembers it. */
export function remembered<Derived>(
  derive: (problem: Problem) => Derived,
): (problem: Problem) => Derived {
  const known = new WeakMap<Problem, Derived>();
  return (problem) => {
    let derived = known.get(problem);
    if (derived === undefined) known.set(problem, derived = derive(problem));
    return derived;
  };
}

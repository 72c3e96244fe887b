/**
 * Types that are written twice, once for people and once as a schema that checks
 * them: a line says that both are the same, and compiles only where they are.
 *
 * @module
 */

/** A type with everything in it read-only, and fields that may be left out free to be `undefined`. */
type Plain<T> = T extends readonly (infer Element)[] ? readonly Plain<Element>[]
  : T extends object ? { readonly [Name in keyof T]: Plain<T[Name]> }
  : T;

/** Whether each of two types serves for the other, field by field. */
export type Same<A, B> = [keyof A, keyof B, Plain<A>, Plain<B>] extends
  [keyof B, keyof A, Plain<B>, Plain<A>] ? true
  : false;

/** A type of which every field may be left out. */
export type Loose<T> = { readonly [Name in keyof T]?: T[Name] | undefined };

/**
 * Values of a user's files and flags, as messages show them.
 *
 * @module
 */

/**
 * Returns the value as JSON would have it, cut where it is long; numbers that JSON lacks by
 * their names.
 */
export function shown(value: unknown, most = 80): string {
  if (typeof value === "number") return `${value}`;
  let text: string;
  try {
    text = JSON.stringify(value) ?? String(value);
  } catch {
    // An alias of YAML can make a value hold itself.
    return "a value that holds itself";
  }
  return text.length > most ? `${text.slice(0, most)}...` : text;
}

/**
 * Text as shells read it.
 *
 * @module
 */

/** Returns a text in single quotes, for bash and zsh. */
export function quote(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}

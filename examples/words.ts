/**
 * Words as ids.
 *
 * @module
 */

/** Returns the words of a text, in lower case, punctuation marks as words of their own. */
export function wordsOf(text: string): string[] {
  return text.toLowerCase().match(/\p{L}+|[.,;!?]/gu) ?? [];
}

/** Words as ids, the most frequent first; rarer ones than the vocabulary holds share the last id. */
export function encodeWords(words: readonly string[], vocab: number): Int32Array {
  const counts = Map.groupBy(words, (word) => word);
  const frequent = [...counts].sort(([, a], [, b]) => b.length - a.length).slice(0, vocab - 1);
  const ids = new Map(frequent.map(([word], id) => [word, id]));
  return Int32Array.from(words, (word) => ids.get(word) ?? vocab - 1);
}

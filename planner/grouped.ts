/**
 * Grouping, which runtimes that the package is for have had by itself only lately.
 *
 * @module
 */

/** Returns items by a key of theirs, both in the order of first appearance: `Map.groupBy`, which Node 20 lacks. */
export function grouped<Key, Item>(
  items: Iterable<Item>,
  keyOf: (item: Item) => Key,
): Map<Key, Item[]> {
  const groups = new Map<Key, Item[]>();
  for (const item of items) {
    const key = keyOf(item);
    const group = groups.get(key);
    if (group) group.push(item);
    else groups.set(key, [item]);
  }
  return groups;
}

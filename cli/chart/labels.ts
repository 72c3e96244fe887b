/**
 * Labels that stay apart.
 *
 * @module
 */

/**
 * Returns the positions nearest to the wanted ones (by least squares) that are at least `gap`
 * apart, in the same order, and between `low` and `high`; where there is no room for that, the
 * labels run past `high`. Solved as an isotonic regression by pooling adjacent violators (Barlow et
 * al., 1972).
 */
export function spread(
  wanted: readonly number[],
  gap: number,
  [low, high]: readonly [number, number],
): number[] {
  const order = wanted.map((_, index) => index).sort((a, b) => wanted[a]! - wanted[b]!);
  const blocks: { sum: number; count: number }[] = [];
  order.forEach((index, rank) => {
    let block = { sum: wanted[index]! - rank * gap, count: 1 };
    let before = blocks.at(-1);
    while (before && before.sum / before.count >= block.sum / block.count) {
      block = { sum: before.sum + block.sum, count: before.count + block.count };
      blocks.pop();
      before = blocks.at(-1);
    }
    blocks.push(block);
  });
  const room = Math.max(low, high - (wanted.length - 1) * gap);
  const means = blocks.flatMap(({ sum, count }) => Array<number>(count).fill(sum / count));
  const placed = new Array<number>(wanted.length);
  order.forEach((index, rank) =>
    placed[index] = Math.min(room, Math.max(low, means[rank]!)) + rank * gap
  );
  return placed;
}

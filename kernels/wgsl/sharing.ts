/**
 * How the statistics of a row become one set: the invocations that have a part
 * of it hand their sets over in workgroup memory, in a fixed order.
 *
 * @module
 */
import type { Scratch } from "./product.ts";
import type { OnlineStatistics, Quads } from "./statistics.ts";
import { block, type Index, minus, modulo, over, plus, scaled, times } from "./text.ts";

/** The invocations that have results of the same row. */
interface Sharers {
  /** How many there are. */
  readonly count: number;
  /** Which of them an invocation is, from 0. */
  readonly index: string;
}

/** Some slots of a table that lie in one piece of memory. */
interface Region {
  readonly first: number;
  readonly slots: number;
  readonly scratch: Scratch;
  /** Lines of memory that one vec4 of each row takes. */
  readonly lines: number;
}

/**
 * Workgroup memory as a table: a row for each row of a tile, and slots in it that
 * hold a set of statistics each. Neighbouring rows lie in neighbouring lines, as
 * the operands of a product do.
 */
class Table {
  readonly #regions: Region[] = [];
  readonly slots: number;

  constructor(scratch: readonly Scratch[], rows: number, private readonly quads: number) {
    let first = 0;
    for (const piece of scratch) {
      const lines = Math.ceil(rows / piece.width);
      const slots = Math.floor(piece.height / (lines * quads));
      if (slots > 0) this.#regions.push({ first, slots, scratch: piece, lines });
      first += slots;
    }
    this.slots = first;
  }

  #quads({ scratch, lines }: Region, row: Index, slot: Index): Quads {
    const line = (quad: number) =>
      plus(
        typeof slot === "number"
          ? (slot * this.quads + quad) * lines
          : plus(scaled(slot, this.quads * lines), quad * lines),
        lines === 1 ? 0 : modulo(row, lines),
      );
    const column = over(row, lines);
    return {
      read: (quad) => scratch.read(line(quad), column),
      write: (quad, value) => scratch.write(line(quad), column, value),
    };
  }

  /** Returns the vec4s of a slot of a row. */
  at(row: Index, slot: number): Quads {
    const region = this.#regions.find(({ first, slots }) => slot < first + slots)!;
    return this.#quads(region, row, slot - region.first);
  }

  /** Returns a statement for each of the first `count` slots of a row, in their order. */
  all(row: Index, count: number, statement: (at: Quads) => string): string[] {
    return this.#regions.flatMap((region) => {
      const slots = Math.min(region.slots, count - region.first);
      if (slots <= 0) return [];
      return block(
        [statement(this.#quads(region, row, "slot"))],
        `for (var slot = 0u; slot < ${slots}u; slot++)`,
      );
    });
  }

  /**
   * Returns statements for the invocations from the `from`-th of some sharers to before the
   * `to`-th, each with a slot of its own, counted from the first of them.
   */
  each(
    { count, index }: Sharers,
    from: number,
    to: number,
    statements: (at: (row: Index) => Quads) => readonly string[],
  ): string[] {
    return this.#regions.flatMap((region) => {
      const [first, last] = [from + region.first, Math.min(to, from + region.first + region.slots)];
      if (first >= last) return [];
      const bounds = [
        ...(first > 0 ? [`${index} >= ${first}u`] : []),
        ...(last < count ? [`${index} < ${last}u`] : []),
      ];
      const text = statements((row) => this.#quads(region, row, minus(index, first)));
      return bounds.length === 0 ? text : [block(text, `if (${bounds.join(" && ")})`)];
    });
  }
}

/** What of a set goes through workgroup memory at a time. */
type Part = OnlineStatistics["parts"][number];

/** The rows of an invocation, and what it shares them with. */
export interface Shared {
  /** The set of each of the invocation's rows, and the row of the tile that it belongs to. */
  readonly sets: readonly { readonly set: string; readonly row: Index }[];
  readonly sharers: Sharers;
  /** Rows of the tile. */
  readonly rows: number;
  readonly scratch: readonly Scratch[];
}

/**
 * Returns statements that halve the sharers until `until` are left, each with what others had in
 * its sets.
 */
function halve(online: OnlineStatistics, table: Table, shared: Shared, until: number): string[] {
  const { sets, sharers } = shared;
  const lines: string[] = [];
  let left = sharers.count;
  while (left > until) {
    const half = Math.ceil(left / 2);
    const handOver = (from: number, part: Part) => {
      const count = Math.min(table.slots, left - half - from);
      lines.push(
        ...table.each(
          sharers,
          half + from,
          half + from + count,
          (at) => sets.flatMap(({ set, row }) => online.store(set, at(row), part)),
        ),
        `workgroupBarrier();`,
        ...table.each(
          sharers,
          from,
          from + count,
          (at) => sets.map(({ set, row }) => takeIn(online, set, at(row), part)),
        ),
        `workgroupBarrier();`,
      );
    };
    for (let from = 0; from < left - half; from += table.slots) {
      for (const part of online.parts) handOver(from, part);
    }
    left = half;
  }
  return lines;
}

/** Folds all sets of a row into that of the first of its sharers. */
export function foldIntoFirst(online: OnlineStatistics, shared: Shared): string[] {
  const table = new Table(shared.scratch, shared.rows, online.quads);
  return halve(online, table, shared, 1);
}

/** What becomes of a row's statistics once they are one set. */
export interface Folded {
  /** Invocations of the workgroup. */
  readonly workgroup: number;
  /** The set that they are folded into, which is declared. */
  readonly into: string;
  /** Names what `wanted` and `then` need of a row. */
  readonly names: (row: string) => readonly string[];
  /** Whether a row is of use. */
  readonly wanted: string;
  /** What to do with the set. */
  readonly then: readonly string[];
}

/** Folds all sets of each row into one, by an invocation for each row. */
export function foldByRow(online: OnlineStatistics, shared: Shared, folded: Folded): string[] {
  const { sets, sharers, rows, scratch } = shared;
  const { workgroup, into, names, wanted, then } = folded;
  const table = new Table(scratch, rows, online.quads);
  const left = fitting(sharers.count, table.slots);
  const passes = times(Math.ceil(rows / workgroup), (pass) => pass * workgroup);
  const pass = (first: number) => {
    const row = plus("lane", first);
    const inTile = first + workgroup > rows ? `${row} < ${rows}u && ` : "";
    return { row, condition: `if (${inTile}${wanted})` };
  };
  const toMemory = (part: Part) => [
    ...table.each(
      sharers,
      0,
      left,
      (at) => sets.flatMap(({ set, row }) => online.store(set, at(row), part)),
    ),
    `workgroupBarrier();`,
  ];
  // Lists make long text of a set: one for all slots, and not one for each.
  const takenIn = (row: Index, part: Part) =>
    online.parts.length === 1
      ? times(left, (slot) => takeIn(online, into, table.at(row, slot), part))
      : table.all(row, left, (at) => takeIn(online, into, at, part));
  return [
    ...(left < sharers.count
      ? [
        `// Workgroup memory has room for ${left} of a row's sets: the others hand theirs over first.`,
        ...halve(online, table, shared, left),
      ]
      : []),
    ...(online.parts.length === 1
      ? [
        `// Each set goes to workgroup memory: by row, and by sharer of the row.`,
        ...toMemory(online.parts[0]!),
        `// Now each row has an invocation of its own, which folds its sets in their order.`,
        ...passes.flatMap((first) => {
          const { row, condition } = pass(first);
          const lines = [
            ...names(row),
            block([
              ...online.declare(into),
              ...takenIn(row, online.parts[0]!),
              ...then,
            ], condition),
          ];
          return passes.length === 1 ? lines : [block(lines)];
        }),
      ]
      : [
        `// Each set goes to workgroup memory part by part, and there each row has an invocation of`,
        `// its own, which folds its sets in their order.`,
        ...passes.map((first) => {
          const { row, condition } = pass(first);
          return block([
            ...names(row),
            ...online.declare(into),
            ...online.parts.flatMap((part) => [
              ...toMemory(part),
              block(takenIn(row, part), condition),
              `workgroupBarrier();`,
            ]),
            block(then, condition),
          ]);
        }),
      ]),
  ];
}

/** Returns how many are left of some sharers when they have been halved until they fit. */
function fitting(count: number, slots: number): number {
  return count <= slots ? count : fitting(Math.ceil(count / 2), slots);
}

function takeIn(online: OnlineStatistics, into: string, at: Quads, part: Part): string {
  return block([...online.load("_other", at, part), ...online.fold(into, "_other", part)]);
}

/**
 * Columns of text, within a width.
 *
 * @module
 */
import { longestWord, wrap } from "./wrap.ts";

/** Which side the cells of a column keep to. */
export type Align = "left" | "right";

/** How wide a table may be, and what it does about that. */
export interface Layout {
  /** Most characters of a line; as many as it takes unless told. */
  readonly width?: number | undefined;
  /** Leading columns that say what a row is about: repeated where a table is cut in parts. */
  readonly keys?: number;
}

type Rows = readonly (readonly string[])[];

/** Blanks between columns. */
const GAP = 2;

/** A column of words is not made narrower than this: ragged text is hard to read. */
const LEAST_WORDS = 24;

/**
 * Returns lines of aligned columns, two spaces apart. Where they do not fit the width, columns of
 * words take several lines; where that does not do, the columns come in parts, one below the other,
 * with an empty line between.
 */
export function table(
  rows: Rows,
  align: readonly Align[] = [],
  { width = Infinity, keys = 1 }: Layout = {},
): string {
  const columns = rows.reduce((most, row) => Math.max(most, row.length), 0);
  const all = Array.from({ length: columns }, (_, column) => columnOf(rows, column, align));
  return partsOf(all, width, keys).map((part) => lay(rows.length, fit(part, width))).join("\n\n");
}

/** Returns what a layout leaves to text that is shifted to the right. */
export function within({ width, ...layout }: Layout, spaces = 2): Layout {
  return width === undefined ? layout : { ...layout, width: width - spaces };
}

interface Column {
  readonly cells: readonly string[];
  readonly right: boolean;
  readonly width: number;
  /** As narrow as it is made before columns come in parts. */
  readonly least: number;
  /** As narrow as it can be made where a part of its own is too wide. */
  readonly tightest: number;
}

function columnOf(rows: Rows, column: number, align: readonly Align[]): Column {
  const cells = rows.map((row) => row[column] ?? "");
  const right = align[column] === "right";
  const width = cells.reduce((most, { length }) => Math.max(most, length), 0);
  const words = cells.reduce((most, cell) => Math.max(most, longestWord(cell)), 0);
  return {
    cells,
    right,
    width,
    // Figures stay on one line.
    least: right ? width : Math.min(width, Math.max(words, LEAST_WORDS)),
    tightest: right ? width : words,
  };
}

/** Returns columns in parts that can be made to fit, each with the keys. */
function partsOf(columns: readonly Column[], width: number, keys: number): Column[][] {
  const least = (part: readonly Column[]) =>
    part.reduce((sum, column) => sum + column.least, 0) + GAP * (part.length - 1);
  if (least(columns) <= width) return [[...columns]];
  const keyed = columns.slice(0, keys);
  const parts: Column[][] = [];
  let part: Column[] = [];
  for (const column of columns.slice(keys)) {
    if (part.length > 0 && least([...keyed, ...part, column]) > width) {
      parts.push([...keyed, ...part]);
      part = [];
    }
    part.push(column);
  }
  return [...parts, [...keyed, ...part]];
}

/** Returns the columns with widths that fit, as far as they can. */
function fit(columns: readonly Column[], width: number): Column[] {
  const fitted = columns.map((column) => ({ ...column }));
  narrow(fitted, width, "least");
  narrow(fitted, width, "tightest");
  return fitted;
}

/** Makes columns narrower until they fit: the widest that can give way does first. */
function narrow(
  fitted: { -readonly [Key in keyof Column]: Column[Key] }[],
  width: number,
  limit: "least" | "tightest",
): void {
  const excess = () =>
    fitted.reduce((sum, column) => sum + column.width, 0) + GAP * (fitted.length - 1) - width;
  for (let over = excess(); over > 0; over = excess()) {
    const giving = fitted.filter((column) => column.width > column[limit])
      .sort((a, b) => b.width - a.width);
    const [widest, next] = giving;
    if (!widest) break;
    // Down to the next widest at most, so that columns of words end up alike.
    const floor = Math.max(widest[limit], Math.min(next?.width ?? 0, widest.width - 1));
    widest.width = Math.max(floor, widest.width - over);
  }
}

function lay(count: number, columns: readonly Column[]): string {
  const last = columns.length - 1;
  return Array.from({ length: count }, (_, row) => {
    const cells = columns.map(({ cells, width }) => wrap(cells[row]!, Math.max(1, width)));
    const height = cells.reduce((most, lines) => Math.max(most, lines.length), 1);
    return Array.from({ length: height }, (_, line) =>
      columns.map(({ right, width }, column) => {
        const text = cells[column]![line] ?? "";
        return right ? text.padStart(width) : column === last ? text : text.padEnd(width);
      }).join(" ".repeat(GAP)).trimEnd()).join("\n");
  }).join("\n");
}

/** Shifts every line to the right. */
export function indented(text: string, spaces = 2): string {
  return text.replaceAll(/^(?=.)/gm, " ".repeat(spaces));
}

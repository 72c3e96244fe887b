/**
 * Columns of text.
 *
 * @module
 */
export { formatCount } from "../../planner/units.ts";

/** Which side the cells of a column keep to. */
export type Align = "left" | "right";

/** Lines of aligned columns, two spaces apart. */
export function table(rows: readonly (readonly string[])[], align: readonly Align[] = []): string {
  const widths: number[] = [];
  for (const row of rows) {
    row.forEach((cell, column) => widths[column] = Math.max(widths[column] ?? 0, cell.length));
  }
  return rows.map((row) =>
    row.map((cell, column) =>
      align[column] === "right" ? cell.padStart(widths[column]!) : cell.padEnd(widths[column]!)
    ).join("  ").trimEnd()
  ).join("\n");
}

/** Shifts every line to the right. */
export function indented(text: string, spaces = 2): string {
  return text.replaceAll(/^(?=.)/gm, " ".repeat(spaces));
}

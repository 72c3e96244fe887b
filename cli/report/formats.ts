/**
 * Rows as Markdown and CSV, and the names of the ways to write rows.
 *
 * @module
 */

/** Ways to write rows. */
export const FORMATS = ["table", "markdown", "csv", "json"] as const;

/** A way to write rows. */
export type Format = typeof FORMATS[number];

/** Returns a Markdown table; the first row is its header. */
export function markdown([header, ...rows]: readonly (readonly string[])[]): string {
  const line = (row: readonly string[]) =>
    `| ${row.map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |`;
  return [line(header!), line(header!.map(() => "---")), ...rows.map(line)].join("\n");
}

/**
 * Returns CSV (RFC 4180, with line feeds) under the names of the first row's fields: null is empty,
 * what has fields of its own is JSON.
 */
export function csv<Row extends object>(rows: readonly Row[]): string {
  const names = Object.keys(rows[0] ?? {}) as (keyof Row & string)[];
  const quote = (value: unknown) => {
    const text = value === null
      ? ""
      : typeof value === "object"
      ? JSON.stringify(value)
      : String(value);
    return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  };
  return [
    names.map(quote).join(","),
    ...rows.map((row) => names.map((name) => quote(row[name])).join(",")),
  ].join("\n");
}

/**
 * Measurements as a table of a page.
 *
 * @module
 */
import { formatBytes, formatSeconds } from "../../planner/units.ts";
import type { EarlierRow } from "../bench/against.ts";
import { type Html, html } from "./html.ts";

/** Shows what `lce bench --json` wrote: the fastest first, what has no time last. */
export function benchView(rows: readonly EarlierRow[]): Html {
  const sorted = rows.toSorted((a, b) => (a.ms ?? Infinity) - (b.ms ?? Infinity));
  const columns = ["device", "problem", "strategy", "time", "extra memory"];
  return html`
    <table>
      <caption>Measured by lce bench</caption>
      <thead>
        <tr>${columns.map((name) => html`<th scope="col">${name}</th>`)}</tr>
      </thead>
      <tbody>${sorted.map((row) =>
        html`
          <tr>
            <th scope="row">${row.device}</th>
            <td>${row.tokens} x ${row.hidden} x ${row.vocab}, ${row.dtype}, ${row.pass}</td>
            <td>${row.strategy}</td>
            <td>${row.ms === null ? "-" : formatSeconds(row.ms / 1000, 3)}</td>
            <td>${row.extraPeakBytes === null || row.extraPeakBytes === undefined
              ? "-"
              : formatBytes(row.extraPeakBytes)}</td>
          </tr>
        `
      )}</tbody>
    </table>
  `;
}

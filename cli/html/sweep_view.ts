/**
 * A sweep as parts of a page: its chart, where it has one axis, and its rows.
 *
 * @module
 */
import { type ChartRow, sweepChart } from "../chart/sweep_chart.ts";
import { isWords, splitNotes, type SweepAbout, sweepCells, sweepLine } from "../report/sweep.ts";
import { type Html, html, wide } from "./html.ts";
import { picture } from "./pictures.ts";

/** Shows what was planned at each point. */
export function sweepView(about: SweepAbout, rows: readonly ChartRow[]): Html {
  const [head, ...lines] = sweepCells(about, rows);
  const cellClass = (column: number) => isWords(head![column]!) ? "" : "number";
  return html`
    <p class="question-line">${sweepLine(about)}</p>
    ${splitNotes(about).map((note) => html`<p>${note}</p>`)}
    ${about.axes.length === 1 &&
      picture(sweepChart(about, rows), `Memory of each method against ${about.axes[0]!.name}`)}
    ${wide(html`
      <table>
        <caption>What was planned, at each point</caption>
        <thead>
          <tr>${head!.map((name, column) =>
            html`<th scope="col" class="${cellClass(column)}">${name}</th>`
          )}</tr>
        </thead>
        <tbody>${lines.map((cells) =>
          html`<tr>${
            cells.map((cell, column) => html`<td class="${cellClass(column)}">${cell}</td>`)
          }</tr>`
        )}</tbody>
      </table>
    `)}
  `;
}

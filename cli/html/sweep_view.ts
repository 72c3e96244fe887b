/**
 * A sweep as parts of a page: its chart, where it has one axis, and its rows.
 *
 * @module
 */
import { type ChartRow, sweepChart } from "../chart/sweep_chart.ts";
import { isWords, splitNotes, type SweepAbout, sweepCells, sweepLine } from "../report/sweep.ts";
import { type Html, html } from "./html.ts";
import { picture } from "./pictures.ts";
import { columns } from "./plan_view.ts";

/** Shows what was planned at each point. */
export function sweepView(about: SweepAbout, rows: readonly ChartRow[]): Html {
  const cells = sweepCells(about, rows);
  return html`
    <p class="question-line">${sweepLine(about)}</p>
    ${splitNotes(about).map((note) => html`<p>${note}</p>`)}
    ${about.axes.length === 1 &&
      picture(sweepChart(about, rows), `Memory of each method against ${about.axes[0]!.name}`)}
    ${columns("What was planned, at each point", cells, (column) => !isWords(cells[0]![column]!))}
  `;
}

/**
 * Measurements as parts of a page: a table for each problem, and the roof over them.
 *
 * @module
 */
import { ACCUMULATED } from "../../planner/dtype.ts";
import { formatBytes, formatCount, formatSeconds } from "../../planner/units.ts";
import type { EarlierRow } from "../bench/against.ts";
import { placeText } from "../bench/bench_row.ts";
import { drawRoofline } from "../chart/roofline.ts";
import { baselineOf, ratioText, sameProblem } from "../report/bench.ts";
import { achieved, type Roof, roofText } from "../report/roof.ts";
import { type Html, html, wide } from "./html.ts";
import { bar } from "./methods.ts";
import { picture } from "./pictures.ts";

/** Shows what `lce bench --json` wrote: each problem's fastest first, what has no time last. */
export function benchView(rows: readonly EarlierRow[]): Html {
  const devices = [...Map.groupBy(rows, ({ device }) => device)];
  return html`${
    devices.map(([device, ofDevice]) =>
      html`${problemsOf(ofDevice).map((alike) => problemTable(alike, ofDevice))}${
        rooflines(device, ofDevice)
      }`
    )
  }`;
}

/** Returns rows of the same problem together, problems in the order of their first rows. */
function problemsOf(rows: readonly EarlierRow[]): EarlierRow[][] {
  const problems: EarlierRow[][] = [];
  for (const row of rows) {
    const alike = problems.find(([first]) => sameProblem(first!, row));
    if (alike) alike.push(row);
    else problems.push([row]);
  }
  return problems;
}

const COLUMNS = [
  "strategy",
  "time",
  "fastest to slowest",
  "time to two-stage",
  "rate",
  "extra memory",
  "memory to two-stage",
  "time to scale",
];

/** The first and the last column hold a name and a bar; between them are figures. */
function isFigure(column: string): boolean {
  return column !== COLUMNS[0] && column !== COLUMNS.at(-1);
}

function problemTable(alike: readonly EarlierRow[], rows: readonly EarlierRow[]): Html {
  const { tokens, hidden, vocab, dtype, pass, inputs } = alike[0]!;
  const place = placeText(alike[0]!);
  const sorted = alike.toSorted((a, b) => (a.ms ?? Infinity) - (b.ms ?? Infinity));
  const slowest = Math.max(...alike.map(({ ms }) => ms ?? 0));
  const about = inputs === "flat" ? "" : `, ${inputs} inputs`;
  return wide(html`
    <table class="methods">
      <caption>${tokens} x ${hidden} x ${vocab}, ${dtype}, ${pass}${about}, measured on ${place}</caption>
      <thead>
        <tr>${COLUMNS.map((name) =>
          html`<th scope="col" class="${isFigure(name) ? "number" : ""}">${name}</th>`
        )}</tr>
      </thead>
      <tbody>${sorted.map((row) => strategyRow(row, rows, slowest))}</tbody>
    </table>
  `);
}

function strategyRow(row: EarlierRow, rows: readonly EarlierRow[], slowest: number): Html {
  const { strategy, ms, fastest, slowest: last, tflops, extraPeakBytes } = row;
  const { gradientFilter, gradientDtype } = row;
  const baseline = baselineOf(row, rows);
  const filtered = gradientFilter === 0 ? "" : `, gradients filtered (${gradientFilter})`;
  const rounded = gradientDtype === ACCUMULATED ? "" : `, weight gradient in ${gradientDtype}`;
  if (ms === null) {
    return html`
      <tr class="other">
        <th scope="row">${strategy}${filtered}${rounded}</th>
        <td colspan="${COLUMNS.length - 1}">no time: ${row.missing ??
          "the file does not say why"}</td>
      </tr>
    `;
  }
  return html`
    <tr class="${row === baseline ? "other" : "ours"}">
      <th scope="row">${strategy}${filtered}${rounded}</th>
      <td class="number">${timeText(ms)}</td>
      <td class="number">${fastest && last ? `${timeText(fastest)} to ${timeText(last)}` : "-"}</td>
      <td class="number">${ratioText(ms, baseline?.ms)}</td>
      <td class="number">${tflops ? formatCount(1e12 * tflops, "FLOP/s") : "-"}</td>
      <td class="number">${typeof extraPeakBytes === "number"
        ? formatBytes(extraPeakBytes)
        : "-"}</td>
      <td class="number">${ratioText(extraPeakBytes, baseline?.extraPeakBytes)}</td>
      <td class="bar">${bar(ms / slowest)}</td>
    </tr>
  `;
}

function timeText(ms: number): string {
  return formatSeconds(ms / 1000, 3);
}

/** Draws rows under each roof that was measured with them; says how to have one where none was. */
function rooflines(device: string, rows: readonly EarlierRow[]): Html {
  const roofs = Map.groupBy(
    rows.filter((row) => achieved(row)),
    ({ peakFlopsPerSecond, peakBytesPerSecond }) =>
      peakFlopsPerSecond && peakBytesPerSecond
        ? `${peakFlopsPerSecond} ${peakBytesPerSecond}`
        : undefined,
  );
  return html`${
    [...roofs].map(([peaks, under]) => {
      if (peaks === undefined) return NO_ROOF;
      const [flopsPerSecond, bytesPerSecond] = peaks.split(" ").map(Number);
      const roof: Roof = { flopsPerSecond: flopsPerSecond!, bytesPerSecond: bytesPerSecond! };
      return html`${
        picture(
          drawRoofline(device, roof, under),
          `What each strategy reaches of the peaks of ${device}`,
        )
      }<p>${roofText(under, roof)}</p>`;
    })
  }`;
}

const NO_ROOF = html`
  <p>No roofline: the device's peaks were not measured. <code>lce bench --roofline</code> does that, and keeps them in its rows.</p>
`;

/**
 * A plan as sections of a page.
 *
 * @module
 */
import type { Plan } from "../../planner/plan.ts";
import { formatBytes } from "../../planner/units.ts";
import { timeline } from "../chart/timeline.ts";
import { bufferRows, choiceLines, memoryRows, problemLine, workLine } from "../report/plan.ts";
import { type Content, type Html, html, wide } from "./html.ts";
import { methodsOf, methodsTable } from "./methods.ts";
import { picture } from "./pictures.ts";

/**
 * Shows what was planned: what it takes, how it is done, and what others would take, unless it is
 * a part of a job, of which they know nothing.
 */
export function planView(plan: Plan, { part = false }: { readonly part?: boolean } = {}): Html {
  const { memory, outline } = plan;
  return html`<p class="question-line">${problemLine(plan)}</p>
<dl class="figures">
${figure("extra memory", formatBytes(memory.extraPeakBytes), "beside your own buffers")}
${figure("at the peak", formatBytes(memory.peakBytes), "every GPU buffer")}
${
    figure(
      "two stages",
      formatBytes(plan.twoStage.extraPeakBytes),
      "extra, with logits in memory",
    )
  }
</dl>
${rows("What is done", [...choiceLines(plan), ["because", plan.reason]])}
${rows("Memory", memoryRows(plan).map(([name, bytes, note]) => [name, formatBytes(bytes), note]))}
<p>${workLine(plan)}</p>
${!part && methodsTable(methodsOf(plan))}
<details><summary>Buffers</summary>${rows("Every buffer", bufferRows(outline))}</details>
<details><summary>Timeline</summary>${
    picture(timeline(plan), `GPU memory over the steps of ${problemLine(plan)}`)
  }</details>`;
}

function figure(name: string, value: string, note: string): Html {
  return html`
    <div>
      <dt>${name}</dt>
      <dd><strong>${value}</strong> <span>${note}</span></dd>
    </div>
  `;
}

/** Returns a table whose rows begin with their name. */
export function rows(caption: string, lines: readonly (readonly Content[])[]): Html {
  return html`
    <table>
      <caption>${caption}</caption>
      <tbody>${lines.map(([name, ...cells]) =>
        html`
          <tr><th scope="row">${name}</th>${cells.map((cell) => html`<td>${cell}</td>`)}</tr>
        `
      )}</tbody>
    </table>
  `;
}

/** Returns a table with names of columns; numbers, and what stands for one, are in columns of their own. */
export function columns(
  caption: string,
  [head = [], ...lines]: readonly (readonly Content[])[],
  isNumber: (column: number) => boolean,
): Html {
  const cellClass = (column: number) => isNumber(column) ? "number" : "";
  return wide(html`
    <table>
      <caption>${caption}</caption>
      <thead>
        <tr>${head.map((name, column) =>
          html`<th scope="col" class="${cellClass(column)}">${name}</th>`
        )}</tr>
      </thead>
      <tbody>${lines.map((cells) =>
        html`<tr>${
          cells.map((cell, column) => html`<td class="${cellClass(column)}">${cell}</td>`)
        }</tr>`
      )}</tbody>
    </table>
  `);
}

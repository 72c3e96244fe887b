/**
 * Memory by method, ours and the published ones, as a table with a bar in each row.
 *
 * @module
 */
import type { Plan } from "../../planner/plan.ts";
import { formatBytes } from "../../planner/units.ts";
import { peersJson } from "../report/peers.ts";
import { type Html, html } from "./html.ts";

/** A method and the bytes beyond the inputs that it takes at its peak. */
export interface MethodMemory {
  readonly method: string;
  readonly title: string;
  readonly bytes: number;
  /** Where the figure comes from, if it is not ours. */
  readonly source: string | undefined;
  /** Whether it is the plan's own. */
  readonly ours: boolean;
}

/** Returns the methods that do a plan's pass, the least memory first. */
export function methodsOf(plan: Plan): MethodMemory[] {
  const key = plan.problem.pass === "train" ? "trainExtraBytes" : "forwardExtraBytes";
  return peersJson(plan)
    .map(({ method, title, source, asAsked, [key]: plain }) => {
      const ours = method === "lce";
      return {
        method,
        title: ours ? `lce ${plan.outline.strategy}, as planned` : title,
        // Ours is planned as it was asked for; others are shown as measured and published.
        bytes: ours ? asAsked[key] : plain,
        source: ours ? undefined : source,
        ours,
      };
    })
    .filter((row): row is MethodMemory => row.bytes !== null)
    .sort((a, b) => a.bytes - b.bytes);
}

/** Shows methods side by side; bars are to scale. */
export function methodsTable(methods: readonly MethodMemory[]): Html {
  const most = Math.max(...methods.map(({ bytes }) => bytes), 1);
  // What is said behind an address is no part of it.
  const link = (source: string | undefined) => {
    const address = source?.match(/^https:\/\/[^\s,;)]+/)?.[0];
    return address && html`
      <a href="${address}" title="${source}" rel="noopener">source</a>
    `;
  };
  return html`
    <table class="methods">
      <caption>Memory beyond the inputs at the peak, by method</caption>
      <thead>
        <tr>
          <th scope="col">method</th>
          <th scope="col" class="number">memory</th>
          <th scope="col">to scale</th>
        </tr>
      </thead>
      <tbody>${methods.map(({ title, bytes, ours, source }) =>
        html`
          <tr class="${ours ? "ours" : "other"}">
            <th scope="row">${title}${link(source)}</th>
            <td class="number">${formatBytes(bytes)}</td>
            <td class="bar">
              ${bar(bytes / most)}
            </td>
          </tr>
        `
      )}</tbody>
    </table>
  `;
}

/** Returns a bar as long as a share of its cell, which is of the class `bar`. */
export function bar(share: number): Html {
  return html`
    <svg role="presentation" viewBox="0 0 1000 12" preserveAspectRatio="none">
      <rect width="${Math.max(2, Math.round(1000 * share))}" height="12" />
    </svg>
  `;
}

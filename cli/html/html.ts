/**
 * HTML as text: a template whose values are escaped, unless they are HTML themselves.
 *
 * @module
 */

/** A piece of HTML, which needs no escaping any more. */
export class Html {
  /** Takes text that is HTML. */
  constructor(readonly text: string) {}
}

/** What a template's places take; nothing is written for `undefined`, `null` and `false`. */
export type Content = Html | string | number | undefined | null | false | readonly Content[];

const ENTITIES: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&#39;",
};

/**
 * Writes HTML: values are escaped for text and quoted attributes alike, lists are joined.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * const item = (name: string) => html`<li>${name}</li>`;
 * assert.equal(html`<ul>${["a", "<b>"].map(item)}</ul>`.text, "<ul><li>a</li><li>&lt;b&gt;</li></ul>");
 * ```
 */
export function html(parts: TemplateStringsArray, ...values: readonly Content[]): Html {
  return new Html(
    parts.map((part, index) => part + (index < values.length ? written(values[index]) : "")).join(
      "",
    ),
  );
}

/** Returns what may be wider than a screen, to be moved to and fro within it, by keyboard too. */
export function wide(content: Content): Html {
  return html`<div class="wide" tabindex="0">${content}</div>`;
}

function written(content: Content): string {
  if (content === undefined || content === null || content === false) return "";
  if (content instanceof Html) return content.text;
  if (Array.isArray(content)) return content.map(written).join("");
  return String(content).replaceAll(/[&<>"']/g, (character) => ENTITIES[character]!);
}

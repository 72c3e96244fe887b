/**
 * A whole page in one file: nothing is asked of another.
 *
 * @module
 */
import { type Content, type Html, Html as Written, html } from "./html.ts";
import { STYLE } from "./style.ts";

/** What a page says of itself. */
export interface PageAbout {
  readonly title: string;
  /** The command that wrote it, to be given again. */
  readonly command: string;
  /** Version of lce. */
  readonly version: string;
}

/** Returns a document whose style is in itself. */
export function page({ title, command, version }: PageAbout, body: Content): Html {
  return html`
    <!DOCTYPE html>
    <html lang="en">
      <head>
        <meta charset="utf-8">
        <meta name="viewport" content="width=device-width, initial-scale=1">
        <meta name="color-scheme" content="light dark">
        <title>${title}</title>
        <style>
    ${new Written(STYLE)}</style>
      </head>
      <body>
        <header>
          <h1>${title}<span>lce ${version}</span></h1>
        </header>
        <main>
    ${body}
    <h2>How it was made</h2>
    <p><code>${command}</code></p>
        </main>
      </body>
    </html>
  `;
}

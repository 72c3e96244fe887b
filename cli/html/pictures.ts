/**
 * Pictures within a page. Each is an image of its own, so that neither its style sheet
 * nor the page's reaches the other.
 *
 * @module
 */
import { type Html, html, wide } from "./html.ts";

/** Returns an SVG document as an image, to be moved to and fro on a small screen; `alt` says what is to be seen. */
export function picture(svg: string, alt: string): Html {
  return wide(
    html`<img class="picture" src="data:image/svg+xml,${encodeURIComponent(svg)}" alt="${alt}">`,
  );
}

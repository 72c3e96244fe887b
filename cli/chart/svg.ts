/**
 * SVG as text: elements whose attributes and text are escaped, and a document
 * that screen readers can name.
 *
 * @module
 */

/** Text that is SVG already, as opposed to text that needs escaping. */
export interface Markup {
  readonly markup: string;
}

/** What goes into an element. */
export type Child = Markup | string;

/** Values of attributes: numbers are written to a tenth, undefined ones left out. */
export type Attributes = Readonly<Record<string, string | number | undefined>>;

/** Escapes text for XML, and leaves out what XML cannot hold. */
export function escapeXml(text: string): string {
  return text
    // deno-lint-ignore no-control-regex -- XML 1.0 allows of these tab and line ends only
    .replaceAll(/[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]/g, "")
    .toWellFormed()
    .replaceAll("&", "&amp;")
    .replaceAll("<", "&lt;")
    .replaceAll(">", "&gt;")
    .replaceAll('"', "&quot;");
}

/** Returns a coordinate: a tenth of a pixel is finer than a screen shows. */
export function coordinate(value: number): string {
  if (!Number.isFinite(value)) throw new Error(`A coordinate is ${value}`);
  return `${Math.round(value * 10) / 10}`;
}

/** Returns an element. */
export function element(name: string, attributes: Attributes, ...children: Child[]): Markup {
  const written = Object.entries(attributes)
    .filter(([, value]) => value !== undefined)
    .map(([key, value]) =>
      ` ${key}="${typeof value === "number" ? coordinate(value) : escapeXml(value!)}"`
    ).join("");
  const inside = children
    .map((child) => typeof child === "string" ? escapeXml(child) : child.markup);
  if (inside.length === 0) return { markup: `<${name}${written}/>` };
  const inner = children.some((child) => typeof child !== "string")
    ? `\n${inside.join("\n")}\n`
    : inside.join("");
  return { markup: `<${name}${written}>${inner}</${name}>` };
}

/** Returns text at a point. */
export function text(x: number, y: number, classes: string, content: string): Markup {
  return element("text", { x, y, class: classes }, content);
}

/** Returns a straight line. */
export function line(x1: number, y1: number, x2: number, y2: number, classes: string): Markup {
  return element("line", { x1, y1, x2, y2, class: classes });
}

/** What a document says of itself, and how large it is. */
export interface DocumentAbout {
  readonly width: number;
  readonly height: number;
  /** Read out by screen readers, shown as a tooltip. */
  readonly title: string;
  /** The picture in words. */
  readonly description: string;
  /** CSS. */
  readonly style: string;
}

/** Returns a whole file. */
export function svgDocument(about: DocumentAbout, ...children: Child[]): string {
  const { width, height, title, description, style } = about;
  const root = element(
    "svg",
    {
      xmlns: "http://www.w3.org/2000/svg",
      width,
      height,
      viewBox: `0 0 ${coordinate(width)} ${coordinate(height)}`,
      role: "img",
      "aria-labelledby": "title description",
    },
    element("title", { id: "title" }, title),
    element("desc", { id: "description" }, description),
    element("style", {}, style),
    element("rect", { width, height, class: "paper" }),
    ...children,
  );
  return `${root.markup}\n`;
}

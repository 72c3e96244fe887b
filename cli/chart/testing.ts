/**
 * Reading SVG within a test: strict about what XML 1.0 asks of elements,
 * attributes and references, and ignorant of everything that pictures do not use.
 *
 * @module
 */
import assert from "node:assert/strict";

/** An element with what is in it. */
export interface Node {
  readonly name: string;
  readonly attributes: Readonly<Record<string, string>>;
  readonly children: Node[];
  text: string;
}

const ENTITIES: Readonly<Record<string, string>> = { amp: "&", lt: "<", gt: ">", quot: '"' };

function decode(text: string): string {
  assert(!/[<]/.test(text) && !/&(?!(amp|lt|gt|quot);)/.test(text), `badly escaped: ${text}`);
  return text.replaceAll(/&(\w+);/g, (_, name) => ENTITIES[name]!);
}

/** Reads a document. Throws where it is not well-formed. */
export function parseSvg(source: string): Node {
  const root: Node = { name: "", attributes: {}, children: [], text: "" };
  const open = [root];
  let at = 0;
  for (const match of source.matchAll(/<(\/?)([a-zA-Z]+)((?:\s+[\w:-]+="[^"]*")*)\s*(\/?)>/g)) {
    open.at(-1)!.text += decode(source.slice(at, match.index));
    at = match.index + match[0].length;
    const [, closing, name, attributes, empty] = match;
    if (closing) {
      assert.equal(open.pop()!.name, name, "elements nest");
      continue;
    }
    const pairs = [...attributes!.matchAll(/([\w:-]+)="([^"]*)"/g)]
      .map(([, key, value]) => [key!, decode(value!)] as const);
    assert.equal(new Set(pairs.map(([key]) => key)).size, pairs.length, "attributes are unique");
    const node = { name: name!, attributes: Object.fromEntries(pairs), children: [], text: "" };
    open.at(-1)!.children.push(node);
    if (!empty) open.push(node);
  }
  assert.equal(decode(source.slice(at)).trim(), "");
  assert.equal(open.length, 1, "every element is closed");
  assert.equal(root.children.length, 1, "one root");
  return root.children[0]!;
}

/** Yields an element and all within it. */
export function* walk(node: Node): Generator<Node> {
  yield node;
  for (const child of node.children) yield* walk(child);
}

/** Returns every element of a class. */
export function ofClass(node: Node, name: string): Node[] {
  return [...walk(node)].filter(({ attributes }) => attributes.class?.split(" ").includes(name));
}

/** Returns the corners of a path of absolute moves and lines. */
export function corners(path: Node): [number, number][] {
  return [...path.attributes.d!.matchAll(/[ML](-?[\d.]+) (-?[\d.]+)/g)]
    .map(([, x, y]) => [Number(x), Number(y)]);
}

/** Fails where any coordinate of a document lies outside its view box. */
export function assertWithinViewBox(root: Node): void {
  const [, , width, height] = root.attributes.viewBox!.split(" ").map(Number);
  const within = (value: number, most: number, what: string) =>
    assert(value >= 0 && value <= most, `${what} ${value} of ${most}`);
  for (const { name, attributes } of walk(root)) {
    for (const [key, value] of Object.entries(attributes)) {
      if (/^(x|x1|x2|cx)$/.test(key)) within(Number(value), width!, `${name} ${key}`);
      if (/^(y|y1|y2|cy)$/.test(key)) within(Number(value), height!, `${name} ${key}`);
    }
    if (name === "rect") {
      within(Number(attributes.x ?? 0) + Number(attributes.width), width!, "rect to");
    }
    for (const match of attributes.d?.matchAll(/[ML](-?[\d.]+) (-?[\d.]+)/g) ?? []) {
      within(Number(match[1]), width!, "path x");
      within(Number(match[2]), height!, "path y");
    }
  }
}

/** Fails where two texts of a group in one column are closer than a line of small text. */
export function assertApart(texts: readonly Node[]): void {
  const places = texts.map(({ attributes }) => Number(attributes.y)).sort((a, b) => a - b);
  places.slice(1).forEach((y, index) =>
    assert(y - places[index]! >= 13, `labels at ${places[index]} and ${y}`)
  );
}

/** Pixels that a letter takes at least, on average, in the narrowest of the usual fonts. */
const LEAST_LETTER = 5;

/** Fails where a text that begins within a picture cannot end within it. */
export function assertTextsWithin(root: Node): void {
  const [, , width] = root.attributes.viewBox!.split(" ").map(Number);
  for (const { name, attributes, text } of walk(root)) {
    if (name !== "text" || attributes.transform || /middle|end/.test(attributes.class ?? "")) {
      continue;
    }
    const end = Number(attributes.x) + LEAST_LETTER * text.length;
    assert(end <= width!, `"${text}" ends at ${end} of ${width}`);
  }
}

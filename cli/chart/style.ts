/**
 * Colours of pictures, light and dark, as CSS. Rules name each colour outright:
 * not every viewer knows CSS variables.
 *
 * @module
 */
import type { StrategyName } from "../../planner/schedule/schedule.ts";

/** A colour on white and on near-black. */
type Shades = readonly [light: string, dark: string];

/**
 * Lines, areas and labels of data. After Okabe and Ito (Color Universal Design,
 * 2008), which people with any common colour vision tell apart; darkened or
 * lightened until text in them reads well on its background.
 */
const DATA: Readonly<Record<string, Shades>> = {
  a: ["#0060a8", "#5cb3f0"],
  b: ["#b04a00", "#f0935a"],
  c: ["#00704f", "#35c79a"],
  d: ["#9c3a74", "#e08fbf"],
  e: ["#7a6200", "#d8b93c"],
  f: ["#00708a", "#58c4dc"],
  g: ["#4b4f57", "#b4bac4"],
  h: ["#5b4bb0", "#a99ff2"],
  i: ["#a8324f", "#f28ba0"],
};

/** The colour of each strategy, in every picture. */
export const STRATEGY_COLOUR: Readonly<Record<StrategyName, keyof typeof DATA>> = {
  "two-stage": "g",
  fused: "c",
  windowed: "b",
  chunked: "d",
};

const PAPER: Shades = ["#ffffff", "#14171c"];
const INK: Shades = ["#1c2026", "#e8eaee"];
const MUTED: Shades = ["#5a616c", "#a2aab6"];
const GRID: Shades = ["#e3e6ea", "#2a2f37"];
/** What must be noticed. */
const ALERT: Shades = ["#b3261e", "#ff8a80"];

const SHAPES = `
text { font: 12px system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; }
.title { font-size: 15px; font-weight: 600; }
.small { font-size: 11px; }
.strong { font-weight: 600; }
.end { text-anchor: end; }
.middle { text-anchor: middle; }
.line { fill: none; stroke-width: 1.75; stroke-linejoin: round; stroke-linecap: round; }
.main { stroke-width: 7; opacity: 0.45; }
.dashed { stroke-dasharray: 7 5; }
.dotted { stroke-dasharray: 1.5 5; }
.broken { stroke-dasharray: 9 4 1.5 4; }
.leader { fill: none; stroke-width: 0.75; opacity: 0.6; }
.rule { stroke-width: 1; }
.level { stroke-width: 1; stroke-dasharray: 4 4; }
.area { fill-opacity: 0.75; }`;

function colours(shade: 0 | 1): string {
  const rules = [
    `.paper { fill: ${PAPER[shade]}; }`,
    `text { fill: ${INK[shade]}; }`,
    `.muted { fill: ${MUTED[shade]}; }`,
    `.rule { stroke: ${GRID[shade]}; }`,
    `.level { stroke: ${MUTED[shade]}; }`,
    `.halo { stroke: ${PAPER[shade]}; stroke-width: 3; paint-order: stroke; }`,
    `.outline { stroke: ${INK[shade]}; }`,
    ...Object.entries({ ...DATA, alert: ALERT }).flatMap(([name, shades]) => [
      `.s-${name} { stroke: ${shades[shade]}; }`,
      `.f-${name} { fill: ${shades[shade]}; }`,
    ]),
  ];
  return rules.join("\n");
}

/** The style sheet of every picture. */
export const STYLE = `\n:root { color-scheme: light dark; }${SHAPES}\n${
  colours(0)
}\n@media (prefers-color-scheme: dark) {\n${colours(1)}\n}\n`;

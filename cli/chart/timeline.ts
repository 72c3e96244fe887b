/**
 * A plan's memory over its steps: live bytes by category above, a bar for each
 * tensor or buffer below, and the peak.
 *
 * @module
 */
import { peakStepOf } from "../../planner/schedule/memory.ts";
import type { Plan } from "../../planner/plan.ts";
import { CATEGORIES, type Category, lifetimes } from "../../planner/schedule/schedule.ts";
import { formatBytes } from "../../planner/units.ts";
import { problemLine } from "../report/plan.ts";
import { type Change, liveBytes, runsOf, type Track, tracksOf } from "./profile.ts";
import { subtitle } from "./plot.ts";
import { roundTicks, shortBytes } from "./scale.ts";
import { STYLE } from "./style.ts";
import { coordinate, element, line, type Markup, svgDocument, text } from "./svg.ts";

const COLOUR: Readonly<Record<Category, string>> = {
  input: "a",
  output: "c",
  state: "e",
  scratch: "b",
  staging: "d",
};
/** Headings of categories; the plural where there is one. */
const HEADING: Readonly<Record<Category, string>> = {
  input: "inputs",
  output: "outputs",
  state: "state",
  scratch: "scratch",
  staging: "staging",
};

const WIDTH = 980;
const LEFT = 132;
const RIGHT = WIDTH - 206;
const AREA = { top: 96, bottom: 296 };
const STRIP = { top: 304, height: 7 };
const ROWS_TOP = 350;
const ROW = 24;
const BAR = 15;
const HEAD = 22;

/** From steps to pixels: step `i` reaches from `i` to `i + 1`. */
type At = (step: number) => number;

/** Draws the buffers of a plan over its steps. */
export function timeline(plan: Plan): string {
  const { schedule } = plan;
  const peakStep = peakStepOf(schedule);
  const steps = schedule.steps.length;
  const x: At = (step) => LEFT + (step / steps) * (RIGHT - LEFT);
  const tracks = tracksOf(schedule);
  const rows = bars(tracks, x, steps);
  const bottom = ROWS_TOP + rows.height;
  const title = `GPU memory of ${schedule.strategy} over its ${steps} steps`;
  return svgDocument(
    {
      width: WIDTH,
      height: bottom + 44,
      title,
      description: describe(plan, tracks, peakStep),
      style: STYLE,
    },
    text(LEFT, 28, "title", title),
    ...subtitle(LEFT, problemLine(plan)),
    element("g", { class: "live" }, ...area(plan, x, peakStep)),
    element("g", { class: "kinds" }, ...strip(plan, x)),
    element("g", { class: "tracks" }, ...rows.marks),
    element("g", { class: "axis" }, ...stepAxis(steps, x, bottom)),
    element("g", { class: "peak" }, ...peakMark(x(peakStep + 0.5), plan, peakStep, bottom)),
  );
}

/** Returns live bytes by category, stacked, under round numbers of bytes. */
function area({ schedule, memory }: Plan, x: At, peakStep: number): Markup[] {
  const y = (bytes: number) => AREA.bottom - (bytes / memory.peakBytes) * (AREA.bottom - AREA.top);
  const lives = lifetimes(schedule);
  const ticks = roundTicks(memory.peakBytes, 5, 1024);
  const marks: Markup[] = ticks.flatMap((bytes) => [
    line(LEFT, y(bytes), RIGHT, y(bytes), "rule"),
    text(LEFT - 8, y(bytes) + 4, "small muted end", shortBytes(bytes)),
  ]);
  let below: readonly Change[] = [{ step: 0, bytes: 0 }];
  const names: { category: Category; y: number }[] = [];
  const included = new Set<Category>();
  for (const category of CATEGORIES) {
    included.add(category);
    if (!schedule.buffers.some((buffer) => buffer.category === category)) continue;
    const above = liveBytes(
      schedule.buffers.filter((buffer) => included.has(buffer.category)),
      lives,
    );
    const upper = outline(above, x, y);
    const lower = outline(below, x, y, schedule.steps.length).toReversed();
    marks.push(element(
      "path",
      { d: `M${[...upper, ...lower].join("L")}Z`, class: `area f-${COLOUR[category]}` },
      element("title", {}, HEADING[category]),
    ));
    names.push({ category, y: y(bytesAt(above, peakStep)) });
    below = above;
  }
  const total = outline(below, x, y);
  return [
    ...marks,
    element("path", { d: `M${total.join("L")}`, class: "line outline total" }),
  ];
}

/** Returns the corners of a staircase, from the first step to the end. */
function outline(
  changes: readonly Change[],
  x: At,
  y: (bytes: number) => number,
  end = changes.at(-1)!.step,
): string[] {
  const corners: string[] = [];
  let before: number | undefined;
  for (const { step, bytes } of changes) {
    const left = coordinate(x(step));
    if (before !== undefined) corners.push(`${left} ${coordinate(y(before))}`);
    corners.push(`${left} ${coordinate(y(bytes))}`);
    before = bytes;
  }
  if (end > changes.at(-1)!.step) corners.push(`${coordinate(x(end))} ${coordinate(y(before!))}`);
  // Thousands of steps share a pixel: corners in the same place count once.
  return corners.filter((corner, index) => corner !== corners[index - 1]);
}

function bytesAt(changes: readonly Change[], step: number): number {
  return changes.findLast((change) => change.step <= step)?.bytes ?? 0;
}

const RUN_COLOUR = { upload: "a", compute: "g", readback: "d" } as const;

/** Returns what the steps are: a strip below the area, and what its colours mean. */
function strip({ schedule }: Plan, x: At): Markup[] {
  const runs = runsOf(schedule);
  const kinds = [...new Set(runs.map(({ kind }) => kind))];
  return [
    ...runs.map(({ kind, first, end }) =>
      element("rect", {
        x: x(first),
        y: STRIP.top,
        width: x(end) - x(first),
        height: STRIP.height,
        class: `f-${RUN_COLOUR[kind]}`,
      }, element("title", {}, `${kind}, steps ${first} to ${end - 1}`))
    ),
    ...kinds.map((kind, index) =>
      text(RIGHT + 10 + index * 64, STRIP.top + 8, `small f-${RUN_COLOUR[kind]}`, kind)
    ),
  ];
}

/** Returns a heading for each category, and below it a bar for each of its tracks. */
function bars(
  tracks: readonly Track[],
  x: At,
  steps: number,
): { marks: Markup[]; height: number } {
  const marks: Markup[] = [];
  let top = ROWS_TOP;
  for (const category of CATEGORIES) {
    const here = tracks.filter((track) => track.category === category);
    if (here.length === 0) continue;
    marks.push(text(LEFT - 8, top + 13, `end strong f-${COLOUR[category]}`, HEADING[category]));
    marks.push(line(LEFT, top + 9, RIGHT, top + 9, "rule"));
    top += HEAD;
    for (const track of here) {
      marks.push(bar(track, x, top, steps));
      top += ROW;
    }
    top += 4;
  }
  return { marks, height: top - ROWS_TOP };
}

/**
 * Returns a bar as high as its track's live bytes, relative to their peak, with its name and bytes.
 */
function bar(track: Track, x: At, top: number, steps: number): Markup {
  const { name, category, buffers, peakBytes, bytes, life, changes } = track;
  const y = (live: number) => top + BAR - (live / peakBytes) * BAR;
  const size = peakBytes === bytes
    ? formatBytes(bytes)
    : `${formatBytes(peakBytes)} of ${formatBytes(bytes)}`;
  const corners = outline(changes, x, y, steps);
  // A life of a few steps among thousands is a sliver; a tick keeps it visible.
  const sliver = x(life.last + 1) - x(life.first) < 2;
  return element(
    "g",
    { class: "track", "data-name": name },
    element(
      "title",
      {},
      `${name}: ${bytes} bytes in ${buffers} buffer${
        buffers === 1 ? "" : "s"
      }, at most ${peakBytes} at once, steps ${life.first} to ${life.last}`,
    ),
    element("path", {
      d: `M${corners.join("L")}L${coordinate(x(steps))} ${coordinate(y(0))}L${coordinate(x(0))} ${
        coordinate(y(0))
      }Z`,
      class: `area f-${COLOUR[category]}`,
    }),
    ...(sliver
      ? [element("rect", {
        x: x(life.first),
        y: top,
        width: 2,
        height: BAR,
        class: `f-${COLOUR[category]}`,
      })]
      : []),
    text(LEFT - 8, top + 12, "small end", name),
    text(RIGHT + 10, top + 12, "small", buffers === 1 ? size : `${size}, ${buffers} buffers`),
  );
}

function stepAxis(steps: number, x: At, bottom: number): Markup[] {
  return [
    ...roundTicks(steps, 8).map((step) =>
      text(x(step), bottom + 14, "small muted middle", `${step}`)
    ),
    text((LEFT + RIGHT) / 2, bottom + 34, "middle", "steps"),
  ];
}

/** Returns the step at which most bytes are alive, through area and bars, with its bytes above. */
function peakMark(at: number, { memory }: Plan, peakStep: number, bottom: number): Markup[] {
  const words = `peak ${
    formatBytes(memory.peakBytes)
  } (${memory.peakBytes} bytes) at step ${peakStep}`;
  const rightwards = at < (LEFT + RIGHT) / 2;
  return [
    line(at, AREA.top - 14, at, bottom, "level s-alert"),
    text(
      rightwards ? at + 5 : at - 5,
      AREA.top - 8,
      `small strong f-alert halo ${rightwards ? "" : "end"}`.trim(),
      words,
    ),
  ];
}

/** Returns the picture in words. */
function describe(plan: Plan, tracks: readonly Track[], peakStep: number): string {
  const { memory, schedule } = plan;
  return [
    `Live bytes over ${schedule.steps.length} steps; at most ${memory.peakBytes} bytes, at step ${peakStep}.`,
    ...tracks.map(({ name, category, peakBytes, life }) =>
      `${name} (${category}): ${formatBytes(peakBytes)}, steps ${life.first} to ${life.last}.`
    ),
  ].join(" ");
}

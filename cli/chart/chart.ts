/**
 * A chart of bytes, or of something else, against something swept, on logarithmic axes: a line for each
 * named series, labelled where it ends, and levels across.
 *
 * @module
 */
import { spread } from "./labels.ts";
import {
  BELOW,
  LABEL_GAP,
  LEADER,
  type Plot,
  plotBeside,
  SMALL_LINE,
  smallLines,
  subtitle,
  WIDTH,
} from "./plot.ts";
import {
  type LogScale,
  logScale,
  powerBounds,
  powerTicks,
  shortBytes,
  valueBounds,
} from "./scale.ts";
import { STYLE } from "./style.ts";
import { coordinate, element, line, type Markup, svgDocument, text } from "./svg.ts";

/** One line of a chart. */
export interface Series {
  readonly name: string;
  /** One of the style's colours. */
  readonly colour: string;
  /** Further classes of its line: `main`, `dashed`, `dotted`, `broken`. */
  readonly classes?: string;
  /** By rising `x`; without `y` where there is no value, which breaks the line. */
  readonly points: readonly { readonly x: number; readonly y: number | undefined }[];
}

/** A line across at some bytes. */
export interface Level {
  readonly label: string;
  readonly bytes: number;
  /** Drawn to be noticed. */
  readonly alert?: boolean;
}

/** All that a chart shows. */
export interface Chart {
  readonly title: string;
  readonly subtitle: string;
  readonly xLabel: string;
  readonly yLabel: string;
  /** Returns how a value of `x` reads. */
  formatX(value: number): string;
  /** How one of the other axis does: as bytes, where it is left out. */
  formatY?(value: number): string;
  readonly series: readonly Series[];
  readonly levels: readonly Level[];
  /** Remarks below the plot, a line or more each. */
  readonly notes?: readonly string[];
}

const LEFT = 84;
/** A line with more points than this has no dots: they would run together. */
const MOST_DOTS = 40;

/** Draws a chart of at least one series. Series without any value are left out. */
export function drawChart(chart: Chart): string {
  const drawn = chart.series.filter((series) => present(series).length > 0);
  const names = [...drawn.map(({ name }) => name), ...chart.levels.map(({ label }) => label)];
  const plot = plotBeside(names, LEFT);
  const xs = chart.series.flatMap(({ points }) => points.map(({ x }) => x));
  const ys = [
    ...drawn.flatMap((series) => present(series).map(({ y }) => y)),
    ...chart.levels.map(({ bytes }) => bytes),
  ];
  const x = logScale(valueBounds(xs), [plot.left, plot.right]);
  const y = logScale(powerBounds(ys.length ? ys : [1], 4), [plot.bottom, plot.top]);
  const notes = (chart.notes ?? []).flatMap((note) => smallLines(LEFT, note));
  const height = plot.bottom + BELOW + notes.length * SMALL_LINE;
  const ends = drawn.map((series) => endOf(series, x, y, plot));
  const places = [...ends, ...chart.levels.map((level) => levelEnd(level, y, plot))];
  const heights = spread(places.map(({ at: [, height] }) => height), LABEL_GAP, [
    plot.top,
    plot.bottom,
  ]);
  const labels = places.map((end, index) => endLabel(end, heights[index]!, plot));
  return svgDocument(
    {
      width: WIDTH,
      height,
      title: chart.title,
      description: describe(chart, drawn),
      style: STYLE,
    },
    text(plot.left, 28, "title", chart.title),
    ...subtitle(plot.left, chart.subtitle),
    element("g", { class: "axes" }, ...axes(chart, x, y, plot, [...new Set(xs)])),
    element("g", { class: "levels" }, ...levelLines(chart.levels, y, plot)),
    ...drawn.map((series) => seriesLine(series, x, y)),
    element("g", { class: "level-labels" }, ...labels.slice(drawn.length).flat()),
    element("g", { class: "labels" }, ...labels.slice(0, drawn.length).flat()),
    element(
      "g",
      { class: "notes" },
      ...notes.map((line, index) =>
        text(plot.left, plot.bottom + BELOW + index * SMALL_LINE, "small muted", line)
      ),
    ),
  );
}

function axes(
  { xLabel, yLabel, formatX, formatY = shortBytes }: Chart,
  x: LogScale,
  y: LogScale,
  { left, right, top, bottom }: Plot,
  values: readonly number[],
): Markup[] {
  const middle = (top + bottom) / 2;
  return [
    ...powerTicks([y.least, y.most], 12, { step: 2 }).flatMap((bytes) => [
      line(left, y.at(bytes), right, y.at(bytes), "rule"),
      text(left - 8, y.at(bytes) + 4, "small muted end", formatY(bytes)),
    ]),
    ...powerTicks([x.least, x.most], 11, { values }).flatMap((value) => [
      line(x.at(value), top, x.at(value), bottom, "rule"),
      text(x.at(value), bottom + 18, "small muted middle", formatX(value)),
    ]),
    text((left + right) / 2, bottom + 42, "middle", xLabel),
    element(
      "text",
      {
        x: 18,
        y: middle,
        class: "middle",
        transform: `rotate(-90 18 ${coordinate(middle)})`,
      },
      yLabel,
    ),
  ];
}

function levelLines(levels: readonly Level[], y: LogScale, { left, right }: Plot): Markup[] {
  return levels.map(({ bytes, alert }) =>
    line(left, y.at(bytes), right, y.at(bytes), alert ? "level s-alert" : "level")
  );
}

/** Returns the line of a series, broken where values are missing, with a tooltip. */
function seriesLine(series: Series, x: LogScale, y: LogScale): Markup {
  const { name, colour, classes = "", points } = series;
  let path = "";
  const dots: Markup[] = [];
  points.forEach((point, index) => {
    if (point.y === undefined) return;
    const [px, py] = [x.at(point.x), y.at(point.y)];
    const begins = points[index - 1]?.y === undefined;
    path += `${begins ? "M" : "L"}${coordinate(px)} ${coordinate(py)}`;
    // A point alone is a line of no length, which its round ends make a dot.
    if (begins && points[index + 1]?.y === undefined) path += "h0";
    if (points.length <= MOST_DOTS) {
      dots.push(element("circle", { cx: px, cy: py, r: 2.4, class: `f-${colour}` }));
    }
  });
  return element(
    "g",
    { class: "series", "data-name": name },
    element("title", {}, name),
    element("path", { d: path, class: `line s-${colour} ${classes}`.trim() }),
    ...dots,
  );
}

/** Where a line ends within the plot, and how its label looks. */
interface End {
  readonly name: string;
  readonly at: readonly [x: number, y: number];
  /** Classes of the label, and of what leads to it. */
  readonly look: string;
  readonly leader: string;
}

function endOf(series: Series, x: LogScale, y: LogScale, { right }: Plot): End {
  const { name, colour, classes } = series;
  const end = present(series).at(-1)!;
  return {
    name,
    // Level until past the plot, then aslant: leaders cross as little as labels do.
    at: [Math.min(x.at(end.x), right), y.at(end.y)],
    look: `f-${colour}${classes?.includes("main") ? " strong" : ""}`,
    leader: `s-${colour}`,
  };
}

function levelEnd({ label, bytes, alert }: Level, y: LogScale, { right }: Plot): End {
  return {
    name: label,
    at: [right, y.at(bytes)],
    look: alert ? "strong f-alert" : "muted",
    leader: alert ? "s-alert" : "level",
  };
}

/**
 * Returns a name beside the plot, where no line can strike it through, led to from where its line
 * ends.
 */
function endLabel({ name, at: [px, py], look, leader }: End, height: number, plot: Plot) {
  const edge = plot.right + LEADER - 4;
  const bend = Math.max(px, plot.right + 4);
  return [
    element("path", {
      d: `M${coordinate(px)} ${coordinate(py)}H${coordinate(bend)}L${coordinate(edge)} ${
        coordinate(height)
      }`,
      class: `leader ${leader}`,
    }),
    text(plot.right + LEADER, height + 4, look, name),
  ];
}

/** Returns the points that have a value. */
function present({ points }: Series): { x: number; y: number }[] {
  return points.flatMap(({ x, y }) => y === undefined ? [] : [{ x, y }]);
}

/** Returns the chart in words: where each line begins and ends. */
function describe(
  { xLabel, yLabel, formatX, formatY = shortBytes, levels, notes = [] }: Chart,
  drawn: readonly Series[],
): string {
  const at = ({ x, y }: { x: number; y: number }) => `${formatY(y)} at ${formatX(x)}`;
  const sentences = drawn.map((series) => {
    const [first, ...others] = present(series);
    const last = others.at(-1);
    return `${series.name}: ${at(first!)}${last ? ` to ${at(last)}` : ""}.`;
  });
  return [
    `${yLabel} against ${xLabel}, on logarithmic axes.`,
    ...sentences,
    ...levels.map(({ label }) => `Level: ${label}.`),
    ...notes,
  ].join(" ");
}

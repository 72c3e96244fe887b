/**
 * The roofline of a run of `lce bench`: FLOP/s against FLOP per byte, on
 * logarithmic axes, under the device's measured peaks.
 *
 * @module
 */
import type { StrategyName } from "../../planner/schedule/schedule.ts";
import {
  type Achieved,
  achieved,
  kneeOf,
  type Roof,
  roofAt,
  type RoofRow,
} from "../report/roof.ts";
import { spread } from "./labels.ts";
import { BELOW, LABEL_GAP, LEADER, type Plot, plotBeside, subtitle, WIDTH } from "./plot.ts";
import {
  decimalTicks,
  type LogScale,
  logScale,
  powerBounds,
  powerTicks,
  shortIntensity,
  shortRate,
} from "./scale.ts";
import { STRATEGY_COLOUR, STYLE } from "./style.ts";
import { coordinate, element, line, type Markup, svgDocument, text } from "./svg.ts";

/** A row that has a time, and how it is called. */
interface Mark extends Achieved {
  readonly name: string;
  readonly colour: string;
}

const LEFT = 104;
const RADIUS = 4.5;

/** How much of the roof is drawn on each side of its knee at least, as factors. */
const SLOPE = 8;
const FLAT = 4;

/** Draws a run's rows under a device's roof; rows without a time are left out. */
export function drawRoofline(
  device: string,
  roof: Roof,
  rows: readonly RoofRow[],
): string {
  const marks = rows.flatMap((row) => {
    const what = achieved(row);
    return what ? [{ ...what, name: nameOf(row), colour: colourOf(row.strategy) }] : [];
  });
  const plot = plotBeside(marks.map(({ name }) => name), LEFT);
  const knee = kneeOf(roof);
  const intensities = marks.map(({ intensity }) => intensity);
  const xBounds = powerBounds([...intensities, knee / SLOPE, knee * FLAT], 2);
  const rates = [
    ...marks.map(({ flopsPerSecond }) => flopsPerSecond),
    roof.flopsPerSecond,
    roofAt(roof, xBounds[0]),
  ];
  const x = logScale(xBounds, [plot.left, plot.right]);
  // Half as much again on both sides leaves room for the roof's own label.
  const y = logScale(
    powerBounds([Math.min(...rates) / 1.5, Math.max(...rates) * 1.5], 2),
    [plot.bottom, plot.top],
  );
  const dtypes = [...new Set(rows.map(({ dtype }) => dtype))].join(", ");
  const title = "What each strategy reaches of the device's peaks";
  return svgDocument(
    {
      width: WIDTH,
      height: plot.bottom + BELOW,
      title,
      description: describe(roof, marks),
      style: STYLE,
    },
    text(plot.left, 28, "title", title),
    ...subtitle(plot.left, dtypes ? `${device}, ${dtypes}` : device),
    element("g", { class: "axes" }, ...axes(x, y, plot)),
    element("g", { class: "roof-lines" }, ...roofLines(roof, x, y, plot)),
    element("g", { class: "leaders" }, ...leaders(marks, x, y, plot)),
    element("g", { class: "roof-labels" }, ...roofLabels(roof, x, y, plot)),
    element("g", { class: "marks" }, ...marks.map((mark) => dot(mark, roof, x, y))),
    element("g", { class: "labels" }, ...labels(marks, y, plot)),
  );
}

/** Returns a strategy's colour; what other programs call theirs has one of its own. */
function colourOf(strategy: string): string {
  return strategy in STRATEGY_COLOUR ? STRATEGY_COLOUR[strategy as StrategyName] : "f";
}

/** Returns what was timed, with the shape as `--shape` takes it. */
function nameOf({ strategy, pass, tokens, hidden, vocab }: RoofRow): string {
  return `${strategy} ${pass} ${tokens}x${hidden}x${vocab}`;
}

function axes(x: LogScale, y: LogScale, { left, right, top, bottom }: Plot): Markup[] {
  const middle = (top + bottom) / 2;
  return [
    ...decimalTicks([y.least, y.most], 12).flatMap((rate) => [
      line(left, y.at(rate), right, y.at(rate), "rule"),
      text(left - 8, y.at(rate) + 4, "small muted end", shortRate(rate, "FLOP/s")),
    ]),
    ...powerTicks([x.least, x.most], 14).flatMap((intensity) => [
      line(x.at(intensity), top, x.at(intensity), bottom, "rule"),
      text(x.at(intensity), bottom + 18, "small muted middle", shortIntensity(intensity)),
    ]),
    text((left + right) / 2, bottom + 42, "middle", "FLOP per byte read or written"),
    element(
      "text",
      { x: 18, y: middle, class: "middle", transform: `rotate(-90 18 ${coordinate(middle)})` },
      "FLOP/s",
    ),
  ];
}

/**
 * Returns the slope that memory sets, the flat that arithmetic sets, and a line down from where
 * they meet.
 */
function roofLines(roof: Roof, x: LogScale, y: LogScale, { bottom }: Plot): Markup[] {
  const knee = kneeOf(roof);
  const corner = (intensity: number) =>
    `${coordinate(x.at(intensity))} ${coordinate(y.at(roofAt(roof, intensity)))}`;
  return [
    line(x.at(knee), y.at(roof.flopsPerSecond), x.at(knee), bottom, "level"),
    element("path", {
      d: `M${[x.least, knee, x.most].map(corner).join("L")}`,
      class: "line outline roof",
    }),
  ];
}

/** Returns the peaks' figures along the roof, and the knee's at its foot. */
function roofLabels(roof: Roof, x: LogScale, y: LogScale, { right, bottom }: Plot): Markup[] {
  const knee = kneeOf(roof);
  const [kneeX, kneeY] = [x.at(knee), y.at(roof.flopsPerSecond)];
  const [leftX, leftY] = [x.least, roofAt(roof, x.least)].map((value, index) =>
    (index === 0 ? x : y).at(value)
  ) as [number, number];
  const along = [(leftX + kneeX) / 2, (leftY + kneeY) / 2] as const;
  const angle = (Math.atan2(kneeY - leftY, kneeX - leftX) * 180) / Math.PI;
  return [
    text(
      right - 6,
      kneeY - 8,
      "small strong halo end",
      `peak arithmetic ${shortRate(roof.flopsPerSecond, "FLOP/s")}`,
    ),
    element(
      "text",
      {
        x: along[0],
        y: along[1] - 8,
        class: "small strong halo middle",
        transform: `rotate(${coordinate(angle)} ${along.map(coordinate).join(" ")})`,
      },
      `peak bandwidth ${shortRate(roof.bytesPerSecond, "B/s")}`,
    ),
    text(kneeX + 5, bottom - 6, "small muted halo", `${knee.toPrecision(3)} FLOP per byte`),
  ];
}

function dot(
  { name, colour, intensity, flopsPerSecond }: Mark,
  roof: Roof,
  x: LogScale,
  y: LogScale,
) {
  const share = ((100 * flopsPerSecond) / roofAt(roof, intensity)).toFixed(0);
  return element(
    "g",
    { class: "mark", "data-name": name },
    element(
      "title",
      {},
      `${name}: ${shortRate(flopsPerSecond, "FLOP/s")} at ${
        intensity.toPrecision(3)
      } FLOP per byte, ${share} % of the roof`,
    ),
    element("circle", {
      cx: x.at(intensity),
      cy: y.at(flopsPerSecond),
      r: RADIUS,
      class: `f-${colour} halo`,
    }),
  );
}

/** Returns the heights of the labels: those of their marks, as far as they stay apart. */
function labelHeights(marks: readonly Mark[], y: LogScale, { top, bottom }: Plot): number[] {
  return spread(marks.map((mark) => y.at(mark.flopsPerSecond)), LABEL_GAP, [top, bottom]);
}

/** Straight from each mark to its label: two marks of one height part at once. */
function leaders(marks: readonly Mark[], x: LogScale, y: LogScale, plot: Plot): Markup[] {
  const heights = labelHeights(marks, y, plot);
  return marks.map(({ intensity, flopsPerSecond, colour }, index) =>
    line(
      x.at(intensity),
      y.at(flopsPerSecond),
      plot.right + LEADER - 4,
      heights[index]!,
      `leader s-${colour}`,
    )
  );
}

function labels(marks: readonly Mark[], y: LogScale, plot: Plot): Markup[] {
  const heights = labelHeights(marks, y, plot);
  return marks.map(({ name, colour }, index) =>
    text(plot.right + LEADER, heights[index]! + 4, `f-${colour}`, name)
  );
}

/** Returns the picture in words. */
function describe(roof: Roof, marks: readonly Mark[]): string {
  return [
    `FLOP/s against FLOP per byte, on logarithmic axes. Peak arithmetic ${
      shortRate(roof.flopsPerSecond, "FLOP/s")
    }, peak bandwidth ${shortRate(roof.bytesPerSecond, "B/s")}; they meet at ${
      kneeOf(roof).toPrecision(3)
    } FLOP per byte.`,
    ...marks.map(({ name, intensity, flopsPerSecond }) =>
      `${name}: ${shortRate(flopsPerSecond, "FLOP/s")} at ${intensity.toPrecision(3)}.`
    ),
  ].join(" ");
}

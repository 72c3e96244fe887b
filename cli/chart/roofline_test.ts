import assert from "node:assert/strict";
import fc from "fast-check";
import { EXIT } from "../exit.ts";
import { renderBench } from "../report/bench.ts";
import type { BenchRow } from "../bench/bench_row.ts";
import { STRATEGIES } from "../../planner/schedule/schedule.ts";
import { lce, row as measured, withFile } from "../testing.ts";
import { drawRoofline } from "./roofline.ts";
import { decimalTicks, shortIntensity, shortRate } from "./scale.ts";
import {
  assertApart,
  assertWithinViewBox,
  corners,
  type Node,
  ofClass,
  parseSvg,
} from "./testing.ts";

/** Knee at 32 FLOP per byte. */
const ROOF = { flopsPerSecond: 64e12, bytesPerSecond: 2e12 };

type Work = Pick<BenchRow, "flops" | "bytesMoved" | "ms"> & Partial<BenchRow>;

/** Returns a measurement without spread. */
function row(work: Work): BenchRow {
  return measured({ fastest: work.ms, slowest: work.ms, ...work });
}

/** Returns where each mark is. */
function places(root: Node): [number, number][] {
  return ofClass(root, "mark").map(({ children }) => {
    const { attributes } = children.find(({ name }) => name === "circle")!;
    return [Number(attributes.cx), Number(attributes.cy)];
  });
}

/** Returns the height of the roof at an x, between the corners of its path. */
function roofHeight(root: Node, x: number): number {
  const [start, knee, end] = corners(ofClass(root, "roof")[0]!);
  const [from, to] = x <= knee![0] ? [start!, knee!] : [knee!, end!];
  return from[1] + ((x - from[0]) / (to[0] - from[0])) * (to[1] - from[1]);
}

/** Rows that reach a share of what the roof allows at an intensity. */
const anyRows = fc.array(
  fc.record({
    intensity: fc.double({ min: 0.05, max: 5000, noNaN: true }),
    share: fc.double({ min: 0.001, max: 1, noNaN: true }),
    strategy: fc.constantFrom(...STRATEGIES),
  }),
  { maxLength: 40 },
).map((all) =>
  all.map(({ intensity, share, strategy }) => {
    const flops = 1e12;
    const allowed = Math.min(ROOF.flopsPerSecond, intensity * ROOF.bytesPerSecond);
    return row({
      strategy,
      flops,
      bytesMoved: flops / intensity,
      ms: (1000 * flops) / (share * allowed),
    });
  })
);

Deno.test("any roofline is within its view box, its labels apart, no mark above the roof", () => {
  fc.assert(
    fc.property(anyRows, (rows) => {
      const root = parseSvg(drawRoofline("a < b", ROOF, rows));
      assertWithinViewBox(root);
      const marks = places(root);
      assert.equal(marks.length, rows.length);
      // SVG counts downwards; coordinates are rounded to a tenth.
      for (const [x, y] of marks) assert(y >= roofHeight(root, x) - 0.3);
      const labels = ofClass(root, "labels")[0]!.children;
      assert.deepEqual(
        labels.map(({ text }) => text),
        rows.map(({ strategy }) => `${strategy} forward 32x64x256`),
      );
      assertApart(labels);
    }),
    { numRuns: 60 },
  );
});

Deno.test("the slope meets the flat at peak arithmetic over peak bandwidth", () => {
  // Three rows on the roof: one on the slope, one at the knee of 32, one on the flat.
  const rows = [8, 32, 128].map((intensity) =>
    row({
      flops: 1e12,
      bytesMoved: 1e12 / intensity,
      ms: intensity === 8 ? 1e15 / 16e12 : 1e15 / 64e12,
    })
  );
  const root = parseSvg(drawRoofline("a device", ROOF, rows));
  const [slope, knee, flat] = places(root);
  const path = corners(ofClass(root, "roof")[0]!);
  assert.equal(path.length, 3);
  const near = (one: number, other: number) =>
    assert(Math.abs(one - other) <= 0.2, `${one} and ${other}`);
  near(path[1]![0], knee![0]);
  near(path[1]![1], knee![1]);
  near(path[1]![1], path[2]![1]);
  near(flat![1], path[2]![1]);
  near(slope![1], roofHeight(root, slope![0]));
  assert(path[0]![0] < slope![0] && path[0]![1] > slope![1], "the slope rises to the right");
  // 8 to 32 and 32 to 128 are the same step on a logarithmic axis.
  near(knee![0] - slope![0], flat![0] - knee![0]);
  const texts = ofClass(root, "roof-labels")[0]!.children.map(({ text }) => text);
  assert.deepEqual(texts, [
    "peak arithmetic 64 TFLOP/s",
    "peak bandwidth 2 TB/s",
    "32.0 FLOP per byte",
  ]);
});

Deno.test("a mark that caches lift above the roof stays in the picture, one without a time is left out", () => {
  const rows = [
    row({ flops: 1e12, bytesMoved: 1e12, ms: 1 }),
    row({ flops: null, bytesMoved: null, ms: null, missing: "too large" }),
  ];
  const root = parseSvg(drawRoofline("a device", ROOF, rows));
  assertWithinViewBox(root);
  const [[x, y]] = places(root) as [[number, number]];
  assert(y < roofHeight(root, x));
  assert.equal(ofClass(root, "mark").length, 1);
});

Deno.test("below the table stand the peaks and the best row's share", () => {
  const rows = [
    row({ flops: 1e12, bytesMoved: 1e10, ms: 1e15 / 16e12 }),
    row({ flops: 1e12, bytesMoved: 1e11, ms: 1e15 / 15e12, strategy: "two-stage" }),
  ];
  const show = (rows: BenchRow[], format: "table" | "markdown" | "csv" | "json") =>
    renderBench(rows, format, { kernels: false, peaks: { ...ROOF, secondsPerDispatch: 1e-6 } });
  for (const format of ["table", "markdown"] as const) {
    const [peaks, best] = show(rows, format).split("\n").slice(-2);
    assert.match(peaks!, /64\.0 TFLOP\/s, reading 2\.00 TB\/s; .* from 32\.0 FLOP per byte\.$/);
    assert.match(best!, /^Best: fused, forward, 32x64x256: 16\.0 TFLOP\/s.* 25 % of the peak\.$/);
  }
  // 10 FLOP per byte at 2 TB/s allow 20 TFLOP/s, of which 15 are three quarters.
  assert.match(
    show([rows[1]!], "table"),
    / 23 % of the peak, 75 % of what memory allows at 10\.0 /,
  );
  assert.equal(JSON.parse(show(rows, "json")).length, 2);
  assert.equal(show(rows, "csv").split("\n").length, 3);
  assert.doesNotMatch(show([], "table"), /Best/);
});

Deno.test("ticks of rates are round, those of intensities powers of two", () => {
  assert.deepEqual(decimalTicks([3e9, 6e10], 12).map((rate) => shortRate(rate, "FLOP/s")), [
    "5 GFLOP/s",
    "10 GFLOP/s",
    "20 GFLOP/s",
    "50 GFLOP/s",
  ]);
  assert.deepEqual(decimalTicks([3e9, 6e13], 5), [1e10, 1e11, 1e12, 1e13]);
  assert.deepEqual([0.25, 1, 2048].map(shortIntensity), ["1/4", "1", "2048"]);
  assert.equal(shortRate(999, "B/s"), "999 B/s");
});

Deno.test("--roofline is checked before anything is measured", async () => {
  const refused = async (args: string[], message: RegExp) => {
    const { code, out, err } = await lce("bench", ...args);
    assert.equal(code, EXIT.usage, err);
    assert.match(err, message);
    assert.equal(out, "");
  };
  await refused(["--roofline", "x.png"], /--roofline x.png: .*must end in .svg/);
  await refused(["--force"], /--force: needs --roofline/);
  await withFile("precious", async (path) => {
    await refused(["--roofline", path], /exists already; --force replaces it/);
    assert.equal(await Deno.readTextFile(path), "precious");
  }, ".svg");
});

import assert from "node:assert/strict";
import fc from "fast-check";
import { type Chart, drawChart, type Series } from "./chart.ts";
import { powerTicks, roundTicks, shortBytes, shortCount } from "./scale.ts";
import {
  assertApart,
  assertTextsWithin,
  assertWithinViewBox,
  corners,
  ofClass,
  parseSvg,
  walk,
} from "./testing.ts";

function chart(series: readonly Series[], levels: Chart["levels"] = []): Chart {
  return {
    title: "a < b & c",
    subtitle: 'on "x"\u0007',
    xLabel: "tokens",
    yLabel: "bytes",
    formatX: shortCount,
    series,
    levels,
  };
}

const XS = [1024, 2048, 4096, 8192, 16384];
const bytes = fc.option(fc.integer({ min: 1, max: 2 ** 50 }), { nil: undefined });
const anySeries = fc.array(fc.array(bytes, { minLength: 5, maxLength: 5 }), {
  minLength: 1,
  maxLength: 24,
})
  .map((all) =>
    all.map((ys, index): Series => ({
      name: `method ${index}`,
      colour: "a",
      points: XS.map((x, at) => ({ x, y: ys[at] })),
    }))
  );
const anyLevels = fc.array(fc.integer({ min: 1, max: 2 ** 45 }), { maxLength: 3 })
  .map((all) => all.map((bytes) => ({ label: `${bytes}`, bytes })));

Deno.test("any chart is well-formed, within its view box, with labels apart and every point drawn", () => {
  fc.assert(
    fc.property(anySeries, anyLevels, (series, levels) => {
      const root = parseSvg(drawChart(chart(series, levels)));
      assertWithinViewBox(root);
      const withPoints = series.filter(({ points }) => points.some(({ y }) => y !== undefined));
      const drawn = ofClass(root, "series");
      assert.deepEqual(
        drawn.map(({ attributes }) => attributes["data-name"]),
        withPoints.map(({ name }) => name),
      );
      withPoints.forEach(({ points }, index) => {
        const path = drawn[index]!.children.find(({ name }) => name === "path")!;
        assert.equal(corners(path).length, points.filter(({ y }) => y !== undefined).length);
      });
      const labels = ofClass(root, "labels")[0]!.children.filter(({ name }) => name === "text");
      assert.deepEqual(labels.map(({ text }) => text), withPoints.map(({ name }) => name));
      const levelLabels = ofClass(root, "level-labels")[0]!.children
        .filter(({ name }) => name === "text");
      assert.deepEqual(levelLabels.map(({ text }) => text), levels.map(({ label }) => label));
      assertApart([...labels, ...levelLabels]);
      // Beside the plot, where nothing strikes them through.
      const right = Math.max(
        ...ofClass(root, "rule").map(({ attributes }) => Number(attributes.x2)),
      );
      for (const { attributes } of [...labels, ...levelLabels]) {
        assert(Number(attributes.x) > right);
      }
    }),
    { numRuns: 60 },
  );
});

Deno.test("more bytes are higher up, more tokens further right, both by their logarithms", () => {
  const values = [3, 48, 768, 12288, 196608];
  const root = parseSvg(drawChart(chart([{
    name: "one",
    colour: "a",
    points: XS.map((x, index) => ({ x, y: values[index] })),
  }])));
  const path = ofClass(root, "series")[0]!.children.find(({ name }) => name === "path")!;
  const places = corners(path);
  for (let index = 1; index < places.length; index++) {
    // Each value is 16 times the one before, each x twice: equal steps on the paper.
    const step = (of: number) => places[index]![of as 0 | 1] - places[index - 1]![of as 0 | 1];
    assert(step(0) > 0 && step(1) < 0);
    assert(Math.abs(step(0) - (places[1]![0] - places[0]![0])) < 0.3);
    assert(Math.abs(step(1) - (places[1]![1] - places[0]![1])) < 0.3);
  }
});

Deno.test("a line breaks where a value is missing", () => {
  const ys = [5, undefined, 7, 8, undefined];
  const root = parseSvg(drawChart(chart([{
    name: "one",
    colour: "a",
    points: XS.map((x, index) => ({ x, y: ys[index] })),
  }])));
  const { d } = ofClass(root, "series")[0]!.children.find(({ name }) => name === "path")!
    .attributes;
  assert.match(d!, /^M[\d. ]+h0M[\d. ]+L[\d. ]+$/);
});

Deno.test("a picture has a name, a description, both schemes, and nothing from elsewhere", () => {
  const source = drawChart(chart([{ name: "<b>", colour: "a", points: [{ x: 1, y: 1024 }] }]));
  const root = parseSvg(source);
  const texts = new Map([...walk(root)].map(({ name, text }) => [name, text]));
  assert.equal(root.children[0]!.name, "title");
  assert.equal(root.children[0]!.text, "a < b & c");
  assert.match(texts.get("desc")!, /<b>: 1 KiB at 1\./);
  assert.match(texts.get("style")!, /prefers-color-scheme: dark/);
  assert.equal(root.attributes.role, "img");
  assert(!/<script|href|url\(|@import|@font-face/.test(source));
  assert.equal(source.match(/https?:/g)!.length, 1, "the namespace alone");
});

Deno.test("what a picture is about stays within it, however long the device's name", () => {
  for (const length of [10, 120, 200, 1000]) {
    const words = "a device of a name ".repeat(length / 10).slice(0, length);
    const about = { ...chart([{ name: "x", colour: "a", points: [{ x: 1, y: 1 }] }]) };
    const root = parseSvg(drawChart({ ...about, subtitle: words, notes: [words] }));
    assertTextsWithin(root);
    assertWithinViewBox(root);
    assert.equal(ofClass(root, "notes")[0]!.children.map(({ text }) => text).join(" "), words);
  }
  const one = chart([{ name: "x", colour: "a", points: [{ x: 1, y: 1 }] }]);
  assertTextsWithin(parseSvg(drawChart({ ...one, subtitle: "x".repeat(500) })));
});

Deno.test("ticks are round and read as people write them", () => {
  assert.deepEqual(powerTicks([2 ** 10, 2 ** 16], 12, { step: 2 }).map(shortBytes), [
    "1 KiB",
    "4 KiB",
    "16 KiB",
    "64 KiB",
  ]);
  assert.deepEqual(powerTicks([1024, 65536], 4).map(shortCount), ["1k", "4k", "16k", "64k"]);
  assert.deepEqual(powerTicks([768, 1500], 9, { values: [768, 1000, 1500] }), [768, 1000, 1500]);
  assert.deepEqual(roundTicks(2290, 8), [0, 500, 1000, 1500, 2000]);
  assert.deepEqual(roundTicks(2.67 * 2 ** 30, 5, 1024).map(shortBytes), [
    "0 B",
    "1 GiB",
    "2 GiB",
  ]);
});

import assert from "node:assert/strict";
import fc from "fast-check";
import { compareRows, noteComparison, readEarlier, regressions, verdict } from "./against.ts";
import { EXIT } from "../exit.ts";
import { parseShare } from "../request/against_flags.ts";
import { renderBench } from "../report/bench.ts";
import type { BenchRow } from "./bench_row.ts";
import { lce, row, withFile } from "../testing.ts";

const VERDICTS: readonly [string, number[], number[], string][] = [
  ["apart and less time", [8.8, 8.7, 8.9], [10, 9.9, 10.1], "12 % faster"],
  ["apart and more time", [10.8, 10.7, 10.9], [10, 9.9, 10.1], "8 % slower"],
  ["less than a per cent", [9.96, 9.955, 9.965], [10, 9.995, 10.005], "0.4 % faster"],
  ["overlapping spreads", [8, 7, 9.95], [10, 9.9, 10.1], "noise"],
  ["one spread within the other", [10, 9.99, 10.01], [10.5, 8, 12], "noise"],
  // Medians 25 % apart, repeats no more than 21 %.
  ["tails that overlap under medians far apart", [10, 8.9, 11], [8, 7.9, 9.2], "noise"],
  ["spreads that touch", [9, 8, 9.5], [10, 9.5, 10.1], "noise"],
  // Apart by 0.1 ms, but medians 5 % apart where repeats are 10 % apart.
  ["medians nearer than repeats", [9.5, 8.9, 9.89], [10, 9.9, 10.1], "noise"],
  ["the same time without a spread", [10, 10, 10], [10, 10, 10], "noise"],
];
for (const [what, [ms, fastest, slowest], [was, wasFastest, wasSlowest], expected] of VERDICTS) {
  Deno.test(`${what}: ${expected}`, () => {
    const now = { ms: ms!, fastest: fastest!, slowest: slowest! };
    const earlier = { ms: was!, fastest: wasFastest!, slowest: wasSlowest! };
    assert.equal(verdict(now, earlier), expected);
  });
}

Deno.test("a run is no faster than another that is no slower than it", () => {
  const times = fc.tuple(fc.integer({ min: 1, max: 1e6 }), fc.nat(1000), fc.nat(1000))
    .map(([ms, below, above]) => ({
      ms,
      fastest: Math.max(0.5, ms - below),
      slowest: ms + above,
    }));
  fc.assert(fc.property(times, times, (one, other) => {
    const [there, back] = [verdict(one, other), verdict(other, one)];
    assert(!(there.endsWith("faster") && back.endsWith("faster")));
    assert(!(there.endsWith("slower") && back.endsWith("slower")));
    assert.equal(verdict(one, one), "noise");
  }));
});

Deno.test("rows are compared with those of the same strategy, pass, shape and dtype only", () => {
  const now = row();
  for (
    const other of [
      { strategy: "two-stage" },
      { pass: "train" },
      { tokens: 33 },
      { hidden: 65 },
      { vocab: 257 },
      { dtype: "bf16" },
    ] as const
  ) {
    const [compared] = compareRows([now], [row(other)]);
    assert.equal(compared!.against, null, JSON.stringify(other));
    assert.equal(compared!.againstMs, null);
  }
  const [compared] = compareRows([now], [
    row({ vocab: 1 }),
    row({ device: "another", ms: 5 }),
    row({ webgpu: "dawn", ms: 6 }),
    row({ ms: 20, fastest: 19, slowest: 21 }),
  ]);
  assert.equal(compared!.againstMs, 20, "of the same device and WebGPU, though it comes later");
  assert.equal(compared!.againstRatio, 0.5);
  assert.equal(compared!.against, "50 % faster");
});

Deno.test("a row without a time on either side has no verdict", () => {
  const none = row({ ms: null, fastest: null, slowest: null, tile: null, missing: "too large" });
  assert.equal(compareRows([none], [row()])[0]!.against, null);
  assert.equal(compareRows([none], [row()])[0]!.againstMs, 10);
  assert.equal(compareRows([row()], [none])[0]!.against, null);
});

Deno.test("the comparison is a column for people and fields for programs", () => {
  const rows = compareRows([row(), row({ pass: "train" })], [
    row({ ms: 20, fastest: 19, slowest: 21, device: "another" }),
  ]);
  const show = (format: Parameters<typeof renderBench>[1]) =>
    renderBench(rows, format, { kernels: false, against: true });
  const [, , header, first, second] = show("table").split("\n");
  assert.match(header!, /to two-stage +against +memory against +extra/);
  assert.match(first!, / 50 % faster +same +1\.00 KiB/);
  assert.match(second!, / - +- +1\.00 KiB/);
  assert.match(show("markdown"), /\| 50 % faster \| same \|.*\n.*\| - \|/);
  const [one, two] = JSON.parse(show("json"));
  assert.equal(one.againstMs, 20);
  assert.equal(one.againstRatio, 0.5);
  assert.equal(one.against, "50 % faster");
  assert.equal(one.againstDevice, "another");
  assert.equal(two.against, null);
  assert.match(
    show("csv").split("\n")[0]!,
    /,againstMs,.*againstRatio,against,againstExtraPeakBytes,againstMemory$/,
  );
  const plain = renderBench([row()], "table", { kernels: false });
  assert.doesNotMatch(plain, /against/);
});

Deno.test("another device, no partner and single repeats are said on stderr", () => {
  const notes = (now: BenchRow[], earlier: BenchRow[]) => {
    const said: string[] = [];
    noteComparison("x.json", compareRows(now, earlier), {
      print: () => assert.fail("no result"),
      note: (text) => said.push(text),
      progress: () => {},
    });
    return said;
  };
  assert.deepEqual(notes([row()], [row()]), []);
  const [device] = notes([row()], [row({ device: "another" })]);
  assert.match(device!, /--against x.json: measured on another, by deno, not on a device, by deno/);
  const [dawn] = notes([row({ webgpu: "dawn" })], [row()]);
  assert.match(dawn!, /--against x.json: measured on a device, by deno, not on a device, by dawn$/);
  assert.deepEqual(notes([row()], [row({ webgpu: null })]), [], "an older file does not say");
  assert.throws(() => notes([row()], [row({ vocab: 1 })]), {
    name: "InputError",
    message: /no measurement of the same strategy/,
  });
  assert.match(
    notes([row(), row({ vocab: 1 })], [row()])[0]!,
    /says nothing of 1 of 2 rows: 32x64x1 f32 forward fused/,
  );
  assert.match(notes([row()], [row({ fastest: 10, slowest: 10 })])[0]!, /1 of 1 rows .* single/);
});

Deno.test("JSON of a run, compared or not, is what --against takes", async () => {
  const rows = [row(), row({ ms: null, fastest: null, slowest: null, missing: "too large" })];
  const again = compareRows(rows, rows);
  for (const written of [rows, again]) {
    await withFile(renderBench(written, "json", { kernels: false }), async (path) => {
      const earlier = await readEarlier(path);
      assert.deepEqual(earlier.map(({ ms }) => ms), [10, null]);
      assert.equal(compareRows(rows, earlier)[0]!.against, "noise");
    }, ".json");
  }
});

Deno.test("rows of before, and those of other programs without a spread, are taken too", async () => {
  const path = decodeURIComponent(new URL("../../bench/h100.json", import.meta.url).pathname);
  const earlier = await readEarlier(path);
  const [first] = JSON.parse(await Deno.readTextFile(path));
  const { tokens, hidden, vocab, strategy, pass, dtype, ms } = first;
  const same = { tokens, hidden, vocab, strategy, pass, dtype };
  const [compared] = compareRows([row({ ...same, ms: 2 * ms })], earlier);
  assert.equal(compared!.againstMs, ms);
  assert.equal(compared!.againstRatio, 2);
  // What was computed otherwise is another measurement.
  const other = row({ ...same, dtype: "f16", ms });
  assert.equal(compareRows([other], earlier.slice(0, 1))[0]!.againstMs, null);
});

const { fastest: _, ...partial } = row();
const { dtype: __, ...untyped } = row();
const MALFORMED: readonly [string, string, RegExp][] = [
  ["no JSON", "shape,pass\n", /is not JSON/],
  ["a map", "{}", /must be a list of rows, as "lce bench --json" prints it/],
  ["no rows", "[]", /holds no rows/],
  ["a row that is none", JSON.stringify([row(), 3]), /row 2: must be a map of fields/],
  ["a row without a type", JSON.stringify([row(), untyped]), /row 2: dtype is needed/],
  ["a time in words", JSON.stringify([{ ...row(), ms: "10" }]), /row 1: ms "10": .*number/],
  ["no time at all", JSON.stringify([row({ ms: 0 })]), /row 1: ms 0: /],
  [
    "a median beyond its repeats",
    JSON.stringify([{ ...partial, slowest: 4 }]),
    /row 1: slowest 4: less than ms, which is 10/,
  ],
];
for (const [what, text, message] of MALFORMED) {
  Deno.test(`--against a file with ${what} exits with 4, before anything is measured`, async () => {
    await withFile(text, async (path) => {
      const { code, out, err } = await lce("bench", "--against", path);
      assert.equal(code, EXIT.input, err);
      assert.match(err, message);
      assert(err.includes(path), err);
      assert.equal(out, "");
    }, ".json");
  });
}

Deno.test("--against a missing file exits with 4 and names it", async () => {
  const { code, err } = await lce("bench", "--against", "/nonexistent/before.json");
  assert.equal(code, EXIT.input);
  assert.equal(err, "lce: /nonexistent/before.json does not exist\n");
});

Deno.test("memory is compared to the byte", () => {
  const cases: [number | null, number | null, string | null][] = [
    [1024, 1024, "same"],
    [1025, 1024, "0.1 % more"],
    [10240, 1024, "900 % more"],
    [512, 1024, "50 % less"],
    [2048, 0, "2.00 KiB more"],
    [null, 1024, null],
    [1024, null, null],
  ];
  for (const [now, before, expected] of cases) {
    const [compared] = compareRows([row({ extraPeakBytes: now })], [
      row({ extraPeakBytes: before }),
    ]);
    assert.equal(compared!.againstMemory, expected);
  }
});

Deno.test("a row is worse where time grew by more than noise and a share, memory by a share, or no time is left", () => {
  const slower = { ms: 11, fastest: 10.9, slowest: 11.1 };
  const none = { ms: null, fastest: null, slowest: null, missing: "too large" };
  const cases: [Partial<BenchRow>, number, RegExp | undefined][] = [
    [{}, 0, undefined],
    [slower, 0.05, /^32x64x256 f32 forward fused: 10 % slower$/],
    [slower, 0.2, undefined],
    // More than the share, but the repeats overlap.
    [{ ms: 11, fastest: 9, slowest: 12 }, 0.05, undefined],
    [{ ms: 9, fastest: 8.9, slowest: 9.1 }, 0, undefined],
    [{ extraPeakBytes: 1100 }, 0.05, /: 7 % more memory$/],
    [{ extraPeakBytes: 1100 }, 0.1, undefined],
    [none, 9, /: had a time, and has none now$/],
  ];
  for (const [now, share, expected] of cases) {
    const worse = regressions(compareRows([row(now)], [row()]), share);
    assert.equal(worse.length, expected ? 1 : 0, JSON.stringify(now));
    if (expected) assert.match(worse[0]!, expected);
  }
});

Deno.test("--fail-over takes a percentage, and needs an earlier run", async () => {
  assert.deepEqual(["10%", "2.5 %", "0", "150"].map(parseShare), [0.1, 0.025, 0, 1.5]);
  for (const text of ["", "-1%", "ten", "1e1"]) {
    const { code, err } = await lce("bench", "--against", "x.json", "--fail-over", text);
    assert.equal(code, EXIT.usage, text);
    assert.match(err, /is no share: write a percentage, such as 10%/);
  }
  const { code, err } = await lce("bench", "--fail-over", "10%");
  assert.equal(code, EXIT.usage);
  assert.match(err, /--fail-over: needs --against/);
});

Deno.test("why a row has no time is said below the rows, and stretches none of them", () => {
  const missing = "No schedule fits the device: ".padEnd(200, "so it is ");
  const none = row({ ms: null, fastest: null, slowest: null, tflops: null, tile: null, missing });
  const [, lines, why] = renderBench([row(), none], "table", { kernels: false }).split("\n\n");
  assert(lines!.split("\n").every((line) => line.length < 180), lines);
  assert.equal(why, `32x64x256 f32 forward fused: ${missing}`);
});

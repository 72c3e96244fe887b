import assert from "node:assert/strict";
import { withFolder } from "../fixtures/testing.ts";
import { SPECIFICATION_DEFAULTS } from "../planner/device.ts";
import { findDevice } from "../planner/devices/profiles.ts";
import { makePlan } from "../planner/plan.ts";
import { parseProblem } from "../planner/problem_schema.ts";
import { formatBytes } from "../planner/units.ts";
import { EXIT } from "./exit.ts";
import { lce, row } from "./testing.ts";

const SIZES = ["--vocab", "5000", "--hidden", "64", "--tokens", "900", "--device", "h100-deno"];

Deno.test("lce report writes one page with the plan's figures, which asks for nothing else", () =>
  withFolder(async (folder) => {
    const path = `${folder}/report.html`;
    const bench = `${folder}/bench.json`;
    await Deno.writeTextFile(
      bench,
      JSON.stringify([row({ device: "<b>a & b</b>", ms: 12.5, slowest: 13 })]),
    );
    const { code, err } = await lce("report", ...SIZES, "--bench", bench, "-o", path);
    assert.equal(code, EXIT.ok, err);
    const page = await Deno.readTextFile(path);
    const problem = parseProblem({ vocab: 5000, hidden: 64, tokens: 900 });
    const { memory, outline } = makePlan(problem, findDevice("h100-deno")!.profile, {
      hostIo: false,
      weights: "resident",
    });
    for (
      const part of [
        formatBytes(memory.peakBytes),
        formatBytes(memory.extraPeakBytes),
        outline.strategy,
        "&lt;b&gt;a &amp; b&lt;/b&gt;",
        "12.5 ms",
        "lce report --tokens 900 --hidden 64 --vocab 5000",
      ]
    ) assert(page.includes(part), part);
    const asked = [...page.matchAll(/\b(src|href)="([^"]*)"/g)]
      .filter(([, name, address]) => !(name === "href" && address!.startsWith("https://")))
      .filter(([, , address]) => !address!.startsWith("data:"));
    assert.deepEqual(asked, []);
    assert(!page.includes("<script"));
  }));

Deno.test("a report replaces nothing untold, is a page by its name, and is whole or not there", () =>
  withFolder(async (folder) => {
    const path = `${folder}/report.html`;
    await Deno.writeTextFile(path, "mine");
    const kept = await lce("report", ...SIZES, "-o", path);
    assert.equal(kept.code, EXIT.usage);
    assert.match(kept.err, /exists already; --force replaces it/);
    assert.equal(await Deno.readTextFile(path), "mine");
    assert.equal((await lce("report", ...SIZES, "-o", path, "--force")).code, EXIT.ok);
    assert.match(await Deno.readTextFile(path), /^<!DOCTYPE html>/);
    const named = await lce("report", ...SIZES, "-o", `${folder}/report.pdf`);
    assert.equal(named.code, EXIT.usage);
    const none = await lce("report", ...SIZES, "--budget", "1KiB", "-o", `${folder}/none.html`);
    assert.equal(none.code, EXIT.doesNotFit);
    assert.deepEqual([...Deno.readDirSync(folder)].map(({ name }) => name), ["report.html"]);
  }));

/** What a page's pictures show, as the SVG documents that they are. */
function pictures(page: string): string[] {
  return [...page.matchAll(/src="data:image\/svg\+xml,([^"]*)"/g)]
    .map(([, text]) => decodeURIComponent(text!));
}

/** Texts of the cells of the rows that begin with one of some names. */
function rowsOf(page: string, names: readonly string[]): string[][] {
  return [...page.matchAll(/<tr[^>]*>([\s\S]*?)<\/tr>/g)]
    .map(([, row]) =>
      [...row!.matchAll(/<t[hd][^>]*>([\s\S]*?)<\/t[hd]>/g)].map(([, cell]) =>
        cell!.replaceAll(/<[^>]*>/g, "").trim()
      )
    )
    .filter(([name]) => names.includes(name!));
}

Deno.test("a report of a sweep has its chart, and at each point what a plan says", () =>
  withFolder(async (folder) => {
    const path = `${folder}/sweep.html`;
    const { code, err } = await lce(
      ...["report", "--vocab", "5000", "--hidden", "64", "--sweep", "tokens=100,900"],
      ...["--peers", "liger", "-o", path],
    );
    assert.equal(code, EXIT.ok, err);
    const page = await Deno.readTextFile(path);
    const found = rowsOf(page, ["100", "900"]);
    assert.equal(found.length, 2);
    for (const [tokens, strategy, peak, extra] of found) {
      const problem = parseProblem({ vocab: 5000, hidden: 64, tokens: Number(tokens) });
      const plan = makePlan(problem, SPECIFICATION_DEFAULTS, {});
      assert.equal(strategy, plan.outline.strategy);
      assert.equal(peak, formatBytes(plan.memory.peakBytes));
      assert.equal(extra, formatBytes(plan.memory.extraPeakBytes));
    }
    const [chart, ...others] = pictures(page);
    assert.deepEqual(others, []);
    assert.match(chart!, /liger/);
    assert(page.includes("--sweep tokens=100,900 --peers liger"));
    assert(!page.includes("The plan"));
  }));

Deno.test("a sweep of which nothing fits, or of two sizes for one, writes no page", () =>
  withFolder(async (folder) => {
    const sweep = ["report", "--vocab", "5000", "--hidden", "64", "--sweep", "tokens=100,900"];
    const none = await lce(...sweep, "--budget", "1KiB", "-o", `${folder}/none.html`);
    assert.equal(none.code, EXIT.doesNotFit);
    const twice = await lce(...sweep, "--tokens", "7", "-o", `${folder}/none.html`);
    assert.equal(twice.code, EXIT.usage);
    const peers = await lce("report", ...SIZES, "--peers", "liger", "-o", `${folder}/none.html`);
    assert.equal(peers.code, EXIT.usage);
    assert.match(peers.err, /--peers liger: needs --sweep/);
    assert.deepEqual([...Deno.readDirSync(folder)], []);
  }));

Deno.test("a report of measurements alone has ratios to two stages, reasons, and a roofline where peaks are known", () =>
  withFolder(async (folder) => {
    const peaks = { peakFlopsPerSecond: 1e10, peakBytesPerSecond: 1e9 };
    const rows = [
      row({ ...peaks, strategy: "two-stage", ms: 10, extraPeakBytes: 4096 }),
      row({ ...peaks, ms: 15, slowest: 16, extraPeakBytes: 1024 }),
      // Of another problem: no baseline of its own.
      row({ ...peaks, vocab: 512, ms: 12, slowest: 12 }),
      row({ ...peaks, pass: "train", strategy: "windowed", ms: null, missing: "<too> large" }),
    ];
    const bench = `${folder}/bench.json`;
    const path = `${folder}/report.html`;
    await Deno.writeTextFile(bench, JSON.stringify(rows));
    const { code, err } = await lce("report", "--bench", bench, "-o", path);
    assert.equal(code, EXIT.ok, err);
    const page = await Deno.readTextFile(path);
    assert.match(page, /<h1>Output layers measured on a device</);
    const ratios = rowsOf(page, ["two-stage", "fused"]).map((cells) => [cells[3], cells[6]]);
    assert.deepEqual(ratios, [["1.00 x", "1.00 x"], ["1.50 x", "0.25 x"], ["", ""]]);
    assert.deepEqual(rowsOf(page, ["windowed"]), [["windowed", "no time: &lt;too&gt; large"]]);
    const [roofline, ...others] = pictures(page);
    assert.deepEqual(others, []);
    for (const mark of ["two-stage forward 32x64x256", "fused forward 32x64x512"]) {
      assert(roofline!.includes(`data-name="${mark}"`), mark);
    }
    assert.match(
      page,
      /10\.0 GFLOP\/s, reading 1\.00 GB\/s; arithmetic limits from 10\.0 FLOP per byte/,
    );
    // Without peaks there is no roof, and the page says how to have one.
    await Deno.writeTextFile(bench, JSON.stringify([row()]));
    assert.equal((await lce("report", "--bench", bench, "-o", path, "--force")).code, EXIT.ok);
    const bare = await Deno.readTextFile(path);
    assert.deepEqual(pictures(bare), []);
    assert.match(bare, /peaks were not measured. <code>lce bench --roofline<\/code>/);
  }));

Deno.test("rows of other programs are shown with what they say", () =>
  withFolder(async (folder) => {
    const path = `${folder}/h100.html`;
    const bench = new URL("../bench/h100.json", import.meta.url).pathname;
    const { code, err } = await lce("report", "--bench", bench, "-o", path);
    assert.equal(code, EXIT.ok, err);
    const page = await Deno.readTextFile(path);
    const shown = rowsOf(page, ["torch.compile", "two-stage", "fused", "windowed", "chunked"]);
    const rows = JSON.parse(await Deno.readTextFile(bench));
    const filtered = rows.filter((row: { gradientFilter: unknown }) => row.gradientFilter);
    assert.equal(shown.length, rows.length - filtered.length);
  }));

/** Text of a page, without its marks. */
function words(page: string): string {
  return page.replaceAll(/<style>[\s\S]*?<\/style>/g, "").replaceAll(/<[^>]*>/g, " ")
    .replaceAll(/\s+/g, " ");
}

// deno-lint-ignore no-explicit-any -- what a program that reads JSON sees
type Json = any;

/** What a page is asked, and what it says then of the same answer of `lce plan`. */
const ASKED: readonly [string, string[], (plan: Json) => string[]][] = [
  [
    "the largest batch",
    ["--hidden", "64", "--vocab", "5000", "--largest", "tokens", "--budget", "8MiB"],
    ({ largest, memory }) => [
      `The output layer of ${largest.value} tokens x 64 hidden x 5000 vocab`,
      `The largest that fits ${largest.value} tokens fit at the most. With one more: ${largest.limit}`,
      `at the peak ${formatBytes(memory.peakBytes)}`,
    ],
  ],
  [
    "the largest hidden size",
    ["--vocab", "700", "--tokens", "90", "--largest", "hidden", "--budget", "8MiB"],
    ({ largest }) => [`A hidden size of ${largest.value} fits at the most`, "What fits At most"],
  ],
  [
    "a codebook",
    ["--hidden", "64", "--vocab", "5000", "--codes", "300"],
    ({ codebook, memory }) => [
      "x 5000 vocab, f32, forward pass, on WebGPU specification defaults, by 300 codes",
      `parameters ${formatBytes(codebook.codebookBytes)} and a map of`,
      `loss floor ${codebook.lossFloorNats.least.toFixed(3)} to`,
      `at the peak ${formatBytes(memory.peakBytes)}`,
      "What fits At most",
    ],
  ],
  [
    "the largest batch of a codebook",
    [
      "--hidden",
      "64",
      "--vocab",
      "5000",
      "--codes",
      "300",
      "--largest",
      "tokens",
      "--budget",
      "1MiB",
    ],
    ({ largest, codebook }) => [
      `${largest.value} tokens fit at the most`,
      `instead of ${formatBytes(codebook.logitsBytes)}`,
    ],
  ],
  [
    "a student and its teacher",
    [
      ...["--hidden", "64", "--vocab", "5000", "--pass", "train"],
      ...["--distill", "forward-kl", "--teacher-hidden", "96"],
    ],
    ({ memory }) => [
      "beside a teacher of 96 hidden x 5000 vocab, f32, by forward-kl",
      `at the peak ${formatBytes(memory.peakBytes)}`,
      "TRL, divergence by chunks",
    ],
  ],
  [
    "the best split",
    ["--tokens", "8190", "--hidden", "64", "--vocab", "5000", "--pass", "train", "--ranks", "6"],
    ({ perRank, totals, collectives }) => [
      `0-5 ${perRank[0].vocab.count} ids ${perRank[0].tokens.count}`,
      `rank 0 sends ${formatBytes(totals.sentBytes)}`,
      collectives[0].op,
      "Every split over 6 ranks",
      "1 x 6",
    ],
  ],
  [
    "a split that is fixed",
    [
      ...["--hidden", "64", "--vocab", "5000", "--pass", "train"],
      ...["--tensor-parallel", "2", "--data-parallel", "2", "--sequence-parallel"],
    ],
    ({ perRank }) => [
      "4 ranks: the vocabulary split over 2, hidden states split by tokens over the same",
      `0-3 ${perRank[0].vocab.count} ids ${perRank[0].tokens.count} ${
        formatBytes(perRank[0].peakBytes)
      }`,
    ],
  ],
];
for (const [name, asked, said] of ASKED) {
  Deno.test(`a report of ${name} says what lce plan says, and asks for nothing else`, () =>
    withFolder(async (folder) => {
      const plan = await lce("plan", ...asked, "--json");
      assert.equal(plan.code, EXIT.ok, plan.err);
      const path = `${folder}/report.html`;
      const { code, err } = await lce("report", ...asked, "-o", path);
      assert.equal(code, EXIT.ok, err);
      const page = await Deno.readTextFile(path);
      for (const part of said(JSON.parse(plan.out))) {
        assert(words(page).includes(part), `${part} in ${words(page)}`);
      }
      assert(
        [...page.matchAll(/\bsrc="([^"]{0,5})/g)].every(([, address]) => address === "data:"),
      );
      assert(!page.includes("<script"));
    }));
}

Deno.test("the curve of ranks that split hidden states by tokens has a point wherever it looks", () =>
  withFolder(async (folder) => {
    const marks = async (...more: string[]) => {
      const path = `${folder}/ranks${more.length}.html`;
      const sizes = ["--hidden", "64", "--vocab", "5000", "--tokens", "300"];
      const { code, err } = await lce(
        "report",
        ...sizes,
        "--tensor-parallel",
        "3",
        ...more,
        "-o",
        path,
      );
      assert.equal(code, EXIT.ok, err);
      return pictures(await Deno.readTextFile(path)).at(-1)!.match(/<circle/g)!.length;
    };
    assert.equal(await marks("--sequence-parallel"), await marks());
  }));

Deno.test("what no page shows is said, and what a plan file says of looks is left aside", () =>
  withFolder(async (folder) => {
    const path = `${folder}/report.html`;
    const config = `${folder}/plan.yaml`;
    await Deno.writeTextFile(
      config,
      "vocab: 5000\nhidden: 64\ntokens: 90\ncompare: true\ntimeline: t.svg\n",
    );
    assert.equal((await lce("report", "--config", config, "-o", path)).code, EXIT.ok);
    await Deno.writeTextFile(config, "vocab: 5000\nhidden: 64\npass: train\nadapterRank: 4\n");
    const { code, err } = await lce("report", "--config", config, "-o", `${folder}/no.html`);
    assert.equal(code, EXIT.usage);
    assert.match(err, /lce report has no page for --adapter-rank: lce plan shows it/);
  }));

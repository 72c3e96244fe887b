import assert from "node:assert/strict";
import { SPECIFICATION_DEFAULTS } from "../../planner/device.ts";
import { findDevice } from "../../planner/devices/profiles.ts";
import { peersOf } from "../../planner/peers/mod.ts";
import { planParallel } from "../../planner/parallel.ts";
import { makePlan } from "../../planner/plan.ts";
import { parseProblem } from "../../planner/problem_schema.ts";
import { beyondInputs } from "../../planner/sweep.ts";
import { EXIT } from "../exit.ts";
import { assertApart, assertWithinViewBox, corners, ofClass, parseSvg } from "../chart/testing.ts";
import { lce, withFile } from "../testing.ts";
import { withFolder } from "../../fixtures/testing.ts";

const PLAN = ["plan", "--vocab", "5000", "--hidden", "64"];
const SIZES = { vocab: 5000, hidden: 64 };

/** Returns the records of a CSV without line ends in its fields (RFC 4180). */
function parseCsv(text: string): Record<string, string>[] {
  const [header, ...lines] = text.trimEnd().split("\n").map((line) =>
    [...line.matchAll(/(?:^|,)(?:"((?:[^"]|"")*)"|([^,]*))/g)]
      .map(([, quoted, plain]) => quoted?.replaceAll('""', '"') ?? plain!)
  );
  return lines.map((cells) =>
    Object.fromEntries(header!.map((name, index) => [name, cells[index]!]))
  );
}

Deno.test("JSON of a sweep has the plan of each point", async () => {
  const { code, out, err } = await lce(
    ...PLAN,
    "--pass",
    "train",
    "--device",
    "h100-deno",
    "--sweep",
    "tokens=256..1k",
    "--sweep",
    "budget=1MiB,1GiB",
    "--json",
  );
  assert.equal(code, EXIT.ok);
  assert.equal(err, "");
  const { points, sweep, device, problem } = JSON.parse(out);
  const profile = findDevice("h100-deno")!.profile;
  assert.deepEqual(sweep, { tokens: [256, 512, 1024], budget: [2 ** 20, 2 ** 30] });
  assert.deepEqual(device, profile);
  assert.equal(problem.vocab, 5000);
  assert.equal("tokens" in problem, false);
  assert.equal(points.length, 6);
  for (const point of points) {
    const full = parseProblem({ ...SIZES, tokens: point.tokens, pass: "train" });
    const peers = peersOf(full).find(({ method }) => method === "liger")!;
    assert.equal(point.peers.liger, peers.trainExtraBytes);
    if (!point.fits) {
      assert.equal(point.budget, 2 ** 20);
      assert.match(point.reason, /Nothing fits a budget of 1048576 bytes/);
      assert(point.smallestBudget > 2 ** 20);
      assert.equal(point.strategy, null);
      continue;
    }
    const plan = makePlan(full, profile, { budget: point.budget });
    assert.equal(point.strategy, plan.schedule.strategy);
    assert.equal(point.peakBytes, plan.memory.peakBytes);
    assert.equal(point.extraPeakBytes, plan.memory.extraPeakBytes);
    assert.equal(point.twoStageExtraPeakBytes, plan.twoStage.extraPeakBytes);
    assert.equal(point.window, plan.schedule.window.vocab);
    // Of streamed weights no time is known: nobody measured the way to the host.
    assert.equal(point.ms, plan.cost.measuredRates ? 1000 * plan.cost.seconds : null);
    assert.equal(plan.cost.measuredRates, plan.outline.residency !== "windows");
  }
});

Deno.test("CSV of a sweep says what JSON says, and no time that was not measured", async () => {
  const sweep = [
    "plan",
    "--hidden",
    "64",
    "--sweep",
    "vocab=1000..4000:3",
    "--sweep",
    "budget=2MiB,1GiB",
  ];
  const rows = parseCsv((await lce(...sweep, "--format", "csv")).out);
  const { points } = JSON.parse((await lce(...sweep, "--format", "json")).out);
  assert.deepEqual(rows.map(({ vocab }) => vocab), [
    "1000",
    "1000",
    "2000",
    "2000",
    "4000",
    "4000",
  ]);
  assert.equal(rows.length, points.length);
  rows.forEach((row, index) => {
    const { peers, ...flat } = points[index];
    for (const [name, value] of Object.entries({ ...flat, ...peers })) {
      assert.equal(row[name], value === null ? "" : String(value), name);
    }
    assert.equal(row.ms, "");
  });
});

Deno.test("a sweep's table and Markdown have a line for each point, and say why one does not fit", async () => {
  const sweep = [...PLAN, "--tokens", "512", "--sweep", "budget=100KiB,1GiB"];
  const { out, code } = await lce(...sweep);
  assert.equal(code, EXIT.ok, "some points fit");
  const [about, , header, none, fits] = out.split("\n");
  assert.match(about!, /^512 tokens x 64 hidden x 5000 vocab, f32, forward pass, on WebGPU/);
  assert.match(header!, /^ +budget +strategy +peak +extra +two-stage extra +why not$/);
  assert.match(none!, /^ *100 KiB +does not fit +- +- +- +Nothing fits a budget of 102400 bytes/);
  assert.match(fits!, /^1.00 GiB +(fused|two-stage) +\d/);
  const markdown = (await lce(...sweep, "--format", "markdown", "--peers", "liger,megatron")).out;
  const lines = markdown.trimEnd().split("\n");
  assert.equal(lines.length, 4);
  assert.match(lines[0]!, /^\| budget \| .* \| beyond inputs \| liger \| why not \|$/);
});

Deno.test("a sweep wins over what a plan file or a model says", async () => {
  await withFile("vocab: 5000\nhidden: 64\ntokens: 100\nblock: 64\n", async (path) => {
    const { out } = await lce("plan", "--config", path, "--sweep", "tokens=256,512", "--json");
    const { points } = JSON.parse(out);
    assert.deepEqual(points.map(({ tokens }: { tokens: number }) => tokens), [256, 512]);
  });
  const model = await lce("plan", "--model", "gemma-2-2b", "--sweep", "vocab=1k,2k", "--json");
  assert.equal(JSON.parse(model.out).model.name, "gemma-2-2b");
  assert.equal(JSON.parse(model.out).points[1].vocab, 2048);
});

const USAGE: readonly [string[], RegExp][] = [
  [["--sweep", "tokens"], /--sweep tokens: write NAME=FROM\.\.TO/],
  [["--sweep", "tokns=1..2"], /"tokns" cannot be swept. Did you mean tokens\?.*budget/],
  [["--sweep", "tokens="], /no points/],
  [["--sweep", "tokens=,"], /no points/],
  [["--sweep", "tokens=1..8:0"], /no points; the count must be at least 1/],
  [["--sweep", "tokens=1..8:x"], /"x" is no count of points/],
  [["--sweep", "tokens=8..1"], /begins at 8 and ends before, at 1/],
  [["--sweep", "tokens=a..8"], /"a" is no number/],
  [["--sweep", "tokens=1..0x8"], /"0x8" is no number/],
  [["--sweep", "tokens=-1,2"], /-1: tokens must be a whole number from 1/],
  [["--sweep", "tokens=0,2"], /0: tokens must be a whole number from 1 to 2147483647/],
  [["--sweep", "tokens=1.5"], /1.5: tokens must be a whole number/],
  [["--sweep", "tokens=4096m"], /4096m: tokens must be a whole number from 1 to 2147483647/],
  [["--sweep", "budget=1..2 lots"], /Cannot read "2 lots" as a size/],
  [["--sweep", "tokens=1..9:10001"], /10001 points, more than 10000/],
  [
    ["--sweep", "tokens=64k..1m:200", "--sweep", "block=64k..1m:200"],
    /200 x 200 = 40000 points, more than 10000/,
  ],
  [["--sweep", "vocab=1..2"], /--vocab 5000 is given too/],
  [["--sweep", "tokens=1", "--sweep", "tokens=2"], /tokens is swept already/],
  [["--format", "csv"], /--format csv: needs --sweep/],
  [["--peers", "all"], /--peers all: needs --sweep/],
  [["--svg", "x.svg"], /--svg x.svg: needs --sweep/],
  [
    ["--sweep", "tokens=1", "--peers", "ligr"],
    /--peers ligr: must be one of .* Did you mean liger/,
  ],
  [
    ["--sweep", "tokens=1", "--peers", "none,liger"],
    /--peers none,liger: all and none stand alone/,
  ],
  [["--sweep", "tokens=1", "--timeline", "x.svg"], /draws one plan, not a sweep/],
  [["--sweep", "tokens=1", "--sweep", "block=1", "--svg", "x.svg"], /not over tokens and block/],
  [["--sweep", "tokens=1", "--svg", "x.png"], /--svg x.png: .*must end in .svg/],
  [["--timeline", "x.png"], /--timeline x.png: .*must end in .svg/],
  [["--force"], /--force: needs --svg or --timeline/],
  [["--sweep", "tokens=1", "--format", "csv", "--json"], /cannot be used with/],
];
for (const [args, message] of USAGE) {
  Deno.test(`lce plan ${args.join(" ")} is a usage error`, async () => {
    const { code, out, err } = await lce(...PLAN, ...args);
    assert.equal(code, EXIT.usage, err);
    assert.match(err, message);
    assert.equal(out, "");
  });
}

Deno.test("a sweep of which no point fits is printed, and exits with 5", async () => {
  const { code, out, err } = await lce(...PLAN, "--budget", "1KiB", "--sweep", "tokens=1k,2k");
  assert.equal(code, EXIT.doesNotFit);
  assert.equal(out.match(/does not fit/g)!.length, 2);
  assert.match(err, /None of the sweep's 2 points fits: Nothing fits a budget of 1024 bytes/);
  const one = await lce(...PLAN, "--budget", "1KiB", "--sweep", "tokens=1k");
  assert.match(one.err, /The sweep's only point does not fit: Nothing fits/);
  const mixed = await lce(...PLAN, "--budget", "1KiB", "--sweep", "window=7,128");
  assert.equal(mixed.code, EXIT.doesNotFit);
  assert.match(mixed.err, /None of the sweep's 2 points fits: Nothing fits/);
});

Deno.test("the chart of a sweep has a line for each method, at its planned bytes", async () => {
  await withFolder(async (folder) => {
    const path = `${folder}/memory.svg`;
    const tokens = [1024, 2048, 4096, 8192];
    const sizes = { hidden: 1024, vocab: 32000, pass: "train" } as const;
    const { code, err } = await lce(
      ...["plan", "--hidden", "1024", "--vocab", "32000", "--pass", "train"],
      ...["--sweep", "tokens=1k..8k", "--svg", path, "--peers", "all"],
    );
    assert.equal(code, EXIT.ok, err);
    assert.equal(err, `Wrote ${path}.\n`);
    const root = parseSvg(await Deno.readTextFile(path));
    assertWithinViewBox(root);
    assertApart(ofClass(root, "labels")[0]!.children.filter(({ name }) => name === "text"));
    const problems = tokens.map((tokens) => parseProblem({ ...sizes, tokens }));
    const ours = (strategy?: "windowed" | "chunked") =>
      problems.map((problem) =>
        beyondInputs(
          makePlan(problem, SPECIFICATION_DEFAULTS, strategy ? { strategy } : {}).memory,
        )
      );
    const expected = new Map<string, (number | undefined)[]>([
      ["lce, as planned", ours()],
      ["lce windowed", ours("windowed")],
      ["lce chunked", ours("chunked")],
      [
        "two-stage",
        problems.map((problem) => beyondInputs(makePlan(problem, SPECIFICATION_DEFAULTS).twoStage)),
      ],
    ]);
    for (const problem of problems) {
      for (const { method, trainExtraBytes } of peersOf(problem)) {
        expected.set(method, [...(expected.get(method) ?? []), trainExtraBytes]);
      }
    }
    const drawn = ofClass(root, "series");
    const known = [...expected].filter(([, all]) => all.some((bytes) => bytes !== undefined));
    const names = drawn.map(({ attributes }) => attributes["data-name"]!);
    assert.equal(names.length, 4 + 8, "our own, and as many others as can be told apart");
    const shown = known.filter(([name]) => names.includes(name));
    assert.deepEqual(names, shown.map(([name]) => name));
    // Those that are not drawn are named.
    const notes = ofClass(root, "notes")[0]!.children.map(({ text }) => text).join(" ");
    for (const [name] of known) assert(names.includes(name) || notes.includes(`${name} (`), name);
    // Every line that is drawn has a look of its own.
    const looks = drawn.map(({ children }) =>
      children.find(({ name }) => name === "path")!.attributes.class
    );
    assert.equal(new Set(looks).size, looks.length);
    // Heights are one linear function of the logarithm of bytes, for all lines alike.
    const places = drawn.flatMap((series, index) => {
      const line = corners(series.children.find(({ name }) => name === "path")!);
      const bytes = shown[index]![1].filter((each) => each !== undefined);
      assert.equal(line.length, bytes.length, shown[index]![0]);
      return line.map(([, y], at) => ({ y, bytes: bytes[at]! }));
    }).sort((a, b) => a.bytes - b.bytes);
    const [least, most] = [places[0]!, places.at(-1)!];
    const slope = (most.y - least.y) / Math.log(most.bytes / least.bytes);
    assert(slope < 0);
    for (const { y, bytes } of places) {
      assert(Math.abs(least.y + slope * Math.log(bytes / least.bytes) - y) < 0.2, `${bytes}`);
    }
    // Limits of one buffer have no place among the sums of all.
    assert.deepEqual(ofClass(root, "level-labels")[0]!.children, []);
  });
});

Deno.test("under a budget the chart shows every buffer, and the budget above all that fits", async () => {
  await withFolder(async (folder) => {
    const path = `${folder}/memory.svg`;
    const { code } = await lce(
      ...PLAN,
      ...["--budget", "8MiB", "--sweep", "tokens=256..64k", "--svg", path],
    );
    assert.equal(code, EXIT.ok);
    const root = parseSvg(await Deno.readTextFile(path));
    assertWithinViewBox(root);
    const budget = Number(
      ofClass(root, "level").find(({ attributes }) => attributes.class!.includes("s-alert"))!
        .attributes.y1,
    );
    const series = (wanted: string) =>
      corners(
        ofClass(root, "series").find(({ attributes }) => attributes["data-name"] === wanted)!
          .children.find(({ name }) => name === "path")!,
      );
    const planned = series("lce, as planned");
    const fitting = [256, 512, 1024, 2048, 4096, 8192, 16384, 32768, 65536].filter((tokens) => {
      try {
        makePlan(parseProblem({ ...SIZES, tokens }), SPECIFICATION_DEFAULTS, { budget: 2 ** 23 });
        return true;
      } catch {
        return false;
      }
    });
    assert(fitting.length > 1 && fitting.length < 9);
    assert.equal(planned.length, fitting.length);
    for (const [, y] of planned) assert(y >= budget);
    assert.equal(series("pytorch-two-stage").length, 9, "methods go on where no plan fits");
  });
});

Deno.test("pictures are written whole, once, and only replaced when told to", async () => {
  await withFolder(async (folder) => {
    for (const args of [["--sweep", "tokens=256,512", "--svg"], ["--timeline"]]) {
      const path = `${folder}/${args.length}.svg`;
      await Deno.writeTextFile(path, "precious");
      const refused = await lce(...PLAN, ...args, path);
      assert.equal(refused.code, EXIT.usage);
      assert.equal(refused.out, "", "refused before anything is planned");
      assert.match(refused.err, /exists already; --force replaces it/);
      assert.equal(await Deno.readTextFile(path), "precious");
      const replaced = await lce(...PLAN, ...args, path, "--force");
      assert.equal(replaced.code, EXIT.ok, replaced.err);
      parseSvg(await Deno.readTextFile(path));
    }
    const nowhere = await lce(...PLAN, "--timeline", `${folder}/none/x.svg`);
    assert.equal(nowhere.code, EXIT.input);
    assert.match(nowhere.err, /Cannot write/);
    const names = [...Deno.readDirSync(folder)].map(({ name }) => name).sort();
    assert.deepEqual(names, ["1.svg", "3.svg"], "nothing half-written is left");
  });
});

Deno.test("--timeline leaves what is printed as it is", async () => {
  await withFolder(async (folder) => {
    const plain = await lce(...PLAN, "--json");
    const drawn = await lce(...PLAN, "--json", "--timeline", `${folder}/x.svg`);
    assert.equal(drawn.out, plain.out);
    assert.match(drawn.err, /^Wrote .*x\.svg\.\n$/);
  });
});

/** Flags of a sweep over ranks, and the same as a plan of the library's. */
const SPLIT = [
  ...[...PLAN, "--pass", "train", "--sweep", "tokens=500,1000,2000"],
  ...["--tensor-parallel", "3", "--data-parallel", "2"],
];
const PARALLELISM = { tensor: 3, data: 2, sequence: false };
const splitPlan = (tokens: number) =>
  planParallel(
    parseProblem({ ...SIZES, tokens, pass: "train" }),
    SPECIFICATION_DEFAULTS,
    PARALLELISM,
  );

Deno.test("a sweep over ranks has the largest rank's plan at each point", async () => {
  const { code, out, err } = await lce(...SPLIT, "--json");
  assert.equal(code, EXIT.ok, err);
  const { parallel, points, problem } = JSON.parse(out);
  assert.deepEqual(parallel, PARALLELISM);
  assert.equal(problem.vocab, 5000);
  assert.equal(points.length, 3);
  for (const { tokens, vocab, ...point } of points) {
    const { largest, ranks } = splitPlan(tokens);
    assert.equal(vocab, 5000, "sizes are the whole job's");
    assert.equal(point.strategy, largest.schedule.strategy);
    assert.equal(point.window, largest.schedule.window.vocab);
    assert.equal(point.peakBytes, Math.max(...ranks.map(({ memory }) => memory.peakBytes)));
    assert.equal(point.twoStageExtraPeakBytes, largest.twoStage.extraPeakBytes);
    assert.deepEqual(point.peers, {});
  }
  assert.match(err, /^6 ranks: .*No peers: the published methods' models are of one device\.\n$/);
  const csv = parseCsv((await lce(...SPLIT, "--format", "csv")).out);
  assert.deepEqual(
    csv.map(({ tensorParallel, dataParallel, peakBytes }) => [
      tensorParallel,
      dataParallel,
      Number(peakBytes),
    ]),
    [500, 1000, 2000].map((tokens) => ["3", "2", splitPlan(tokens).largest.memory.peakBytes]),
  );
  const text = await lce(...SPLIT);
  assert.equal(text.err, "");
  assert.match(
    text.out,
    /\n6 ranks: the vocabulary split over 3, tokens split over 2 replicas. What is shown is rank 0's, the largest. No peers: /,
  );
  assert.equal(text.out.match(/^ *(500|1000|2000) {2}/gm)!.length, 3);
});

Deno.test("the chart of a sweep over ranks draws the largest rank, and says so", async () => {
  await withFolder(async (folder) => {
    const path = `${folder}/ranks.svg`;
    const { code, err } = await lce(...SPLIT, "--svg", path);
    assert.equal(code, EXIT.ok, err);
    const root = parseSvg(await Deno.readTextFile(path));
    assertWithinViewBox(root);
    const notes = ofClass(root, "notes")[0]!.children.map(({ text }) => text).join(" ");
    assert.match(notes, /6 ranks: .* rank 0's, the largest. No peers: /);
    const series = ofClass(root, "series");
    const names = series.map(({ attributes }) => attributes["data-name"]);
    assert.deepEqual(names, ["lce, as planned", "lce windowed", "lce chunked", "two-stage"]);
    // On one scale with the plan's line, windows take what a plan of them alone takes.
    const heights = (index: number) =>
      corners(series[index]!.children.find(({ name }) => name === "path")!).map(([, y]) => y);
    const options = { strategy: "windowed" } as const;
    const bytes = [500, 2000].map((tokens) => ({
      planned: beyondInputs(splitPlan(tokens).largest.memory),
      windowed: beyondInputs(
        planParallel(
          parseProblem({ ...SIZES, tokens, pass: "train" }),
          SPECIFICATION_DEFAULTS,
          PARALLELISM,
          options,
        ).largest.memory,
      ),
    }));
    const [planned, windowed] = [heights(0), heights(1)];
    const slope = (planned[2]! - planned[0]!) /
      Math.log(bytes[1]!.planned / bytes[0]!.planned);
    const expected = planned[0]! + slope * Math.log(bytes[0]!.windowed / bytes[0]!.planned);
    assert(Math.abs(windowed[0]! - expected) < 0.3, `${windowed[0]} is not at ${expected}`);
  });
});

Deno.test("sizes that ranks cannot split are rows with the reason, or a usage error if all are", async () => {
  const split = [...PLAN, "--tensor-parallel", "4", "--sequence-parallel"];
  const some = await lce(...split, "--sweep", "tokens=512,1001", "--json");
  assert.equal(some.code, EXIT.ok, some.err);
  const [fine, odd] = JSON.parse(some.out).points;
  assert(fine.fits && !odd.fits);
  assert.match(odd.reason, /pad them to 1004/);
  // A window that no binding can begin at is the caller's mistake here, as it is by itself.
  const windows = await lce(...PLAN, "--sweep", "window=7,9");
  assert.equal(windows.code, EXIT.usage);
  assert.match(windows.err, /None of the sweep's 2 points is a job: Cannot work on a window of 7/);
  assert.equal((await lce(...PLAN, "--sweep", "window=7,128")).code, EXIT.ok);
  const { out } = await lce(...PLAN, "--data-parallel", "2", "--sweep", "tokens=1,2");
  assert.match(out, /^ +1 {2}impossible +- .*Cannot split 1 token over 2 data-parallel replicas/m);
  const none = await lce(...split, "--sweep", "tokens=1001,1003");
  assert.equal(none.code, EXIT.usage);
  assert.match(none.err, /None of the sweep's 2 points is a job: .*pad them to 1004/);
});

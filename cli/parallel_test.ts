import assert from "node:assert/strict";
import { EXIT } from "./exit.ts";
import { lce, withFile } from "./testing.ts";

/** The parts of the contract that these tests look at. */
interface Split {
  readonly problem: { vocab: number };
  readonly parallel: unknown;
  readonly memory: { peakBytes: number };
  readonly perRank: {
    rank: number;
    vocab: { start: number; count: number };
    peakBytes: number;
    peakByCategory: Record<string, number>;
  }[];
  readonly collectives: {
    op: string;
    what: string;
    pass: string;
    elements: number;
    bytes: number;
  }[];
  readonly totals: { peakBytes: number; largestPeakBytes: number; collectiveBytes: number };
}

async function plan(...args: string[]): Promise<Split> {
  const { code, out, err } = await lce("plan", ...args, "--json");
  assert.equal(code, EXIT.ok, err);
  return JSON.parse(out);
}

Deno.test("lce plan --tensor-parallel --json says what each rank takes and tells the others", async () => {
  const split = await plan("--vocab", "256000", "--hidden", "4096", "--tensor-parallel", "8");
  assert.equal(split.problem.vocab, 256000);
  assert.deepEqual(split.parallel, { tensor: 8, data: 1, sequence: false });
  assert.equal(split.perRank.length, 8);
  for (const [rank, { vocab, peakBytes, peakByCategory, ...named }] of split.perRank.entries()) {
    assert.equal(named.rank, rank);
    assert.deepEqual(vocab, { start: 32000 * rank, count: 32000 });
    assert.equal(peakByCategory.input, 4 * (8192 * 4096 + 32000 * 4096 + 8192));
    assert(peakBytes > peakByCategory.input!);
  }
  assert.deepEqual(split.collectives.map(({ op, elements, bytes }) => [op, elements, bytes]), [
    ["all-reduce-max", 8192, 32768],
    ["all-reduce-sum", 8192, 32768],
    ["all-reduce-sum", 8192, 32768],
  ]);
  assert.equal(split.memory.peakBytes, split.perRank[0]!.peakBytes);
  assert.equal(split.totals.largestPeakBytes, split.perRank[0]!.peakBytes);
  assert.equal(split.totals.collectiveBytes, 3 * 32768);
});

Deno.test("a plan file can split a job, and flags win over it", async () => {
  const settings = "vocab: 1501\nhidden: 64\ntokens: 96\npass: train\ntensorParallel: 3\n";
  await withFile(`${settings}sequenceParallel: true\ndataParallel: 2\n`, async (path) => {
    const split = await plan("--config", path);
    assert.deepEqual(split.parallel, { tensor: 3, data: 2, sequence: true });
    assert.equal(split.collectives[0]!.op, "all-gather");
    const four = await plan("--config", path, "--tensor-parallel", "4");
    assert.deepEqual(four.perRank.slice(0, 4).map(({ vocab }) => vocab.count), [
      376,
      375,
      375,
      375,
    ]);
    const { code, err } = await lce("emit", "nowhere", "--config", path);
    assert.equal(code, EXIT.usage);
    assert.match(err, /what one device runs: leave out tensorParallel/);
  });
});

Deno.test("lce plan for people tables ranks and collectives", async () => {
  const { code, out } = await lce(
    ..."plan --vocab 1501 --hidden 64 --tokens 4096 --pass train --strategy chunked --block 1024"
      .split(" "),
    ..."--tensor-parallel 4 --data-parallel 2".split(" "),
  );
  assert.equal(code, EXIT.ok);
  assert.match(out, /^4096 tokens x 64 hidden x 1501 vocab/);
  assert.match(out, /8 ranks: the vocabulary split over 4, tokens split over 2 replicas/);
  assert.match(out, /0, 4 +376 ids +2048/);
  assert.match(out, /1-3, 5-7 +375 ids +2048/);
  assert.match(out, /forward +all-reduce-max +max +over 4 ranks +2048 f32 +8.00 KiB +in 2 steps/);
  assert.match(out, /backward +all-reduce-sum +grad_hidden +over 4 ranks +131072 f32/);
  assert.match(out, /backward +all-reduce-sum +grad_weight +over 2 replicas +24064 f32/);
});

Deno.test("an impossible split exits with 2 and says what would do", async () => {
  const fails = async (flags: string, message: RegExp) => {
    const { code, err } = await lce("plan", "--vocab", "50", "--hidden", "8", ...flags.split(" "));
    assert.equal(code, EXIT.usage, flags);
    assert.match(err, message);
  };
  await fails("--tensor-parallel 51", /so use 50 at most/);
  await fails("--tensor-parallel 0", /--tensor-parallel 0/);
  await fails("--data-parallel 1.5", /--data-parallel 1.5/);
  await fails("--sequence-parallel", /ask for 2 or more/);
  await fails("--tensor-parallel 1 --sequence-parallel", /ask for 2 or more/);
  await fails("--tokens 100 --tensor-parallel 8 --sequence-parallel", /pad them to 104/);
  await fails("--tokens 3 --data-parallel 4", /3 tokens over 4 data-parallel replicas/);
});

/** Links that a file can say, in YAML. */
const LINKS = `ranksPerHost: 8
within: &link
  allReduce: &kind { seconds: 1.0e-5, bytesPerSecond: 1.0e11 }
  reduceScatter: *kind
  allGather: *kind
across:
  allReduce: &slow { seconds: 5.0e-5, bytesPerSecond: 1.0e10 }
  reduceScatter: *slow
  allGather: *slow
staging: { seconds: 1.0e-5, bytesPerSecond: 2.0e10 }
source: a test
`;

const JOB = "--vocab 32000 --hidden 512 --tokens 2048 --pass train --device h100-deno".split(" ");

Deno.test("lce plan --links says how long collectives take", async () => {
  await withFile(LINKS, async (path) => {
    const args = ["plan", ...JOB, "--tensor-parallel", "4", "--links", path];
    const { time, links, collectives, cost } = JSON.parse((await lce(...args, "--json")).out);
    assert.equal(links.source, "a test");
    const sum = collectives.reduce(
      (sum: number, { estimatedMs }: { estimatedMs: number }) => sum + estimatedMs,
      0,
    );
    assert(Math.abs(time.collectivesMs - sum) < 1e-9);
    assert(Math.abs(time.estimatedMs - sum - cost.estimatedMs) < 1e-9);
    const { out } = await lce(...args);
    assert.match(out, /they take about .* ms, beside .* ms of a rank's own work \(links: a test\)/);
    const silent = JSON.parse((await lce(...args.slice(0, -2), "--json")).out);
    assert.equal(silent.time.estimatedMs, null);
    assert.equal(silent.links, null);
  });
});

Deno.test("lce plan --ranks chooses the split, and --explain says why the others lost", async () => {
  await withFile(LINKS, async (path) => {
    const args = ["plan", ...JOB, "--ranks", "16", "--links", path, "--explain"];
    const { splits, parallel, perRank } = JSON.parse((await lce(...args, "--json")).out);
    assert.equal(perRank.length, 16);
    assert.deepEqual(splits[0].parallel, parallel);
    assert.equal(splits[0].relativeTime, 1);
    assert.match(splits[0].verdict, /^chosen/);
    assert.equal(splits.length, 9);
    const { out } = await lce(...args);
    assert.match(out, /splits over 16 ranks/);
    assert.match(out, /16 x 1 .* more traffic, its vocabulary split across hosts/);
    const unmeasured = await lce(..."plan --vocab 5000 --hidden 64 --ranks 4 --explain".split(" "));
    assert.match(unmeasured.out, /Ranked by assumed rates/);
  });
});

Deno.test("lce plan --scaling simulates more and more ranks, and says where traffic dominates", async () => {
  await withFile(LINKS, async (path) => {
    const args = ["plan", ...JOB, "--ranks", "32", "--links", path, "--scaling", "strong"];
    const { points, trafficDominatesFrom } = JSON.parse((await lce(...args, "--json")).out);
    assert.deepEqual(points.map(({ ranks }: { ranks: number }) => ranks), [1, 2, 4, 8, 16, 32]);
    const dominated = (point: { collectivesMs: number; computeMs: number }) =>
      point.collectivesMs > point.computeMs;
    assert.equal(points.find(dominated).ranks, trafficDominatesFrom);
    const folder = await Deno.makeTempDir();
    const svg = `${folder}/scaling.svg`;
    const { out, code } = await lce(...args, "--svg", svg);
    assert.equal(code, EXIT.ok);
    assert.match(out, new RegExp(`Traffic dominates from ${trafficDominatesFrom} ranks on`));
    const picture = await Deno.readTextFile(svg);
    assert.match(picture, /Strong scaling of the output layer/);
    assert.match(picture, /data-name="collectives"/);
    await Deno.remove(folder, { recursive: true });
  });
});

Deno.test("a picture of times that were not measured is refused before all ranks are planned", async () => {
  const args = ["--ranks", "1k", "--scaling", "strong", "--svg", "x.svg"];
  const { code, err, progress } = await lce("plan", ...JOB, ...args);
  assert.equal(code, EXIT.usage);
  assert.match(err, /no times to draw.*--links auto/);
  assert.deepEqual(progress, ["1 of 1024 ranks", "2 of 1024 ranks"]);
});

Deno.test("what is of ranks and contradicts itself exits with 2, a bad file of links with 4", async () => {
  const fails = async (flags: string, expected: number, message: RegExp) => {
    const { code, err } = await lce("plan", ...JOB, ...flags.split(" "));
    assert.equal(code, expected, flags + err);
    assert.match(err, message);
  };
  await fails("--ranks 8 --tensor-parallel 2", EXIT.usage, /looks for the split/);
  await fails("--scaling weak", EXIT.usage, /needs --ranks/);
  await fails("--links auto", EXIT.usage, /is of ranks/);
  await fails("--ranks 4 --compare", EXIT.usage, /--compare and --ranks cannot/);
  await fails("--ranks 4 --largest vocab", EXIT.usage, /--largest/);
  await fails("--ranks 4 --scaling weak --explain", EXIT.usage, /--scaling and --explain cannot/);
  await fails("--ranks 4 --scaling weak --svg x.svg", EXIT.usage, /no times to draw.*--mpi/);
  await fails("--ranks 0", EXIT.usage, /--ranks 0/);
  await fails("--ranks 4 --links no/where.yaml", EXIT.input, /no\/where.yaml/);
  await withFile("ranksPerHost: 4\nwithin: {}\n", async (path) => {
    await fails(`--ranks 4 --links ${path}`, EXIT.input, /within.allReduce is needed/);
  });
  const before = Deno.env.get("LCE_CACHE");
  Deno.env.set("LCE_CACHE", "/nowhere");
  try {
    await fails("--ranks 4 --links auto", EXIT.usage, /nothing was measured on this host/);
  } finally {
    if (before === undefined) Deno.env.delete("LCE_CACHE");
    else Deno.env.set("LCE_CACHE", before);
  }
});

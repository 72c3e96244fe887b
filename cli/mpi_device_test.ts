/**
 * Ranks as processes on this machine's device, joined by Open MPI: numbers, memory
 * and traffic, the last by Open MPI's own monitoring too, and what becomes of the
 * others when a rank fails.
 */
import assert from "node:assert/strict";
import { join } from "node:path";
import { withFolder } from "../fixtures/testing.ts";
import { EXIT } from "./exit.ts";
import { splitByHost } from "./request/crew.ts";
import { lce } from "./testing.ts";
import type { CaseFound } from "./testing_mpi.ts";

const MAIN = new URL("./main.ts", import.meta.url).pathname;
const ORACLE = new URL("../fixtures/oracle/", import.meta.url).pathname;

const CASES = new URL("./testing_mpi.ts", import.meta.url).pathname;
const FAULTY = new URL("./testing_faulty_rank.ts", import.meta.url).pathname;
const DENO = [Deno.execPath(), "run", "--quiet", "--allow-all"];

/** Whether mpirun is there. */
function hasMpirun(): boolean {
  try {
    return new Deno.Command("mpirun", { args: ["--version"], stdout: "null", stderr: "null" })
      .outputSync().success;
  } catch {
    return false;
  }
}

const missing = !hasMpirun();

/** A test of ranks as processes; where mpirun is not, its name says why it does not run. */
function mpiTest(name: string, test: () => Promise<void>): void {
  const why = missing ? " (no mpirun: scripts/setup.sh --mpi)" : "";
  // A slow device would take minutes for several processes' sake.
  Deno.test({ name: name + why, ignore: missing || Deno.env.has("LCE_SLOW_DEVICE"), fn: test });
}

/** Some ranks with the same arguments and environment. */
interface Ranks {
  readonly ranks: number;
  readonly command?: string;
  readonly args: readonly string[];
  /** Which mapping fails of a rank's device, from 1, if one does. */
  readonly failing?: number;
  readonly env?: Readonly<Record<string, string>>;
  /** A folder in which each rank leaves something by its own number, and what it leaves. */
  readonly leaves?: { readonly folder: string; readonly what: keyof typeof LEFT };
}

/** Scripts that run what follows them: `$0` is the folder. */
const LEFT = {
  /** The number of the process, which then becomes what follows. */
  pid: 'echo $$ > "$0/$OMPI_COMM_WORLD_RANK"; exec "$@"',
  /** How many bytes were read, by the system's account of a process and of those that it waited for. */
  io: '"$@"; code=$?; cp /proc/$$/io "$0/$OMPI_COMM_WORLD_RANK"; exit $code',
} as const;

/** Starts ranks; several sets of them may differ. */
function start(sets: readonly Ranks[], flags: readonly string[] = []): Deno.ChildProcess {
  const programs = sets.flatMap((
    { ranks, command = "run", args, failing, env = {}, leaves },
    index,
  ) => [
    ...(index > 0 ? [":"] : []),
    ...["-n", `${ranks}`, "env", ...Object.entries(env).map(([name, value]) => `${name}=${value}`)],
    ...(leaves ? ["sh", "-c", LEFT[leaves.what], leaves.folder] : []),
    ...[...DENO, ...(failing ? [FAULTY, `${failing}`] : [MAIN]), command, "--mpi", ...args],
  ]);
  return mpirun([...flags, ...programs]);
}

function mpirun(args: readonly string[]): Deno.ChildProcess {
  return new Deno.Command("mpirun", {
    args: ["--allow-run-as-root", "--oversubscribe", ...args],
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
}

interface Said {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

async function said(child: Deno.ChildProcess): Promise<Said> {
  const { code, stdout, stderr } = await child.output();
  const [out, err] = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes));
  return { code, out: out!, err: err! };
}

/** What of the contract of JSON is looked at. */
interface Entry {
  readonly fixture: string;
  readonly ok: boolean;
  readonly exchange: string;
  readonly problem: { readonly vocab: number; readonly hidden: number };
  readonly agreement: { readonly ok: boolean };
  readonly parallel: { readonly tensor: number; readonly data: number };
  readonly collectives: {
    readonly op: string;
    readonly what: string;
    readonly group: "tensor" | "data";
    readonly bytes: number;
  }[];
  readonly perRank: {
    readonly vocab: { readonly count: number };
    readonly peakBytes: number;
    readonly measuredPeakBytes: number;
    readonly plannedTrafficBytes: number;
    readonly measuredTrafficBytes: number;
    readonly weightReadBytes: number;
  }[];
}

/** What Open MPI counted of a rank. */
interface Witness {
  /** Bytes of collectives as they were called, by the name of their group. */
  readonly called: ReadonlyMap<string, number>;
  /** Bytes of the messages that collectives were made of. */
  readonly sent: number;
}

/** Reads what Open MPI counted, in the order of ranks. */
async function witnessed(folder: string): Promise<Witness[]> {
  const files = [...Deno.readDirSync(folder)].map(({ name }) => name).sort();
  return await Promise.all(files.map(async (name) => {
    const text = await Deno.readTextFile(join(folder, name));
    const called = new Map<string, number>();
    for (const [, group, bytes] of text.matchAll(/^D\t(.+?)\t[^]*?^A2A\t\d+\t(\d+) bytes/gm)) {
      called.set(group!, Number(bytes));
    }
    let sent = 0;
    for (const [, bytes] of text.matchAll(/^I\t\d+\t\d+\t(\d+) bytes/gm)) sent += Number(bytes);
    return { called, sent };
  }));
}

/** How Open MPI counts a call of a collective: what a rank gives, once for each of the others. */
function calledBytes(op: string, bytes: number, ranks: number): number {
  return (ranks - 1) * (op.startsWith("all-reduce") ? bytes : bytes / ranks);
}

/**
 * What ranks send on average: the ring's bytes, which plans have, for trees send as many in all
 * (Thakur, Rabenseifner and Gropp, 2005). Open MPI's non-blocking scatter reduces to one rank
 * first and sends each its part, which are so many more.
 */
function sentBytes(op: string, bytes: number, ranks: number): number {
  const ring = (ranks - 1) / ranks * bytes;
  if (op.startsWith("all-reduce")) return 2 * ring;
  return op === "all-gather" ? ring : ring + ring / ranks;
}

/** Bytes of a rank's collectives within a group. */
function collectiveBytes(
  { collectives, parallel, perRank, problem: { hidden } }: Entry,
  group: "tensor" | "data",
  rank: number,
  count: (op: string, bytes: number, ranks: number) => number,
): number {
  // The collectives are the first rank's, which has the most rows of the weight's gradient.
  const fewer = perRank[0]!.vocab.count - perRank[rank]!.vocab.count;
  return collectives.filter((step) => step.group === group).reduce((sum, { op, what, bytes }) => {
    const own = what === "grad_weight" ? bytes - 4 * hidden * fewer : bytes;
    return sum + count(op, own, parallel[group]);
  }, 0);
}

/** Most bytes that a rank sends to make groups, which are no collective of the plan's. */
const GROUPS_BYTES = 128;

/** Runs ranks under Open MPI's monitoring, and asserts that each counted what plans say. */
async function assertWitnessed(ranks: number, args: readonly string[]): Promise<Entry[]> {
  const folder = await Deno.makeTempDir();
  try {
    const monitoring = {
      pml_monitoring_enable: "2",
      pml_monitoring_enable_output: "3",
      pml_monitoring_filename: join(folder, "rank"),
    };
    const flags = Object.entries(monitoring).flatMap(([name, value]) => ["--mca", name, value]);
    const { code, out, err } = await said(
      start([{ ranks, args: [...args, "--json", "--pass", "train"] }], flags),
    );
    assert.equal(code, EXIT.ok, err + out);
    const entries = JSON.parse(out) as Entry[];
    for (const { ok, exchange, fixture, perRank } of entries) {
      assert(ok, fixture);
      assert.match(exchange, /^Open MPI v/);
      assert.equal(perRank.length, ranks);
      for (const rank of perRank) {
        assert.equal(rank.measuredPeakBytes, rank.peakBytes, fixture);
        assert.equal(rank.measuredTrafficBytes, rank.plannedTrafficBytes, fixture);
      }
    }
    const counts = await witnessed(folder);
    assert.equal(counts.length, ranks);
    const planned = (count: typeof sentBytes, group: "tensor" | "data", rank: number) =>
      entries.reduce((sum, entry) => sum + collectiveBytes(entry, group, rank, count), 0);
    let rest = 0;
    for (const [rank, { called, sent }] of counts.entries()) {
      rest += sent - called.get("MPI_COMM_WORLD")!;
      for (const group of ["tensor", "data"] as const) {
        assert.equal(called.get(`lce ${group}`), planned(calledBytes, group, rank), group);
        rest -= planned(sentBytes, group, rank);
      }
    }
    assert(Math.abs(rest) < GROUPS_BYTES * ranks, `${rest} bytes were sent that no plan has`);
    return entries;
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

mpiTest(
  "three processes that split the vocabulary unevenly agree with the reference and the plan",
  async () => {
    const cases = [
      "odd-dims",
      "z-loss-smoothing-softcap",
      "bf16-inputs",
      "vjp-logprob-lse-entropy",
    ].map((name) => join(ORACLE, `${name}.safetensors`));
    const entries = await assertWitnessed(3, ["--tensor-parallel", "3", ...cases]);
    assert.equal(entries.length, cases.length);
    assert(
      entries.some(({ perRank }) => new Set(perRank.map(({ vocab }) => vocab.count)).size === 2),
      "uneven shards",
    );
  },
);

mpiTest(
  "two by two processes split a checkpoint whose weight none reads whole, and its tokens",
  async () => {
    const split = ["--data-parallel", "2", "--tensor-parallel", "2", "--sequence-parallel"];
    const [entry] = await assertWitnessed(4, split) as [Entry];
    const { problem: { vocab, hidden }, perRank, collectives } = entry;
    assert(collectives.some(({ op }) => op === "all-gather"));
    assert(collectives.some(({ op }) => op === "reduce-scatter-sum"));
    assert.deepEqual(
      perRank.map(({ weightReadBytes }) => weightReadBytes),
      perRank.map((rank) => 2 * hidden * rank.vocab.count),
    );
    assert.equal(perRank[0]!.weightReadBytes + perRank[1]!.weightReadBytes, 2 * hidden * vocab);
  },
);

/** Size of the weight below: bf16. */
const [VOCAB, HIDDEN] = [40960, 512];
const WEIGHT_BYTES = 2 * VOCAB * HIDDEN;

/** More than a program reads of itself and of drivers, and less than half of the weight. */
const PROGRAM_BYTES = 16 * 2 ** 20;

/** Copies a checkpoint folder; in the copy, rows outside of a range are not a number. */
async function partial(made: string, folder: string, start: number, end: number): Promise<string> {
  await Deno.mkdir(folder);
  for (const { name } of Deno.readDirSync(made)) {
    const bytes = await Deno.readFile(join(made, name));
    if (name === "model.safetensors") {
      const weight = bytes.subarray(-WEIGHT_BYTES);
      weight.fill(0xff, 0, 2 * HIDDEN * start);
      weight.fill(0xff, 2 * HIDDEN * end);
    }
    await Deno.writeFile(join(folder, name), bytes);
  }
  return folder;
}

mpiTest("a rank needs no rows of the weight but its own, and reads no others", async () => {
  await withFolder(async (folder) => {
    const [whole, io] = [join(folder, "whole"), join(folder, "io")];
    const made = await lce(
      ...["fixture", "make", whole, "--vocab", `${VOCAB}`, "--hidden", `${HIDDEN}`],
      ...["--tokens", "8", "--dtype", "bf16"],
    );
    assert.equal(made.code, EXIT.ok, made.err);
    const halves = [
      await partial(whole, join(folder, "lower"), 0, VOCAB / 2),
      await partial(whole, join(folder, "upper"), VOCAB / 2, VOCAB),
    ];
    await Deno.mkdir(io);
    const split = ["--data-parallel", "2", "--tensor-parallel", "2", "--sequence-parallel"];
    const { code, out, err } = await said(start([0, 1, 2, 3].map((rank) => ({
      ranks: 1,
      args: [...split, "--json", halves[rank % 2]!],
      leaves: { folder: io, what: "io" },
    }))));
    assert.equal(code, EXIT.ok, err + out);
    const [{ agreement, perRank }] = JSON.parse(out) as [Entry];
    assert(agreement.ok);
    for (const [rank, { weightReadBytes }] of perRank.entries()) {
      assert.equal(weightReadBytes, WEIGHT_BYTES / 2);
      const account = await Deno.readTextFile(join(io, `${rank}`));
      // Its half to check it and to run, and those of the first replica twice for the reference.
      const halves = (rank < 2 ? 4 : 2) * WEIGHT_BYTES / 2;
      const rest = Number(/rchar: (\d+)/.exec(account)![1]) - halves;
      assert(rest > 0 && rest < PROGRAM_BYTES, `rank ${rank} read ${rest} bytes besides its half`);
    }
  });
});

mpiTest("four processes give what four simulated ranks give, whatever is split", async () => {
  const { code, out, err } = await said(mpirun(["-n", "4", ...DENO, CASES]));
  assert.equal(code, EXIT.ok, err + out);
  const found = out.trim().split("\n").map((line): CaseFound => JSON.parse(line));
  assert.match(
    found.pop()!.refused!,
    /Cannot split 3 vocabulary rows over 4 tensor-parallel ranks/,
  );
  assert.deepEqual(found.shift(), { name: "serving", ok: true });
  // All ranks fell back, for the values of one.
  const { ok, retried } = found.shift()!;
  assert(ok && retried && "halves" in retried);
  const { halves: { hidden, weight, moved }, tier } = retried;
  assert.deepEqual([hidden, tier], [0, "f32"]);
  assert(weight > 0 && weight < 40 && moved > 1e-6);
  assert.equal(found.length, 14);
  assert.equal(found.filter(({ differ }) => differ).length, 9);
  for (const { name, refused, ok, differ = [], collectives, wrong } of found) {
    assert.equal(refused, undefined, name);
    assert(ok, name);
    assert(collectives! > 0, name);
    assert.deepEqual(wrong, [], name);
    assert.deepEqual(differ, [], name);
  }
});

mpiTest(
  "what ranks tell each other is timed and kept, and plans know how long it takes",
  async () => {
    await withFolder(async (folder) => {
      const env = { LCE_CACHE: folder };
      const args = ["--quick", "--json"];
      const { code, out, err } = await said(start([{ ranks: 2, command: "tune", args, env }]));
      assert.equal(code, EXIT.ok, err);
      const { rates, collectives, kept } = JSON.parse(out);
      assert.equal(collectives.length, 9);
      assert(collectives.every(({ seconds }: { seconds: number }) => seconds > 0));
      assert.equal(rates.ranksPerHost, 2);
      assert.match(rates.source, /^2 ranks on .* by Open MPI/);
      assert.equal(kept, join(folder, "links.json"));
      const plan = await new Deno.Command(Deno.execPath(), {
        args: [
          ...[...DENO.slice(1), MAIN, "plan", "--vocab", "5000", "--hidden", "64"],
          ...["--tensor-parallel", "2", "--links", "auto", "--json"],
        ],
        env,
      }).output();
      const planned = JSON.parse(new TextDecoder().decode(plan.stdout));
      assert.deepEqual(planned.links, rates);
      assert(planned.collectives[0].estimatedMs > 0);
    });
  },
);

mpiTest(
  "a rank whose device fails while links are timed ends all, and nothing is kept",
  async () => {
    await withFolder(async (folder) => {
      const each = { ranks: 1, command: "tune", args: ["--quick"], env: { LCE_CACHE: folder } };
      const { code, out, err } = await said(start([each, { ...each, failing: 2 }]));
      assert.equal(code, EXIT.device, err);
      assert.match(err, /lce: rank 1: The device did not hand tensors over/);
      assert.equal(out, "");
      assert.deepEqual([...Deno.readDirSync(folder)], []);
    });
  },
);

Deno.test("ranks of hosts follow one another, as many on each", () => {
  const place = (rank: number, local: number, size: number) => {
    const env = { RANK: rank, LOCAL_RANK: local, LOCAL_SIZE: size };
    for (const [name, value] of Object.entries(env)) {
      Deno.env.set(`OMPI_COMM_WORLD_${name}`, `${value}`);
    }
    try {
      return splitByHost(8);
    } finally {
      for (const name of Object.keys(env)) Deno.env.delete(`OMPI_COMM_WORLD_${name}`);
    }
  };
  assert.deepEqual(place(6, 2, 4), { tensor: 4, data: 2, sequence: false });
  assert.throws(() => place(6, 3, 4), /rank 6 is number 3 of 4 on its host.*--map-by slot/);
  assert.throws(() => place(2, 2, 3), /give all hosts as many/);
  assert.throws(() => splitByHost(1), /one rank has nobody to tell anything/);
});

/** Whether a process that a test started is still there; one that is stopped goes on to its end. */
function isThere(pid: number): boolean {
  try {
    Deno.kill(pid, "SIGCONT");
    return true;
  } catch {
    return false;
  }
}

/** Starts two ranks on many fixtures, signals to the second after the first fixture, and waits. */
async function disturbed(signal: Deno.Signal, ...args: string[]): Promise<Said> {
  const pids = await Deno.makeTempDir();
  const leaves = { folder: pids, what: "pid" } as const;
  const child = start([{ ranks: 2, args: ["--tensor-parallel", "2", ...args, ORACLE], leaves }]);
  const err = new Response(child.stderr).text();
  const reader = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
  let out = "";
  let begun: number | undefined;
  for (let chunk = await reader.read(); !chunk.done; chunk = await reader.read()) {
    out += chunk.value;
    if (begun !== undefined || !out.includes(": ok")) continue;
    begun = performance.now();
    Deno.kill(Number(await Deno.readTextFile(join(pids, "1"))), signal);
  }
  const said = { code: (await child.status).code, out, err: await err };
  assert(begun !== undefined, said.err);
  assert(performance.now() - begun < 40e3, "all ranks end within seconds");
  for (const rank of ["0", "1"]) {
    const pid = Number(await Deno.readTextFile(join(pids, rank)));
    // mpirun may end a moment before those that it kills.
    for (let tries = 0; isThere(pid); tries++) {
      assert(tries < 50, `rank ${rank} is still there`);
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }
  await Deno.remove(pids, { recursive: true });
  return said;
}

/** How many messages there are: mpirun ends ranks by a signal, of which they may tell as they go. */
function spoken(err: string): number {
  return err.replaceAll(/lce: rank \d+: ended by mpirun/g, "").match(/lce: /g)?.length ?? 0;
}

mpiTest("where a rank is killed in mid-run all end, and mpirun names it", async () => {
  const { code, out, err } = await disturbed("SIGKILL");
  assert.equal(code, 128 + 9);
  assert.match(err, /rank 1 .*signal 9/s);
  assert.doesNotMatch(out, /fixtures agree/);
});

mpiTest("where a rank hangs in mid-run the others say which, and all end", async () => {
  const { code, err } = await disturbed("SIGSTOP", "--rank-timeout", "3");
  assert.equal(code, EXIT.device);
  assert.match(err, /lce: rank 1 did not (come|answer)[^\n]*hung, or slower than --rank-timeout/);
  assert.equal(spoken(err), 1, err);
});

mpiTest("a rank without a device is named, with its exit code", async () => {
  const args = ["--tensor-parallel", "2"];
  const nowhere = "/nowhere.json";
  const { code, out, err } = await said(start([
    { ranks: 1, args },
    {
      ranks: 1,
      args,
      env: { VK_DRIVER_FILES: nowhere, VK_ICD_FILENAMES: nowhere, DENO_WEBGPU_BACKEND: "vulkan" },
    },
  ]));
  assert.equal(code, EXIT.device, err);
  assert.match(err, /^lce: rank 1: .*/m);
  assert.equal(spoken(err), 1, err);
  assert.equal(out.trim(), "");
});

mpiTest("a rank with another plan is named, before anything runs", async () => {
  const args = ["--tensor-parallel", "2", "--pass", "train", "--strategy", "windowed", "--window"];
  const { code, out, err } = await said(start([
    { ranks: 1, args: [...args, "512"] },
    { ranks: 1, args: [...args, "256"] },
  ]));
  assert.equal(code, EXIT.usage, err);
  assert.match(err, /^lce: rank 1 has another plan than rank 0/m);
  assert.equal(spoken(err), 1, err);
  assert.equal(out.trim(), "");
});

mpiTest("a split over other ranks than mpirun started says how many it takes", async () => {
  const { code, err } = await said(start([{ ranks: 2, args: ["--tensor-parallel", "3"] }]));
  assert.equal(code, EXIT.usage);
  assert.match(err, /mpirun started 2 ranks, but .* takes 3: mpirun -n 3/);
  assert.equal(spoken(err), 1, err);
});

Deno.test("MPICH is refused by its name", async () => {
  Deno.env.set("PMI_SIZE", "2");
  try {
    const { code, err } = await lce("run", "--mpi", "--tensor-parallel", "2");
    assert.equal(code, EXIT.device);
    assert.match(err, /MPICH or a relative of it started this process .*Open MPI's mpirun/);
  } finally {
    Deno.env.delete("PMI_SIZE");
  }
});

/**
 * Ranks as processes on this machine's device, joined by Open MPI: numbers, memory
 * and traffic, the last by Open MPI's own monitoring too, and what becomes of the
 * others when a rank fails.
 */
import assert from "node:assert/strict";
import { join } from "node:path";
import { EXIT } from "./exit.ts";

const MAIN = new URL("./main.ts", import.meta.url).pathname;
const ORACLE = new URL("../fixtures/oracle/", import.meta.url).pathname;

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
  readonly args: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** A folder in which each rank leaves the number of its process, by its own. */
  readonly pids?: string;
}

/** Notes the number of a rank's process, which then becomes what follows. */
const NOTED = 'echo $$ > "$0/$OMPI_COMM_WORLD_RANK"; exec "$@"';

/** Starts ranks; several sets of them may differ. */
function start(sets: readonly Ranks[], flags: readonly string[] = []): Deno.ChildProcess {
  const programs = sets.flatMap(({ ranks, args, env = {}, pids }, index) => [
    ...(index > 0 ? [":"] : []),
    ...["-n", `${ranks}`, "env", ...Object.entries(env).map(([name, value]) => `${name}=${value}`)],
    ...(pids ? ["sh", "-c", NOTED, pids] : []),
    ...[Deno.execPath(), "run", "--quiet", "--allow-all", MAIN, "run", "--mpi", ...args],
  ]);
  return new Deno.Command("mpirun", {
    args: ["--allow-run-as-root", "--oversubscribe", ...flags, ...programs],
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

/** Bytes that Open MPI counted for collectives of ranks, by the name of their group. */
async function witnessed(folder: string): Promise<Map<string, number>[]> {
  const files = [...Deno.readDirSync(folder)].map(({ name }) => name).sort();
  return await Promise.all(files.map(async (name) => {
    const text = await Deno.readTextFile(join(folder, name));
    const groups = new Map<string, number>();
    for (const [, group, bytes] of text.matchAll(/^D\t(.+?)\t[^]*?^A2A\t\d+\t(\d+) bytes/gm)) {
      groups.set(group!, Number(bytes));
    }
    return groups;
  }));
}

/** Bytes that a rank gives to each of the others of a group: its part of a gather or a scatter. */
function givenBytes(
  { collectives, parallel, perRank, problem: { hidden } }: Entry,
  group: "tensor" | "data",
  rank: number,
): number {
  const ranks = parallel[group];
  // The collectives are the first rank's, which has the most rows of the weight's gradient.
  const fewer = perRank[0]!.vocab.count - perRank[rank]!.vocab.count;
  return collectives.filter((step) => step.group === group).reduce((sum, { op, what, bytes }) => {
    const own = what === "grad_weight" ? bytes - 4 * hidden * fewer : bytes;
    return sum + (ranks - 1) * (op.startsWith("all-reduce") ? own : own / ranks);
  }, 0);
}

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
    for (const group of ["tensor", "data"] as const) {
      for (const [rank, count] of counts.entries()) {
        const planned = entries.map((entry) => givenBytes(entry, group, rank));
        assert.equal(
          count.get(`lce ${group}`),
          planned.reduce((sum, each) => sum + each, 0),
          group,
        );
      }
    }
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
  const child = start([{ ranks: 2, args: ["--tensor-parallel", "2", ...args, ORACLE], pids }]);
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
  return err.replaceAll("lce: interrupted", "").match(/lce: /g)?.length ?? 0;
}

mpiTest("where a rank is killed in mid-run all end, and mpirun names it", async () => {
  const { code, out, err } = await disturbed("SIGKILL");
  assert.equal(code, 128 + 9);
  assert.match(err, /rank 1 .*signal 9/s);
  assert.doesNotMatch(out, /fixtures agree/);
});

mpiTest("where a rank hangs in mid-run the others say which, and all end", async () => {
  const { code, err } = await disturbed("SIGSTOP", "--rank-timeout", "5");
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

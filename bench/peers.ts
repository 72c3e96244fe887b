// deno-lint-ignore-file no-console -- a script prints
/**
 * Our output layer beside those of WebGPU libraries that a page can load: time, measured peak
 * of all buffers, and the largest batch that runs; the same device, inputs and process
 * conditions. `bench/peers.md` has results.
 *
 *     deno run -A bench/peers.ts fetch FOLDER                  # the peers, from npm, once
 *     deno run -A bench/peers.ts time FOLDER NxDxV... [--seconds S] [--json FILE]
 *     deno run -A bench/peers.ts largest FOLDER DxV MOST [--from N] [--budget SIZE] [--seconds S] [--json FILE]
 *
 * `--seconds` is how long all of it may take: what is left is shared out among what is left to do.
 *
 * A folder that was fetched needs no network and no npm, wherever it is carried.
 *
 * @module
 */
import { markdown } from "../cli/report/formats.ts";
import { formatBytes, formatSeconds, parseBytes } from "../planner/units.ts";
import { METHODS } from "./peers/methods.ts";

/** Packages of the peers, at the versions that are compared. */
const PACKAGES: Readonly<Record<string, { version: string; also: readonly string[] }>> = {
  "@jax-js/jax": { version: "0.1.25", also: [] },
  "@tensorflow/tfjs": { version: "4.22.0", also: ["@tensorflow/tfjs-backend-webgpu"] },
};

/** The method whose losses the others must agree with. */
const OURS = "lce";

const PASSES = ["forward", "train"] as const;

/** What a method may take for a row, in milliseconds. */
const PATIENCE_MS = 240_000;

/** Milliseconds within which not even the smallest row is done. */
const TOO_LITTLE_MS = 2_000;

/** Shares out the milliseconds until a deadline. */
class Shares {
  readonly #end: number;

  /** Begins now. */
  constructor(seconds: number | undefined, private left: number) {
    this.#end = performance.now() + 1000 * (seconds ?? Infinity);
  }

  /** Returns when the next of what is left to do must have ended. */
  next(): number {
    const now = performance.now();
    return now + Math.max(0, this.#end - now) / this.left--;
  }
}

/** Repeats of a timed step, after the first. */
const REPEATS = 5;

/** How far losses of f32 may be from ours, as a share: sums of thousands of terms, in orders of their own. */
const AGREEMENT = 1e-4;

/** A row as `bench/peers/one.ts` prints it, or why there is none. */
interface Row {
  readonly method: string;
  readonly pass: string;
  readonly tokens: number;
  readonly hidden: number;
  readonly vocab: number;
  readonly device?: string;
  readonly ms?: number | null;
  readonly fastest?: number;
  readonly slowest?: number;
  readonly loss?: number;
  readonly peakBytes?: number;
  readonly beyondBytes?: number;
  readonly missing?: string;
}

/** Fetches each peer with what it needs, and makes one module of it. */
async function fetchPeers(folder: string): Promise<void> {
  await Deno.mkdir(folder, { recursive: true });
  const work = await Deno.makeTempDir();
  try {
    await Deno.writeTextFile(`${work}/package.json`, '{ "private": true, "type": "module" }');
    const wanted = Object.entries(PACKAGES).flatMap(([name, { version, also }]) =>
      [name, ...also].map((each) => `${each}@${version}`)
    );
    await run("npm", ["install", "--silent", "--no-audit", "--no-fund", ...wanted], work);
    for (const [name, { also }] of Object.entries(PACKAGES)) {
      const entry = `${work}/entry.js`;
      const lines = [`export * from "${name}";`, ...also.map((each) => `import "${each}";`)];
      await Deno.writeTextFile(entry, lines.join("\n"));
      const output = `${Deno.realPathSync(folder)}/${name.replaceAll("/", "+")}.js`;
      const flags = ["--quiet", "--node-modules-dir=manual", "--platform", "deno", "--minify"];
      await run("deno", ["bundle", ...flags, "--output", output, entry], work);
      console.log(output);
    }
  } finally {
    await Deno.remove(work, { recursive: true });
  }
}

async function run(program: string, args: string[], cwd: string): Promise<void> {
  const { success, stderr } = await new Deno.Command(program, { args, cwd }).output();
  if (!success) throw new Error(`${program} failed: ${new TextDecoder().decode(stderr)}`);
}

/** What a row may take. */
interface Limits {
  /** When it must have ended, by `performance.now()`. */
  readonly end: number;
  readonly repeats: number;
  /** Most bytes of buffers. */
  readonly budget?: number | undefined;
}

/** Does a row in a process of its own. */
async function one(
  folder: string,
  method: string,
  pass: string,
  [tokens, hidden, vocab]: readonly number[],
  { end, repeats, budget }: Limits,
): Promise<Row> {
  const patience = Math.min(PATIENCE_MS, end - performance.now());
  const about = { method, pass, tokens: tokens!, hidden: hidden!, vocab: vocab! };
  const script = new URL("peers/one.ts", import.meta.url).pathname;
  const shape = `${tokens}x${hidden}x${vocab}`;
  const told = [`${repeats}`, `${0.9 * patience / 1000}`, ...(budget ? [`${budget}`] : [])];
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "--quiet", "-A", script, folder, method, pass, shape, ...told],
    env: { NO_COLOR: "1" },
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  let late = false;
  const timer = setTimeout(() => {
    late = true;
    child.kill("SIGKILL");
  }, patience);
  const { success, stdout, stderr } = await child.output();
  clearTimeout(timer);
  if (success) return JSON.parse(new TextDecoder().decode(stdout));
  if (late) return { ...about, missing: `takes more than ${Math.round(patience / 1000)} s` };
  const said = new TextDecoder().decode(stderr).split("\n");
  const error = said.find((line) => /error: /i.test(line) && !/XDG/.test(line)) ?? "it crashed";
  return { ...about, missing: error.replace(/^error: (Uncaught )?(\(in promise\) )?/, "") };
}

/** Returns the row, unless its buffers take more than a budget. */
function affordable(row: Row, budget = Infinity): Row {
  if (row.peakBytes === undefined || row.peakBytes <= budget) return row;
  const { method, pass, tokens, hidden, vocab, peakBytes } = row;
  return { method, pass, tokens, hidden, vocab, missing: `would take ${formatBytes(peakBytes)}` };
}

/** Returns the row, unless its loss is not that of the first, which is ours. */
function agreeing(row: Row, ours: Row): Row {
  if (row.loss === undefined || ours.loss === undefined) return row;
  if (Math.abs(row.loss - ours.loss) <= AGREEMENT * Math.abs(ours.loss)) return row;
  const { method, pass, tokens, hidden, vocab } = row;
  return {
    method,
    pass,
    tokens,
    hidden,
    vocab,
    missing: `wrong: a loss of ${row.loss}, not ${ours.loss}`,
  };
}

async function timeAll(
  folder: string,
  shapes: readonly string[],
  seconds: number | undefined,
): Promise<Row[]> {
  const rows: Row[] = [];
  const methods = Object.keys(METHODS);
  const shares = new Shares(seconds, shapes.length * PASSES.length * methods.length);
  for (const shape of shapes) {
    const sizes = shape.split("x").map(Number);
    for (const pass of PASSES) {
      let ours: Row | undefined;
      for (const method of methods) {
        const limits = { end: shares.next(), repeats: REPEATS };
        const row = await one(folder, method, pass, sizes, limits);
        ours ??= row;
        rows.push(agreeing(row, ours));
        console.error(JSON.stringify(rows.at(-1)));
      }
    }
  }
  return rows;
}

/**
 * Doubles the batch until a method cannot do it, there are as many tokens as asked for, or its time
 * is over. Ours comes last: it has what the others leave.
 */
async function largestOf(
  folder: string,
  shape: string,
  most: number,
  { from, budget, seconds }: {
    readonly from: number;
    readonly budget: number | undefined;
    readonly seconds: number | undefined;
  },
): Promise<Row[]> {
  const [hidden, vocab] = shape.split("x").map(Number);
  const searches = PASSES.flatMap((pass) =>
    Object.keys(METHODS).map((method) => ({ pass, method, rows: [] as Row[] }))
  );
  const shares = new Shares(seconds, searches.length);
  for (const { pass, method, rows } of searches.toReversed()) {
    const end = shares.next();
    for (let tokens = from; tokens <= most; tokens *= 2) {
      const sizes = [tokens, hidden!, vocab!];
      const row = end - performance.now() < TOO_LITTLE_MS
        ? { method, pass, tokens, hidden: hidden!, vocab: vocab!, missing: "no time was left" }
        : await one(folder, method, pass, sizes, { end, repeats: 0, budget });
      rows.push(affordable(row, budget));
      console.error(JSON.stringify(rows.at(-1)));
      if (rows.at(-1)!.missing !== undefined) break;
    }
  }
  const ours = searches.filter(({ method }) => method === OURS).flatMap(({ rows }) => rows);
  return searches.flatMap(({ rows }) => {
    const agreed = rows.map((row) => {
      const same = ours.find(({ pass, tokens }) => pass === row.pass && tokens === row.tokens);
      return same ? agreeing(row, same) : row;
    });
    const last = agreed.findIndex(({ missing }) => missing !== undefined);
    return last < 0 ? agreed : agreed.slice(0, last + 1);
  });
}

function titleOf({ method }: Row): string {
  const { title, module } = METHODS[method]!;
  return module ? `${title} (${module} ${PACKAGES[module]!.version})` : title;
}

function shapeOf({ tokens, hidden, vocab }: Row): string {
  return `${tokens}x${hidden}x${vocab}`;
}

const size = (bytes: number | undefined) => bytes === undefined ? "-" : formatBytes(bytes);
/** A row's time as it is printed: one whose first step took its share of the seconds has none. */
const time = (ms: number | null | undefined) =>
  ms === undefined || ms === null ? "-" : formatSeconds(ms / 1000, 3);

/** Returns the table of timed rows, each with the command that does it again. */
function timeTable(rows: readonly Row[]): string {
  return markdown([
    [
      "shape",
      "pass",
      "method",
      "time",
      "fastest to slowest",
      "peak",
      "beyond inputs and results",
      "command",
    ],
    ...rows.map((row) => [
      shapeOf(row),
      row.pass,
      titleOf(row),
      row.missing ?? time(row.ms),
      row.missing ? "-" : `${time(row.fastest)} to ${time(row.slowest)}`,
      size(row.peakBytes),
      size(row.beyondBytes),
      `\`one.ts FOLDER ${row.method} ${row.pass} ${shapeOf(row)}\``,
    ]),
  ]);
}

/** Returns the table of the largest batches: the last that ran, and what was in the way of the next. */
function largestTable(rows: readonly Row[]): string {
  const searches = Map.groupBy(rows, ({ method, pass }) => `${pass} ${method}`);
  return markdown([
    ["pass", "method", "largest batch", "peak there", "what the next met"],
    ...[...searches.values()].map((search) => {
      const last = search.findLast(({ missing }) => missing === undefined);
      return [
        search[0]!.pass,
        titleOf(search[0]!),
        last ? `${last.tokens} tokens` : "none",
        size(last?.peakBytes),
        search.at(-1)!.missing ?? "not tried",
      ];
    }),
  ]);
}

const [verb, folder, ...rest] = Deno.args;
/** Takes a flag and its value out of the arguments. */
function flag(name: string): string | undefined {
  const at = rest.indexOf(name);
  return at < 0 ? undefined : rest.splice(at, 2)[1];
}
const json = flag("--json");
const limit = flag("--budget");
const from = Number(flag("--from") ?? 64);
const given = flag("--seconds");
const seconds = given === undefined ? undefined : Number(given);
if (verb === "fetch" && folder) await fetchPeers(folder);
else if ((verb === "time" || verb === "largest") && folder && rest.length > 0) {
  const budget = limit === undefined ? undefined : parseBytes(limit);
  const rows = verb === "time"
    ? await timeAll(folder, rest, seconds)
    : await largestOf(folder, rest[0]!, Number(rest[1]), { from, budget, seconds });
  console.log(`On ${rows.find(({ device }) => device)?.device}:\n`);
  console.log(verb === "time" ? timeTable(rows) : largestTable(rows));
  if (json) await Deno.writeTextFile(json, `${JSON.stringify(rows, null, 2)}\n`);
} else {
  console.error(
    "Usage: peers.ts fetch FOLDER | time FOLDER NxDxV... | largest FOLDER DxV MOST [--from N] [--budget SIZE]; both with [--seconds S] [--json FILE]",
  );
  Deno.exit(2);
}

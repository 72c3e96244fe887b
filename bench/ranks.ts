// deno-lint-ignore-file no-console -- a script prints
/**
 * Ranks as processes: how long a training pass takes over those that `mpirun` started, in
 * every split, with gradients told at the end and piece by piece; and how long collectives
 * took, beside what the rates of `lce tune --mpi` say, where there are some.
 *
 *     mpirun -n 2 deno task --quiet bench:ranks [TOKENS] [HIDDEN] [VOCAB] [REPEATS]
 *
 * @module
 */
import { linksOf } from "../cli/bench/links.ts";
import { splitName } from "../cli/report/splits.ts";
import { table } from "../cli/report/table.ts";
import { openDevice } from "../cli/request/device.ts";
import { makeSynthetic } from "../fixtures/synthetic.ts";
import { planRanks, rankJobs } from "../fixtures/verify/verify_ranks.ts";
import type { Exchange } from "../kernels/ranks/exchange.ts";
import { executeRanks } from "../kernels/ranks/execute_ranks.ts";
import { joinMpi } from "../kernels/ranks/mpi/team.ts";
import { sendingSeconds } from "../planner/links.ts";
import type { Parallelism } from "../planner/parallel.ts";
import { parseProblem } from "../planner/problem_schema.ts";
import { factorisations } from "../planner/splits.ts";
import { formatBytes } from "../planner/units.ts";

const [tokens = 512, hidden = 256, vocab = 8192, repeats = 5] = Deno.args.map(Number);

/** Seconds that a rank waits for others at most. */
const TIMEOUT = 120;

const team = joinMpi({
  timeoutSeconds: TIMEOUT,
  codes: { silent: 3, differs: 2 },
  env: (name) => Deno.env.get(name),
});
const acquired = await openDevice();
const links = await linksOf(Deno.hostname());
const problem = parseProblem({ tokens, hidden, vocab, pass: "train" });
const fixture = makeSynthetic(problem, 1);

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)]!;
}

/** Returns an exchange that adds up how long its collectives are under way, in milliseconds. */
function timed(exchange: Exchange, times: { sum: number }): Exchange {
  return {
    ...exchange,
    async combine(...args) {
      const begun = performance.now();
      const got = await exchange.combine(...args);
      times.sum += performance.now() - begun;
      return got;
    },
  };
}

/** Returns the row of one split. */
async function row(parallelism: Parallelism): Promise<string[]> {
  // Pieces to tell: a quarter of a replica's tokens each, or of a rank's ids.
  const options = parallelism.tensor > 1
    ? { strategy: "chunked", block: Math.ceil(tokens / parallelism.data / 4 / 64) * 64 } as const
    : { strategy: "windowed", window: Math.ceil(vocab / 4 / 64) * 64 } as const;
  const planned = await planRanks(fixture, acquired, parallelism, options, team.rank);
  const job = rankJobs(planned)[team.rank]!;
  const times = { sum: 0 };
  const exchange = timed(team.split(parallelism), times);
  const walls: number[] = [];
  const sums: number[] = [];
  // The first compiles.
  for (let time = 0; time <= repeats; time++) {
    times.sum = 0;
    await team.agree({ version: "", plan: "" });
    const begun = performance.now();
    await executeRanks([job], acquired.device, { exchange });
    walls.push(performance.now() - begun);
    sums.push(times.sum);
  }
  const { plan: { collectives, largest } } = planned;
  const expected = links && collectives.reduce(
    (sum, step) => sum + 1e3 * sendingSeconds(step, parallelism, links),
    0,
  );
  return [
    `${team.ranks}`,
    splitName(parallelism),
    parallelism.overlap ? "in pieces" : "at once",
    `${collectives.length}`,
    formatBytes(collectives.reduce((sum, { bytes }) => sum + bytes, 0)),
    median(sums.slice(1)).toFixed(1),
    expected === undefined ? "-" : expected.toFixed(1),
    median(walls.slice(1)).toFixed(0),
    formatBytes(largest.memory.peakBytes),
  ];
}

const rows: string[][] = [];
for (const split of factorisations(team.ranks)) {
  if (split.sequence) continue;
  rows.push(await row(split));
  if (team.ranks > 1) rows.push(await row({ ...split, overlap: true }));
}
if (team.rank === 0) {
  console.log(
    `${tokens} tokens x ${hidden} hidden x ${vocab} vocab, f32, training, on ${acquired.profile.name}; links: ${
      links?.source ?? "not measured"
    }`,
  );
  const heads = ["ranks", "tensor x data", "gradients", "collectives", "bytes"];
  console.log(
    table([[...heads, "under way, ms", "by rates, ms", "pass, ms", "peak of a rank"], ...rows], [
      ...["right", "left", "left", "right", "right", "right", "right", "right", "right"] as const,
    ]),
  );
}
acquired.device.destroy();
team.finalize();

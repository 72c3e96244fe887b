/**
 * `lce tune`: measures this machine's device once, for every later plan on it.
 *
 * @module
 */
import { Command } from "commander";
import { measurePeaks } from "../../kernels/measure/peaks.ts";
import { problemSchema } from "../../planner/problem_schema.ts";
import { openDevice } from "../request/device.ts";
import { quietFlag } from "../request/flags.ts";
import { type WebGpuChoice, webgpuFlag } from "../request/webgpu.ts";
import type { Output } from "../output.ts";
import { tuneJson, tuneText } from "../report/tune.ts";
import { checkWith } from "../request/request.ts";
import { settingFlags, type Settings } from "../request/settings.ts";
import { parseShape } from "../request/shape_flag.ts";
import { keepTunedRates, TUNED } from "../bench/tuned.ts";
import { keepLinks, LINKS } from "../bench/links.ts";
import { tuneLinks } from "../bench/tune_links.ts";
import { UsageError } from "../exit.ts";
import { linksJson, linksText } from "../report/links.ts";
import { splitByHost, withCrew } from "../request/crew.ts";
import { checkTunable, tilesToTune, tune, tuningProblem } from "../bench/tune.ts";

/** How long things may take, in ms and s. */
const EFFORT = {
  quick: { repeats: 2, budgetMs: 500, warmUpMs: 0, peaks: 0.05, pass: 0.1 },
  full: { repeats: 3, budgetMs: 1500, warmUpMs: 50, peaks: 0.3, pass: 0.15 },
} as const;

/** The flags of the command. */
interface Flags extends Settings<"dtype"> {
  readonly quick?: boolean;
  readonly shape?: string;
  readonly webgpu?: WebGpuChoice;
  readonly mpi?: boolean;
  readonly dryRun?: boolean;
  readonly json?: boolean;
}

/** Returns the command. */
export function tuneCommand(output: Output, exit: (code: number) => void = () => {}): Command {
  const command = new Command("tune")
    .description("measure this machine's device, so that plans for it are chosen by its own speed")
    .option("--quick", "the shipped tiles only, few repeats")
    .option(
      "--shape <NxDxV>",
      "tune on this problem, tokens x hidden x vocab, instead of one that fits the device",
    );
  return settingFlags(command, ["dtype"])
    .addOption(webgpuFlag())
    .option(
      "--mpi",
      "measure how fast the ranks that Open MPI's mpirun started tell each other something, instead",
    )
    .option("--dry-run", "measure, but keep what was kept before")
    .option("--json", "print JSON alone")
    .addOption(quietFlag())
    .addHelpText(
      "after",
      `
Products in f32 are measured and, where the device has subgroup matrices, those of halves and of f32
that is split into halves.

What is measured is kept for this device, WebGPU and version of the kernels, and used
wherever plans are made on this machine, before what was calibrated at the device's first use:
"plan --device auto", "run" and "bench" say so.

With --mpi latency and bandwidth of collectives are measured, within a host and, where there are
several, between hosts, and kept for these hosts: "plan --links auto" says how long collectives
take.

Examples:
  $ lce tune --quick
  $ mpirun -n 4 lce tune --mpi
  $ lce tune --shape 4096x4096x128256 --dtype bf16`,
    )
    .action(async ({ quick, shape, dtype, webgpu, mpi, dryRun, json }: Flags) => {
      if (mpi) {
        const how = { quick: quick ?? false, webgpu, keep: !dryRun, json: json ?? false };
        return await tuneRanks({ ...how, others: { shape, dtype } }, output, exit);
      }
      const effort = EFFORT[quick ? "quick" : "full"];
      const asked = shape ? parseShape(shape) : undefined;
      if (!dryRun) await TUNED.check();
      const acquired = await openDevice({ webgpu });
      const { device } = acquired;
      try {
        // Rates kept from before would only lead the search astray.
        const profile = { ...acquired.profile, rates: undefined };
        const { registers, others } = tilesToTune(profile, { quick: quick ?? false });
        const askedFor = asked && checkWith(problemSchema(), { ...asked, dtype, pass: "train" });
        // A software device has the machine's memory, and takes all of it when asked to.
        const memory = acquired.software ? Deno.systemMemoryInfo().available : undefined;
        if (askedFor) checkTunable(askedFor, profile, registers, memory);
        output.progress("measuring the device's peaks");
        const peaks = await measurePeaks(acquired, { seconds: effort.peaks });
        const problem = askedFor ?? tuningProblem(peaks, effort.pass, dtype);
        const tuning = await tune(problem, { ...acquired, profile }, peaks, {
          ...effort,
          tiles: [...registers, ...others],
          onProgress: output.progress,
        });
        const now = new Date().toISOString().slice(0, 10);
        const rates = { ...tuning.rates, source: `tuned on this machine, ${now}` };
        let failure: unknown;
        const kept = dryRun
          ? undefined
          : await keepTunedRates(profile, rates).catch((error) => void (failure = error));
        const report = {
          device: profile.name,
          problem,
          peaks,
          rates,
          results: tuning.results,
          kept: kept ?? undefined,
        };
        // What was measured is not lost with the file.
        output.print(
          json
            ? JSON.stringify(tuneJson(report), null, 2)
            : tuneText(report, { width: output.width }),
        );
        if (failure !== undefined) throw failure;
      } finally {
        device.destroy();
      }
    });
}

/** How collectives are measured. */
interface RanksTuning {
  readonly quick: boolean;
  /** Flags that are about one device. */
  readonly others: Readonly<Record<string, unknown>>;
  readonly webgpu: WebGpuChoice | undefined;
  readonly keep: boolean;
  readonly json: boolean;
}

/** Measures how fast ranks tell each other something. */
async function tuneRanks(
  { quick, others, webgpu, keep, json }: RanksTuning,
  output: Output,
  exit: (code: number) => void,
): Promise<void> {
  const [other] = Object.entries(others).find(([, value]) => value !== undefined) ?? [];
  if (other !== undefined) {
    throw new UsageError(`--${other}: is about a device, and --mpi about what joins several`);
  }
  await withCrew({ splitOf: splitByHost }, output, exit, async (crew, output) => {
    const { team, parallelism } = crew;
    const first = team.rank === 0;
    const { device, profile } = await crew.agreed(async () => {
      if (keep && first) await LINKS.check();
      return await openDevice({ webgpu });
    });
    try {
      const effort = LINK_EFFORT[quick ? "quick" : "full"];
      const tuning = await tuneLinks(crew, parallelism, device, effort, output.progress);
      const names = await team.gather(new TextEncoder().encode(Deno.hostname()));
      if (!first) return;
      const hosts = [...new Set(names.map((name) => new TextDecoder().decode(name)))].sort();
      const now = new Date().toISOString().slice(0, 10);
      const source = `${team.ranks} ranks on ${
        hosts.length === 1 ? hosts[0] : `${hosts.length} hosts`
      } by ${team.library}, ${now}`;
      const rates = { ...tuning.rates, source };
      const kept = keep ? await keepLinks({ hosts, ranks: team.ranks, rates }) : undefined;
      const report = { ...tuning, rates, hosts, ranks: team.ranks, device: profile.name, kept };
      output.print(
        json
          ? JSON.stringify(linksJson(report), null, 2)
          : linksText(report, { width: output.width }),
      );
    } finally {
      device.destroy();
    }
  });
}

/** Sizes of tensors, from the loss of a few tokens to a piece of a gradient. */
const LINK_EFFORT = {
  quick: { sizes: [2 ** 10, 2 ** 16, 2 ** 20], seconds: 0.05, repeats: 3 },
  full: { sizes: [2 ** 10, 2 ** 14, 2 ** 18, 2 ** 20, 2 ** 22], seconds: 0.2, repeats: 5 },
} as const;

/**
 * The ranks of this process, on one device: each rank's schedule runs up to its next
 * collective, which an exchange then performs. All ranks of a job may be here, in
 * turns, or one, with the others in processes of their own; either proves that no
 * rank takes more memory, and causes no more traffic, than its plan says.
 *
 * @module
 */
import { grouped } from "../../planner/grouped.ts";
import type { Collective, Landing, Schedule } from "../../planner/schedule/schedule.ts";
import { GpuError, withErrorScopes } from "../run/errors.ts";
import { type Outputs, walk, type Walked } from "../run/execute.ts";
import type { HostTensors } from "../run/feed.ts";
import { begin, type Begun, end, type Exchange, inMemory, type Traffic } from "./exchange.ts";
import { Ledger } from "../measure/ledger.ts";
import { compileKernels } from "../run/pipelines.ts";
import { Encoder } from "../run/encoder.ts";

/** What one rank is to do. */
export interface RankJob {
  readonly schedule: Schedule;
  /** The rank's own rows: tensors that upload steps read. */
  readonly inputs: HostTensors;
  /** Index among the ranks that split the vocabulary, and among those that split the tokens. */
  readonly tensorRank: number;
  readonly dataRank: number;
}

/** What a rank did. */
export interface RankExecution {
  /** Tensors that readback steps wrote, as bytes. */
  readonly outputs: Outputs;
  /** Most bytes that the rank's buffers took at once, and without inputs and outputs. */
  readonly peakBytes: number;
  readonly extraPeakBytes: number;
  /** Most bytes of the host's memory that its inputs, what was read ahead and outputs took at once. */
  readonly hostPeakBytes: number;
  /** Bytes that were not given back. */
  readonly leakedBytes: number;
  /** What the rank gave and got, for each of its collectives in order. */
  readonly traffic: readonly Traffic[];
}

/** A rank under way: it has come to a collective, or to its end. */
class RankRun {
  pending: Collective | undefined;
  outputs: Outputs | undefined;
  hostPeakBytes = 0;
  readonly traffic: Traffic[] = [];
  /** Collectives under way, by their numbers. */
  readonly #flights = new Map<number, { collective: Collective; begun: Begun }>();
  readonly #steps: ReturnType<typeof walk>;

  constructor(readonly job: RankJob, readonly encoder: Encoder, readonly ledger: Ledger) {
    this.#steps = walk(encoder, { inputs: job.inputs });
  }

  /** Runs to the next collective; buffers that come and go meanwhile are the rank's. */
  async advance(): Promise<void> {
    this.ledger.attach();
    try {
      let { done, value } = await this.#steps.next();
      while (!done && (value as Landing).kind === "landing") {
        await this.#land((value as Landing).flight);
        ({ done, value } = await this.#steps.next());
      }
      if (done) {
        const { outputs, hostPeakBytes } = value as Walked;
        this.outputs = outputs;
        this.hostPeakBytes = hostPeakBytes;
      }
      this.pending = done ? undefined : value as Collective;
    } finally {
      this.ledger.detach();
    }
  }

  /** Takes what came of the pending collective, once there is need of it. */
  async take(begun: Begun): Promise<void> {
    const collective = this.pending!;
    this.pending = undefined;
    if (collective.flight === undefined) await this.#end(collective, begun);
    else this.#flights.set(collective.flight, { collective, begun });
  }

  async #land(flight: number): Promise<void> {
    const { collective, begun } = this.#flights.get(flight)!;
    this.#flights.delete(flight);
    await this.#end(collective, begun);
  }

  async #end(collective: Collective, begun: Begun): Promise<void> {
    const { encoder, encoder: { device } } = this;
    this.traffic.push(await end(device, { collective, encoder }, begun));
  }

  /** Ends a run that will not come to its end: waits for what is being read. */
  async close(): Promise<void> {
    await this.#steps.return(undefined as never);
  }

  /** Returns which ranks the pending collective is shared with: those with the same key. */
  get group(): string {
    const { group } = this.pending!;
    return `${group} ${group === "tensor" ? this.job.dataRank : this.job.tensorRank}`;
  }
}

/** How ranks are run. */
export interface RanksOptions {
  /** What carries tensors between them: this process's memory by default, which then has all. */
  readonly exchange?: Exchange | undefined;
  /** Called with collectives that are done, and those of all ranks here. */
  readonly onProgress?: (done: number, total: number) => void;
}

/**
 * Runs those ranks of a job that this process has on one device.
 *
 * @returns what each rank did, in the order of the jobs.
 * @throws {OutOfMemoryError} when the device has no memory for a buffer.
 * @throws {GpuError} when the device fails otherwise, or the ranks do not come to the same collectives.
 */
export async function executeRanks(
  jobs: readonly RankJob[],
  device: GPUDevice,
  { exchange = inMemory, onProgress = () => {} }: RanksOptions = {},
): Promise<RankExecution[]> {
  const runs: RankRun[] = [];
  const total = jobs.reduce((sum, { schedule }) => sum + collectives(schedule), 0);
  await withErrorScopes(device, async () => {
    for (const job of jobs) {
      const encoder = new Encoder(job.schedule, device, await compileKernels(device, job.schedule));
      const ledger = new Ledger(device);
      ledger.detach();
      runs.push(new RankRun(job, encoder, ledger));
    }
    try {
      let done = 0;
      while (runs.some(({ outputs }) => !outputs)) {
        for (const run of runs) if (!run.pending && !run.outputs) await run.advance();
        onProgress(done += await performReady(exchange, device, runs), total);
      }
    } finally {
      for (const run of runs) await run.close();
      for (const { encoder } of runs) encoder.destroyAll();
    }
  });
  return runs.map(({ outputs, hostPeakBytes, ledger, traffic }) => ({
    outputs: outputs!,
    hostPeakBytes,
    peakBytes: ledger.peakBytes,
    extraPeakBytes: ledger.extraPeakBytes,
    leakedBytes: ledger.liveBytes,
    traffic,
  }));
}

function collectives({ steps }: Schedule): number {
  return steps.filter(({ kind }) => kind === "collective").length;
}

/** Performs every collective that all of its ranks here have come to; returns for how many ranks. */
async function performReady(
  exchange: Exchange,
  device: GPUDevice,
  runs: readonly RankRun[],
): Promise<number> {
  const waiting = runs.filter(({ pending }) => pending);
  let performed = 0;
  for (const group of grouped(waiting, ({ group }) => group).values()) {
    const { share } = group[0]!.job.schedule;
    const { op, what, group: kind } = group[0]!.pending!;
    // In a group of the other kind, a rank may still have a collective with others first.
    if (!share || group.length < exchange.here(share[kind])) continue;
    const other = group.find(({ pending }) => pending!.what !== what || pending!.op !== op);
    if (other) {
      throw new GpuError(
        `Ranks came to different collectives: ${op} of ${what}, and ${other.pending!.op} of ${
          other.pending!.what
        }`,
      );
    }
    const begun = await begin(
      exchange,
      device,
      group.map(({ pending, encoder }) => ({ collective: pending!, encoder })),
      share[kind],
    );
    for (const [index, run] of group.entries()) await run.take(begun[index]!);
    performed += group.length;
  }
  if (waiting.length > 0 && performed === 0) {
    const [{ pending }] = waiting as [RankRun];
    throw new GpuError(
      `Ranks wait for one another: ${pending!.op} of ${pending!.what} is not reached by all`,
    );
  }
  return performed;
}

/**
 * How fast ranks tell each other something: each kind of collective is timed for a few
 * sizes, through the exchange that runs use, and a linear model is fitted to it.
 *
 * @module
 */
import type { Crew } from "../../fixtures/verify/verify_ranks.ts";
import { type Bytes, type Exchange, expectedTraffic } from "../../kernels/ranks/exchange.ts";
import { withErrorScopes } from "../../kernels/run/errors.ts";
import { readParts } from "../../kernels/run/readback.ts";
import { BufferUsage } from "../../kernels/run/provider.ts";
import {
  COLLECTIVE_KINDS,
  type CollectiveKind,
  fitted,
  type LinearTime,
  type Link,
  type LinkRates,
  stepsOf,
} from "../../planner/links.ts";
import { type Parallelism, sentBytes } from "../../planner/parallel.ts";
import type { Collective, CollectiveOp } from "../../planner/schedule/schedule.ts";

/** How much is measured. */
export interface LinkEffort {
  /** Bytes of tensors that are told, before they are made to divide by the ranks. */
  readonly sizes: readonly number[];
  /** Seconds that each size of each kind may take, and how often it is done at least. */
  readonly seconds: number;
  readonly repeats: number;
}

/** A collective that was timed. */
export interface TimedCollective {
  readonly op: CollectiveOp;
  readonly group: Collective["group"];
  readonly ranks: number;
  readonly bytes: number;
  /** Median, from one rank's memory to its memory. */
  readonly seconds: number;
}

/** What was measured, and the rates that follow. */
export interface LinkTuning {
  readonly rates: LinkRates;
  readonly timed: readonly TimedCollective[];
  readonly staged: readonly { readonly bytes: number; readonly seconds: number }[];
}

/** The collective that stands for each kind. */
const OPS: Readonly<Record<CollectiveKind, CollectiveOp>> = {
  allReduce: "all-reduce-sum",
  reduceScatter: "reduce-scatter-sum",
  allGather: "all-gather",
};

/**
 * Measures between the ranks of a host, and between hosts if there are several. All ranks do so
 * together.
 *
 * @param parallelism the ranks of a host as its tensor-parallel group, and hosts as replicas.
 */
export async function tuneLinks(
  { team, exchange }: Crew,
  parallelism: Parallelism,
  device: GPUDevice,
  effort: LinkEffort,
  onProgress: (what: string) => void,
): Promise<LinkTuning> {
  const timed: TimedCollective[] = [];
  const linkOf = async (group: Collective["group"]): Promise<Link> => {
    const found: [CollectiveKind, LinearTime][] = [];
    for (const kind of COLLECTIVE_KINDS) {
      const op = OPS[kind];
      const steps = stepsOf(op, parallelism[group]);
      const points: { bytes: number; seconds: number }[] = [];
      for (const size of effort.sizes) {
        const step = collectiveOf(op, group, size, parallelism[group]);
        onProgress(`${op} of ${step.bytes} bytes`);
        const seconds = await timeCollective(exchange, step, parallelism[group], effort);
        timed.push({ op, group, ranks: parallelism[group], bytes: step.bytes, seconds });
        points.push({ bytes: sentBytes(step, parallelism), seconds });
      }
      const { seconds, bytesPerSecond } = fitted(points);
      found.push([kind, rounded({ seconds: seconds / steps, bytesPerSecond })]);
    }
    return Object.fromEntries(found) as Record<CollectiveKind, LinearTime>;
  };
  const { tensor, data } = parallelism;
  // A host with one rank has no links of its own: those between hosts are all there are.
  const within = await linkOf(tensor > 1 ? "tensor" : "data");
  const across = data > 1 && tensor > 1 ? await linkOf("data") : undefined;
  onProgress("copies between device and host");
  const staged = await timeStaging(device, effort);
  const rates: LinkRates = {
    ranksPerHost: tensor > 1 ? tensor : team.ranks,
    within,
    ...(across ? { across } : {}),
    staging: rounded(fitted(staged)),
  };
  return { rates, timed, staged };
}

/** As many digits as mean something. */
function rounded({ seconds, bytesPerSecond }: LinearTime): LinearTime {
  const digits = (value: number) => Number(value.toPrecision(3));
  return { seconds: digits(seconds), bytesPerSecond: digits(bytesPerSecond) };
}

/** Returns a collective of about so many bytes, in words that divide by the ranks. */
function collectiveOf(
  op: CollectiveOp,
  group: Collective["group"],
  size: number,
  ranks: number,
): Collective {
  const elements = ranks * Math.max(1, Math.round(size / 4 / ranks));
  return {
    ...{ kind: "collective", op, group, pass: "forward", what: "what is timed", type: "f32" },
    ...{ elements, bytes: 4 * elements, source: [], target: [] },
  };
}

async function timeCollective(
  exchange: Exchange,
  step: Collective,
  ranks: number,
  effort: LinkEffort,
): Promise<number> {
  const given: Bytes = new Uint8Array(expectedTraffic(step, ranks).givenBytes);
  const together = collectiveOf("all-reduce-max", step.group, 4, ranks);
  const one = new Uint8Array(together.bytes);
  // How often is told by all, for all must do the same.
  const trial = await timed(() => exchange.combine(step, [given], ranks));
  const often = Math.min(1e3, Math.max(effort.repeats, effort.seconds / trial));
  const agreed = { ...together, type: "f32" } as const;
  const [most] = await exchange.combine(agreed, [bytesOf(often, ranks)], ranks);
  const repeats = Math.ceil(new Float32Array(most!.buffer)[0]!);
  const seconds: number[] = [];
  for (let time = 0; time < repeats; time++) {
    await exchange.combine(together, [one], ranks);
    seconds.push(await timed(() => exchange.combine(step, [given], ranks)));
  }
  return median(seconds);
}

function bytesOf(value: number, ranks: number): Bytes {
  return new Uint8Array(new Float32Array(ranks).fill(value).buffer);
}

/**
 * Times tensors of some sizes on their way to the host and back, by half of both.
 *
 * @throws {OutOfMemoryError} when memory runs out.
 * @throws {GpuError} when the device reports an error or is lost.
 */
export function timeStaging(
  device: GPUDevice,
  { sizes, repeats }: LinkEffort,
): Promise<LinkTuning["staged"]> {
  const { COPY_SRC, COPY_DST, STORAGE } = BufferUsage;
  return withErrorScopes(device, async () => {
    const staged: { bytes: number; seconds: number }[] = [];
    for (const size of sizes) {
      const bytes = 4 * Math.ceil(size / 4);
      const buffer = device.createBuffer({ size: bytes, usage: COPY_SRC | COPY_DST | STORAGE });
      const seconds: number[] = [];
      try {
        for (let time = 0; time <= repeats; time++) {
          seconds.push(
            await timed(async () => {
              const read = await readParts(device, [{ buffer, bytes }], "tensors");
              device.queue.writeBuffer(buffer, 0, read);
            }),
          );
        }
      } finally {
        buffer.destroy();
      }
      staged.push({ bytes, seconds: median(seconds.slice(1)) / 2 });
    }
    return staged;
  });
}

async function timed(work: () => Promise<unknown>): Promise<number> {
  const begun = performance.now();
  await work();
  return (performance.now() - begun) / 1e3;
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)]!;
}

/**
 * How long ranks take to tell each other something. A collective over `n` ranks is
 * `passes * ceil(log2 n)` steps with a latency each, and the bytes that a rank sends
 * at a bandwidth: recursive halving and doubling (Thakur, Rabenseifner and Gropp,
 * International Journal of High Performance Computing Applications 19, 2005, on the
 * linear model of Hockney, Parallel Computing 20, 1994). Before and after, tensors
 * cross between device and host.
 *
 * @module
 */
import { type Parallelism, passesOf, sentBytes, trafficOf } from "./parallel.ts";
import type { Collective, CollectiveOp } from "./schedule/schedule.ts";

/** What takes time by a linear model. */
export interface LinearTime {
  /** Seconds that it takes however little there is. */
  readonly seconds: number;
  /** Bytes per second beyond. */
  readonly bytesPerSecond: number;
}

/** Kinds of collectives, by how they move bytes. */
export const COLLECTIVE_KINDS = ["allReduce", "reduceScatter", "allGather"] as const;

/** A kind of collectives. */
export type CollectiveKind = typeof COLLECTIVE_KINDS[number];

/** Each kind's time: seconds of a step, and bandwidth of what a rank sends. */
export type Link = Readonly<Record<CollectiveKind, LinearTime>>;

/** Measured speed of what joins ranks. */
export interface LinkRates {
  /** Ranks of one host when it was measured: so many adjacent ones are joined by `within`. */
  readonly ranksPerHost: number;
  /** Between ranks of one host. */
  readonly within: Link;
  /** Between ranks of different hosts; absent where there was one host. */
  readonly across?: Link | undefined;
  /** A tensor from the device to the host, or back. */
  readonly staging: LinearTime;
  /** Where the figures come from. */
  readonly source?: string | undefined;
}

const ASSUMED_LINK: LinearTime = { seconds: 1e-5, bytesPerSecond: 2e10 };

/**
 * Links where none were measured: a choice, of ranks on one host with a bus. They rank splits; no
 * time is ever reported from them.
 */
export const ASSUMED_LINKS: LinkRates = {
  ranksPerHost: 1,
  within: { allReduce: ASSUMED_LINK, reduceScatter: ASSUMED_LINK, allGather: ASSUMED_LINK },
  staging: ASSUMED_LINK,
};

/** The kind of a collective. */
function collectiveKind(op: CollectiveOp): CollectiveKind {
  if (op === "all-gather") return "allGather";
  return op === "reduce-scatter-sum" ? "reduceScatter" : "allReduce";
}

/** Steps in which ranks send, one after the other. */
export function stepsOf(op: CollectiveOp, ranks: number): number {
  return passesOf(op) * Math.ceil(Math.log2(ranks));
}

/** Ranks, one after the other in their numbers, that a group of a split lies within. */
function reach(group: Collective["group"], { tensor, data }: Parallelism): number {
  return group === "tensor" ? tensor : tensor * data;
}

/** Whether a group of a split reaches from one host to others. */
export function crossesHosts(
  group: Collective["group"],
  parallelism: Parallelism,
  { ranksPerHost, across }: LinkRates,
): boolean {
  // Where there was one host, nothing says where another would begin.
  return across !== undefined && ranksPerHost % reach(group, parallelism) !== 0;
}

/**
 * Returns the seconds of one collective, from a rank's device to its device.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 *
 * const link = { seconds: 1e-5, bytesPerSecond: 1e9 };
 * const within = { allReduce: link, reduceScatter: link, allGather: link };
 * const rates = { ranksPerHost: 4, within, staging: { seconds: 0, bytesPerSecond: 1e12 } };
 * const sum = {
 *   kind: "collective",
 *   op: "all-reduce-sum",
 *   group: "tensor",
 *   pass: "forward",
 *   what: "sum",
 *   type: "f32",
 *   elements: 250e3,
 *   bytes: 1e6,
 *   source: [],
 *   target: [],
 * } as const;
 * const seconds = collectiveSeconds(sum, { tensor: 4, data: 1, sequence: false }, rates);
 * // Four steps, and six quarters of a megabyte; both ways to the device cost 2 microseconds.
 * assert(Math.abs(seconds - (4e-5 + 1.5e-3 + 2e-6)) < 1e-12);
 * ```
 */
export function collectiveSeconds(
  step: Collective,
  parallelism: Parallelism,
  rates: LinkRates,
): number {
  const { givenBytes, gotBytes } = trafficOf(step, parallelism[step.group]);
  const { staging } = rates;
  return sendingSeconds(step, parallelism, rates) +
    2 * staging.seconds + (givenBytes + gotBytes) / staging.bytesPerSecond;
}

/** Returns the seconds of a collective between the ranks' hosts: what a device can compute beside. */
export function sendingSeconds(
  step: Collective,
  parallelism: Parallelism,
  rates: LinkRates,
): number {
  const link = crossesHosts(step.group, parallelism, rates) ? rates.across! : rates.within;
  const { seconds, bytesPerSecond } = link[collectiveKind(step.op)];
  return stepsOf(step.op, parallelism[step.group]) * seconds +
    sentBytes(step, parallelism) / bytesPerSecond;
}

/**
 * Fits a linear time to what was measured, by least squares of relative errors: a short time
 * counts as much as a long one. Neither part is below nothing.
 */
export function fitted(
  measured: readonly { readonly bytes: number; readonly seconds: number }[],
): LinearTime {
  // Of a + b x = t, each line over its t.
  let [uu, uv, vv, u, v] = [0, 0, 0, 0, 0];
  for (const { bytes, seconds } of measured) {
    const [one, more] = [1 / seconds, bytes / seconds];
    uu += one * one;
    uv += one * more;
    vv += more * more;
    u += one;
    v += more;
  }
  const determinant = uu * vv - uv * uv;
  let [seconds, perByte] = [(u * vv - v * uv) / determinant, (v * uu - u * uv) / determinant];
  if (!(seconds >= 0)) [seconds, perByte] = [0, v / vv];
  if (!(perByte > 0)) [seconds, perByte] = [u / uu, 0];
  // A bandwidth that was not found to matter is one that nothing reaches.
  return { seconds, bytesPerSecond: perByte > 0 ? 1 / perByte : UNBOUNDED };
}

/** Bytes per second that take no time worth speaking of. */
const UNBOUNDED = 1e15;

/**
 * Collectives: what the ranks of a group give is combined, and each gets its due.
 * Who carries it is an `Exchange`: the memory of one process that has all ranks, or a
 * library that reaches ranks in other processes.
 *
 * @module
 */
import { concatenated } from "../../host/concatenated.ts";
import { trafficOf } from "../../planner/parallel.ts";
import type { Collective, Slice } from "../../planner/schedule/schedule.ts";
import { GpuError } from "../run/errors.ts";
import { readParts } from "../run/readback.ts";
import type { Encoder } from "../run/encoder.ts";

/** A rank at a collective. */
export interface Participant {
  readonly collective: Collective;
  readonly encoder: Encoder;
}

/** Bytes of a tensor that a rank gave to a collective and got from it, as they were copied. */
export interface Traffic {
  readonly op: Collective["op"];
  readonly what: string;
  readonly givenBytes: number;
  readonly gotBytes: number;
}

/** Returns what a rank is to give and to get. */
export function expectedTraffic(step: Collective, ranks: number): Traffic {
  const { op, what } = step;
  return { op, what, ...trafficOf(step, ranks) };
}

type Fold = (into: number, next: number) => number;

const FOLDS: Readonly<Partial<Record<Collective["op"], Fold>>> = {
  "all-reduce-max": Math.max,
  "all-reduce-min": Math.min,
  "all-reduce-sum": (into, next) => into + next,
  "reduce-scatter-sum": (into, next) => into + next,
};

/** Bytes of a tensor, or of a part of one. */
export type Bytes = Uint8Array<ArrayBuffer>;

/** What carries tensors between ranks. */
export interface Exchange {
  /** Returns how many ranks of a group of so many this process has: those that come here. */
  here(ranks: number): number;
  /**
   * Combines what the ranks of a group give.
   *
   * @param given by those of this process, in the order of ranks.
   * @param ranks how many the group has.
   * @returns what each of those gets.
   */
  combine(collective: Collective, given: readonly Bytes[], ranks: number): Promise<Bytes[]>;
}

/** Ranks that are all in this process: reduced in the order of ranks. */
export const inMemory: Exchange = {
  here: (ranks) => ranks,
  combine(collective, given, ranks) {
    const whole = combineAll(collective, given);
    const part = whole.length / ranks;
    const scattered = collective.op === "reduce-scatter-sum";
    return Promise.resolve(
      given.map((_, rank) => scattered ? whole.subarray(rank * part, (rank + 1) * part) : whole),
    );
  },
};

/** What a rank gave to a collective, and will get from it. */
export interface Begun {
  readonly given: Bytes;
  readonly got: Promise<Bytes>;
}

/** Begins a collective for those of its ranks that are here: once it is back, what they gave is read. */
export async function begin(
  exchange: Exchange,
  device: GPUDevice,
  participants: readonly Participant[],
  ranks: number,
): Promise<Begun[]> {
  const given: Bytes[] = [];
  for (const { collective, encoder } of participants) {
    const { givenBytes } = expectedTraffic(collective, ranks);
    given.push(trim(await read(device, encoder, collective.source), givenBytes, collective));
  }
  const all = exchange.combine(participants[0]!.collective, given, ranks);
  return given.map((given, index) => {
    const got = all.then((got) => got[index]!);
    // Whoever waits for it hears of a failure; until then nobody does.
    got.catch(() => {});
    return { given, got };
  });
}

/** Ends a collective for one rank, and says what it gave and got. */
export async function end(
  device: GPUDevice,
  { collective, encoder }: Participant,
  { given, got: coming }: Begun,
): Promise<Traffic> {
  const got = await coming;
  write(device, encoder, collective, got);
  const { op, what } = collective;
  return { op, what, givenBytes: given.length, gotBytes: got.length };
}

/** Returns the whole tensor after a collective. Sums are rounded to the type after every rank. */
function combineAll(
  { op, type }: Collective,
  given: readonly Bytes[],
): Bytes {
  const fold = FOLDS[op];
  if (!fold) return concatenated(Uint8Array, given);
  const Numbers = type === "u32" ? Uint32Array : Float32Array;
  const whole = new Numbers(given[0]!.slice().buffer);
  for (const other of given.slice(1)) {
    const next = new Numbers(other.buffer, other.byteOffset, whole.length);
    for (let index = 0; index < whole.length; index++) {
      whole[index] = fold(whole[index]!, next[index]!);
    }
  }
  return new Uint8Array(whole.buffer);
}

/** Takes the padding off, which is less than a word. */
function trim(
  bytes: Bytes,
  wanted: number,
  { op, what }: Collective,
): Bytes {
  if (bytes.length < wanted || bytes.length - wanted >= 4) {
    throw new GpuError(`${op} of ${what} gives ${bytes.length} bytes of a rank, not ${wanted}`);
  }
  return bytes.subarray(0, wanted);
}

function read(
  device: GPUDevice,
  encoder: Encoder,
  slices: readonly Slice[],
): Promise<Bytes> {
  const parts = slices.map((slice) => ({ ...slice, buffer: encoder.buffer(slice.buffer) }));
  return readParts(device, parts, "collective");
}

function write(
  device: GPUDevice,
  encoder: Encoder,
  { op, what, target }: Collective,
  bytes: Bytes,
): void {
  const size = target.reduce((sum, slice) => sum + slice.bytes, 0);
  if (size < bytes.length || size - bytes.length >= 4) {
    throw new GpuError(
      `${op} of ${what} has room for ${size} bytes on a rank, not ${bytes.length}`,
    );
  }
  // Deno aborts the process when a write exceeds its source, so the last word is filled up.
  const padded = new Uint8Array(size);
  padded.set(bytes);
  let at = 0;
  for (const { buffer, offset, bytes } of target) {
    device.queue.writeBuffer(encoder.buffer(buffer), offset, padded, at, bytes);
    at += bytes;
  }
}

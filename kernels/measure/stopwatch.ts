/**
 * How long one of something takes on a device, by doing it so often that it can be
 * timed: little work at first, for nobody knows how slow the device is.
 *
 * @module
 */
import { GpuError } from "../run/errors.ts";
import { endsOf, idleTime, milliseconds, ticksOf } from "./timing.ts";

/**
 * Records some work in commands, so many times. Where it is given a set of queries, it writes when
 * the first begins and when the last ends.
 */
export type Recorded = (commands: GPUCommandEncoder, times: number, set?: GPUQuerySet) => void;

/** How much time is spent on a measurement, in seconds. */
export interface Effort {
  /** Work that is timed at once. */
  readonly timed: number;
  /**
   * Work before that in the same submission: a GPU lowers its clock while a host waits for it, and
   * takes time to raise it. Without timestamps there is none.
   */
  readonly warmUp: number;
  /** Time after which no more work is tried than before. */
  readonly patience: number;
  /** Most repeats, of what may take no time. */
  readonly most: number;
}

/** Share of the time that is asked for from which the repeats that take it are known. */
const KNOWN = 1 / 4;

/** How much more is tried at a time, where what was done took next to none of it. */
const STRIDE = 8;

/** Least seconds that the wall clock can tell: a wait for the device ends up to 10 ms late under Deno. */
const LEAST_BY_WALL = 0.1;

/** Times work on a device. */
export class Stopwatch {
  private constructor(readonly device: GPUDevice, readonly idleMilliseconds: number) {}

  /** Returns one that goes by the device's timestamps where it has them, else by the wall clock. */
  static async of(device: GPUDevice): Promise<Stopwatch> {
    const idle = device.features.has("timestamp-query") ? 0 : await idleTime(device);
    return new Stopwatch(device, idle);
  }

  /**
   * Returns the seconds of one of many in a row.
   *
   * @throws {GpuError} when the device's clock stands still.
   */
  async secondsOfOne(record: Recorded, { timed, warmUp, patience, most }: Effort): Promise<number> {
    const inTicks = this.device.features.has("timestamp-query");
    const enough = inTicks ? timed : Math.max(timed, LEAST_BY_WALL);
    const until = performance.now() + 1000 * patience;
    let times = 1;
    let taken = await this.seconds(record, times);
    const known = (inTicks ? KNOWN : 1) * enough;
    while (taken < known && times < most && performance.now() < until) {
      times *= taken < known / (2 * STRIDE) ? STRIDE : 2;
      taken = await this.seconds(record, times);
    }
    if (inTicks && performance.now() < until) {
      const timesIn = (seconds: number) =>
        Math.min(most, Math.ceil(seconds * times / Math.max(taken, Number.EPSILON)));
      const before = timesIn(warmUp);
      times = Math.max(1, timesIn(enough));
      taken = await this.seconds(record, times, before);
    }
    if (taken > 0) return taken / times;
    throw new GpuError(`The device's clock stands still: ${times} dispatches took no time`);
  }

  /** Returns the seconds of so many in a row, after some that do not count. */
  async seconds(record: Recorded, times: number, before = 0): Promise<number> {
    const { device } = this;
    const recorded = () => {
      const commands = device.createCommandEncoder();
      if (before > 0) record(commands, before);
      return commands;
    };
    const submit = (commands: GPUCommandEncoder) => device.queue.submit([commands.finish()]);
    if (device.features.has("timestamp-query")) {
      const [begun, ended] = await ticksOf(device, 2, (set) => {
        const commands = recorded();
        record(commands, times, set);
        return { commands: () => commands, submit: () => submit(commands) };
      });
      return milliseconds(begun!, ended!) / 1000;
    }
    const commands = recorded();
    record(commands, times);
    const begun = performance.now();
    submit(commands);
    await device.queue.onSubmittedWorkDone();
    return Math.max(0, performance.now() - begun - this.idleMilliseconds) / 1000;
  }
}

/** Returns one pass after the other of some work as it is timed: `pass` encodes one. */
export function passes(
  encode: (commands: GPUCommandEncoder, writes: GPUComputePassTimestampWrites | undefined) => void,
): Recorded {
  return (commands, times, set) => {
    for (let i = 0; i < times; i++) {
      const ends = set && endsOf(i, times - 1);
      encode(commands, set && ends && { querySet: set, ...ends });
    }
  };
}

/**
 * How long one of something takes on a device, by doing it so often that it can be
 * timed: little work at first, for nobody knows how slow the device is.
 *
 * @module
 */
import { GpuError } from "../run/errors.ts";
import { endsOf, idleTime, millisecondsOf } from "./timing.ts";
import { Warmth } from "./warmth.ts";
import type { Recorded } from "./work.ts";

/** How much time is spent on a measurement, in seconds. */
export interface Effort {
  /** Work that is timed at once. */
  readonly timed: number;
  /** Time of work after which no more of it is tried than before. */
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

/** Times work on a device that is kept warm. */
export class Stopwatch {
  readonly #warmth: Warmth;

  private constructor(
    readonly device: GPUDevice,
    readonly software: boolean,
    readonly idleMilliseconds: number,
  ) {
    this.#warmth = new Warmth(device, software);
  }

  /**
   * Returns one that goes by the device's timestamps where it has them, else by the wall clock.
   *
   * @param software whether the device is a CPU in disguise.
   */
  static async of(device: GPUDevice, software: boolean): Promise<Stopwatch> {
    const idle = device.features.has("timestamp-query") ? 0 : await idleTime(device);
    return new Stopwatch(device, software, idle);
  }

  /**
   * Returns the seconds of one of many in a row.
   *
   * @throws {GpuError} when the device's clock stands still.
   */
  async secondsOfOne(record: Recorded, { timed, patience, most }: Effort): Promise<number> {
    const inTicks = this.device.features.has("timestamp-query");
    const enough = inTicks ? timed : Math.max(timed, LEAST_BY_WALL);
    const known = (inTicks ? KNOWN : 1) * enough;
    let times = 1;
    let taken = await this.seconds(record, times);
    let spent = taken;
    while (taken < known && times < most && spent < patience) {
      times *= taken < known / (2 * STRIDE) ? STRIDE : 2;
      spent += taken = await this.seconds(record, times);
    }
    if (inTicks && taken < enough && spent < patience) {
      times = Math.min(most, Math.ceil(enough * times / Math.max(taken, Number.EPSILON)));
      taken = await this.seconds(record, times);
    }
    if (taken > 0) return taken / times;
    throw new GpuError(`The device's clock stands still: ${times} dispatches took no time`);
  }

  /** Returns the seconds of so many in a row. */
  async seconds(record: Recorded, times: number): Promise<number> {
    const { device } = this;
    const inTicks = async () => ({
      milliseconds: await millisecondsOf(device, (commands, set) => record(commands, times, set)),
    });
    const byWall = async () => {
      const commands = device.createCommandEncoder();
      record(commands, times);
      const begun = performance.now();
      device.queue.submit([commands.finish()]);
      await device.queue.onSubmittedWorkDone();
      return { milliseconds: Math.max(0, performance.now() - begun - this.idleMilliseconds) };
    };
    const timed = device.features.has("timestamp-query") ? inTicks : byWall;
    return (await this.#warmth.timed<{ milliseconds: number }>(timed)).milliseconds / 1000;
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

/**
 * Keeping a GPU at the clock that it works at. One that has waited is slow at first: an H100
 * that nobody asked anything for two seconds works at a sixth of its speed until it was busy for
 * 0.2 to 0.3 s (`bench/matrix.md`), and such waits come by themselves, of a compiler or of a
 * host that learns late that work is done.
 *
 * @module
 */
import { millisecondsOf } from "./timing.ts";
import { ARITHMETIC, withData, workOf } from "./work.ts";

/** Milliseconds of work after which the clock is up. */
const RISE_MS = 350;

/** Milliseconds of waiting from which the clock may be down: a third of what an H100 was seen to bear. */
const PATIENT_MS = 500;

/** Workgroups of the work that is repeated: some 9 GFLOP, a millisecond or less on a large GPU. */
const GROUPS = 256;

/** Most repeats of it, should it take no time. */
const MOST = 1 << 12;

/** Keeps a device warm while work is timed on it. */
export class Warmth {
  /** Until when the device has had work, by the host's clock. */
  #busyUntil = -Infinity;
  /** Repeats of the work that last as long as the clock takes to rise, once they were counted. */
  #repeats: number | undefined;

  /**
   * @param software whether the device is a CPU in disguise, as fast at first as later. It is left
   * as it is, as is one without timestamps, on which a wait for the end of work is timed too.
   */
  constructor(readonly device: GPUDevice, readonly software: boolean) {}

  /**
   * Returns what some work says of itself, among it the milliseconds that it took on the device,
   * which is given other work ahead of it, in the same queue, where it may have waited too long.
   *
   * @throws {GpuError} when the device fails, or the other work does not compile.
   */
  async timed<T extends { readonly milliseconds: number }>(work: () => Promise<T>): Promise<T> {
    const before = await this.#keep();
    const begun = performance.now();
    const taken = await work();
    this.#busyUntil = begun + before + taken.milliseconds;
    return taken;
  }

  /** Returns the milliseconds of work that the device was given. */
  async #keep(): Promise<number> {
    const { device, software } = this;
    const waited = performance.now() - this.#busyUntil;
    if (software || waited < PATIENT_MS || !device.features.has("timestamp-query")) return 0;
    await withData(device, async (data) => {
      const work = await workOf(device, ARITHMETIC, data, GROUPS);
      if (this.#repeats === undefined) {
        const one = await millisecondsOf(device, (commands, set) => work(commands, 1, set));
        this.#repeats = Math.min(MOST, Math.ceil(RISE_MS / Math.max(one, RISE_MS / MOST)));
      }
      const commands = device.createCommandEncoder();
      work(commands, this.#repeats);
      device.queue.submit([commands.finish()]);
    });
    return RISE_MS;
  }
}

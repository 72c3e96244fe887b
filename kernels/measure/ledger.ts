/**
 * The ledger: an independent record of what a device really allocates. It
 * stands between the program and `createBuffer` and `destroy`, and knows
 * nothing of schedules, so that "predicted = measured" is a claim that can fail.
 *
 * @module
 */
import { emptyCategories } from "../../planner/schedule/memory.ts";
import { CATEGORIES, type Category } from "../../planner/schedule/schedule.ts";
import { categoryOf } from "../run/labels.ts";

/** Counts the bytes of a device's buffers from creation to destruction. */
export class Ledger {
  /** Bytes alive now, by category. Buffers without one count as scratch. */
  readonly live: Record<Category, number> = emptyCategories();
  #peakBytes = 0;
  #extraPeakBytes = 0;
  readonly #device: GPUDevice;
  #detach: () => void = () => {};

  /** Begins to watch a device. Buffers that exist already are not counted. */
  constructor(device: GPUDevice) {
    this.#device = device;
    this.attach();
  }

  /** Watches for new buffers again, after `detach()`. */
  attach(): void {
    this.#detach();
    const device = this.#device;
    const create = device.createBuffer;
    device.createBuffer = (descriptor) => {
      const buffer = create.call(device, descriptor);
      this.#born(categoryOf(descriptor.label), buffer);
      return buffer;
    };
    this.#detach = () => {
      device.createBuffer = create;
      this.#detach = () => {};
    };
  }

  /** Returns the most bytes alive at once. */
  get peakBytes(): number {
    return this.#peakBytes;
  }

  /** Returns the most bytes alive at once, inputs and outputs left out. */
  get extraPeakBytes(): number {
    return this.#extraPeakBytes;
  }

  /** Bytes alive now. */
  get liveBytes(): number {
    return CATEGORIES.reduce((sum, category) => sum + this.live[category], 0);
  }

  /** Forgets the peaks so far. */
  resetPeaks(): void {
    this.#peakBytes = 0;
    this.#extraPeakBytes = 0;
    this.#record();
  }

  /** Stops watching for new buffers; those that are watched stay so until destroyed. */
  detach(): void {
    this.#detach();
  }

  #born(category: Category, buffer: GPUBuffer): void {
    const bytes = buffer.size;
    this.live[category] += bytes;
    this.#record();
    const destroy = buffer.destroy;
    let alive = true;
    buffer.destroy = () => {
      if (alive) this.live[category] -= bytes;
      alive = false;
      return destroy.call(buffer);
    };
  }

  #record(): void {
    const { input, output } = this.live;
    this.#peakBytes = Math.max(this.#peakBytes, this.liveBytes);
    this.#extraPeakBytes = Math.max(this.#extraPeakBytes, this.liveBytes - input - output);
  }
}

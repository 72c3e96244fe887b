/**
 * Gradients of two losses, aligned and added on the device.
 *
 * @module
 */
import {
  ALIGNMENT_GROUPS,
  ALIGNMENT_LANES,
  alignmentAdd,
  alignmentSums,
} from "../wgsl/alignment.ts";
import { type BufferRange, type CheckedRange, checkedRange, overlap } from "./buffer_range.ts";
import { withErrorScopes } from "./errors.ts";
import { bufferLabel } from "./labels.ts";
import { compiling } from "./pipelines.ts";
import { BufferUsage } from "./provider.ts";

/** Bytes of an f32. */
const WORD = 4;

/** Bytes of what a kernel is told of a pair of buffers: three words and padding. */
const PARAMS_BYTES = 16;

/** Returns how many workgroups share a pair of buffers. */
function groupsOf(length: number): number {
  return Math.min(ALIGNMENT_GROUPS, Math.ceil(length / ALIGNMENT_LANES));
}

/**
 * Returns the bytes of device memory that aligning gradients of some lengths takes: two sums for each
 * of up to 256 workgroups a buffer, and 16 bytes.
 *
 * @param lengths elements of each buffer of a gradient.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * assert.equal(alignmentBytes([8192 * 3584]), 2 * 4 * 256 + 16);
 * ```
 */
export function alignmentBytes(lengths: readonly number[]): number {
  return lengths.reduce((sum, length) => sum + 2 * WORD * groupsOf(length) + PARAMS_BYTES, 0);
}

/**
 * The rule of `alignGradients()` on a device: the gradient of one loss and that of another, such as
 * those of a backbone's hidden states by the cross-entropy of one head and by the divergence of a
 * second head from a teacher, become their sum in the place of the first, without what in the second
 * is against the first. Nothing is read back. Sums are of f32, in the same order each time.
 *
 * @example Two heads on the same hidden states
 * ```ts
 * import assert from "node:assert/strict";
 * import { deviceProfile, LinearCrossEntropy, parseProblem, plan } from "@lce/lce";
 *
 * const device = await (await navigator.gpu.requestAdapter())!.requestDevice();
 * const profile = deviceProfile(device);
 * const shared = { tokens: 2, pass: "train" } as const;
 * const first = parseProblem({ ...shared, hidden: 4, vocab: 8 });
 * const second = parseProblem({
 *   ...shared,
 *   heads: [
 *     { name: "auxiliary", hidden: 4, vocab: 8 },
 *     { name: "teacher", hidden: 6, vocab: 8 },
 *   ],
 *   distill: { divergence: "binary-kl", temperature: 2, weight: 4 },
 * });
 * const head = await LinearCrossEntropy.create(device, plan(first, profile));
 * const auxiliary = await LinearCrossEntropy.create(device, plan(second, profile));
 * const alignment = await GradientAlignment.create(device, [2 * 4]);
 *
 * const usage = GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_DST;
 * const buffer = (elements: number) => device.createBuffer({ size: 4 * elements, usage });
 * const [hidden, targets] = [buffer(8), buffer(2)];
 * const [byFirst, bySecond] = [buffer(8), buffer(8)];
 * const commands = device.createCommandEncoder();
 * head.encode(commands, {
 *   inputs: { hidden, weight: buffer(32), targets },
 *   gradients: { hidden: byFirst, weight: buffer(32) },
 * });
 * auxiliary.encode(commands, {
 *   inputs: {
 *     targets,
 *     auxiliaryHidden: hidden,
 *     auxiliaryWeight: buffer(32),
 *     teacherHidden: buffer(12),
 *     teacherWeight: buffer(48),
 *   },
 *   gradients: { hidden: bySecond, weight: buffer(32) },
 * });
 * alignment.encode(commands, [byFirst], [bySecond]); // byFirst goes back through the backbone
 * device.queue.submit([commands.finish()]);
 * assert(Math.abs((await head.readLoss())! - Math.log(8)) < 1e-6);
 * assert(Math.abs((await auxiliary.readLoss())!) < 1e-6); // logits of 0, both
 *
 * for (const each of [head, auxiliary, alignment]) each.destroy();
 * device.destroy();
 * ```
 */
export class GradientAlignment {
  /** Elements of each buffer of a gradient. */
  readonly lengths: readonly number[];
  readonly #device: GPUDevice;
  readonly #pipelines: readonly GPUComputePipeline[];
  readonly #sums: GPUBuffer;
  readonly #params: readonly GPUBuffer[];

  private constructor(
    device: GPUDevice,
    lengths: readonly number[],
    pipelines: readonly GPUComputePipeline[],
    [sums, ...params]: readonly GPUBuffer[],
  ) {
    this.#device = device;
    this.lengths = lengths;
    this.#pipelines = pipelines;
    this.#sums = sums!;
    this.#params = params;
  }

  /**
   * Compiles the kernels and allocates {@linkcode alignmentBytes}.
   *
   * @param lengths elements of each buffer of a gradient: those of one group, over all of which inner
   *   products are.
   * @throws {RangeError} where there is none, or a length is no whole number from 1 on.
   * @throws {GpuError} when a kernel does not compile, or the device has no memory or is lost.
   */
  static async create(device: GPUDevice, lengths: readonly number[]): Promise<GradientAlignment> {
    if (lengths.length === 0 || lengths.some((each) => !(Number.isInteger(each) && each >= 1))) {
      throw new RangeError(
        `Cannot align gradients of [${
          lengths.join(", ")
        }] elements: give how many each buffer has, from 1 on`,
      );
    }
    const pipelines = [];
    for (const [label, code] of [["align-sums", alignmentSums()], ["align-add", alignmentAdd()]]) {
      pipelines.push(
        await compiling(device, label!, () =>
          device.createComputePipeline({
            label: label!,
            layout: "auto",
            compute: { module: device.createShaderModule({ label: label!, code: code! }) },
          })),
      );
    }
    const groups = lengths.map(groupsOf);
    const all = groups.reduce((a, b) => a + b);
    const made: GPUBuffer[] = [];
    await withErrorScopes(device, () => {
      made.push(device.createBuffer({
        label: bufferLabel("scratch", "alignment_sums"),
        size: 2 * WORD * all,
        usage: BufferUsage.STORAGE,
      }));
      let first = 0;
      for (const [index, count] of lengths.entries()) {
        const params = device.createBuffer({
          label: bufferLabel("state", `alignment_params_${index}`),
          size: PARAMS_BYTES,
          usage: BufferUsage.UNIFORM | BufferUsage.COPY_DST,
        });
        made.push(params);
        device.queue.writeBuffer(params, 0, Uint32Array.of(count, first, all));
        first += groups[index]!;
      }
      return Promise.resolve();
    }).catch((error: unknown) => {
      for (const buffer of made) buffer.destroy();
      throw error;
    });
    return new GradientAlignment(device, lengths, pipelines, made);
  }

  /**
   * Records the alignment: afterwards `main` holds the sum, and `other` what it held.
   *
   * @param main f32 gradients of the loss that leads, a buffer for each of {@linkcode lengths}.
   * @param other those of the other loss.
   * @throws {RangeError} where there are not as many, one is too small, or does not begin where it may.
   * @throws {TypeError} where one lacks the usage `STORAGE`, or a buffer is given for both.
   */
  encode(
    commands: GPUCommandEncoder,
    main: readonly BufferRange[],
    other: readonly BufferRange[],
  ): void {
    const [ours, others] = [this.#checked("main", main), this.#checked("other", other)];
    if (ours.some((range) => others.some(({ buffer }) => buffer === range.buffer))) {
      throw new TypeError("Cannot align a gradient with one in the same buffer: give each its own");
    }
    if (ours.some((range, index) => ours.slice(0, index).some((each) => overlap(each, range)))) {
      throw new TypeError("Cannot align gradients that overlap: give each a range of its own");
    }
    const sums = { buffer: this.#sums };
    const pass = commands.beginComputePass({ label: "align" });
    for (const [nth, pipeline] of this.#pipelines.entries()) {
      pass.setPipeline(pipeline);
      for (const [index, length] of this.lengths.entries()) {
        const [mine, theirs] = [ours[index]!, others[index]!];
        const resources = nth === 0 ? [mine, theirs, sums] : [sums, theirs, mine];
        pass.setBindGroup(
          0,
          this.#device.createBindGroup({
            layout: pipeline.getBindGroupLayout(0),
            entries: [{ buffer: this.#params[index]! }, ...resources].map((resource, binding) => ({
              binding,
              resource,
            })),
          }),
        );
        pass.dispatchWorkgroups(groupsOf(length));
      }
    }
    pass.end();
  }

  /** Gives the memory back. */
  destroy(): void {
    for (const buffer of [this.#sums, ...this.#params]) buffer.destroy();
  }

  #checked(which: string, ranges: readonly BufferRange[]): CheckedRange[] {
    if (ranges.length !== this.lengths.length) {
      throw new RangeError(
        `Cannot align ${ranges.length} buffers as ${which}: there must be ${this.lengths.length}, as was said on creation`,
      );
    }
    const { minStorageBufferOffsetAlignment: alignment } = this.#device.limits;
    return ranges.map((range, index) =>
      checkedRange(range, {
        which: `Buffer ${index} of ${which}`,
        bytes: WORD * this.lengths[index]!,
        usage: BufferUsage.STORAGE,
        alignment,
      })
    );
  }
}

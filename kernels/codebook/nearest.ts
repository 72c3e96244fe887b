/**
 * The nearest of some codes to each of many rows, by our own product: the code with
 * the largest `x . c - |c|^2 / 2` is the most likely id of a head whose weight is the
 * codes and whose bias is `-|c|^2 / 2`.
 *
 * @module
 */
import type { AcquiredDevice } from "../run/device.ts";
import type { TensorName } from "../run/callers_buffers.ts";
import { LinearCrossEntropy } from "../run/linear_cross_entropy.ts";
import { BufferUsage } from "../run/provider.ts";
import { makePlan } from "../../planner/plan.ts";
import { parseProblem } from "../../planner/problem_schema.ts";

/** Sizes of a search. */
export interface NearestSizes {
  /** Rows that are looked at together, at most. */
  readonly rows: number;
  /** Columns of rows and codes. */
  readonly columns: number;
  readonly codes: number;
}

/** A buffer of a tensor, and where in the tensor it begins. */
interface Part {
  readonly buffer: GPUBuffer;
  readonly offset: number;
  readonly bytes: number;
}

/** Finds the nearest code of rows, on a device. */
export class NearestCode {
  readonly #parts = new Map<string, readonly Part[]>();

  private constructor(
    readonly device: GPUDevice,
    readonly sizes: NearestSizes,
    readonly head: LinearCrossEntropy,
  ) {
    const usage = BufferUsage.STORAGE | BufferUsage.COPY_DST;
    for (const tensor of ["hidden", "weight", "bias", "targets"] as const satisfies TensorName[]) {
      this.#parts.set(
        tensor,
        head.layout(tensor).map(({ bytes, offset }) => ({
          buffer: device.createBuffer({ label: `input/${tensor}`, size: bytes, usage }),
          bytes,
          offset,
        })),
      );
    }
    // Whatever the target: only the most likely id is read.
    this.#write("targets", new Int32Array(sizes.rows));
  }

  /**
   * Compiles what is needed, and allocates memory.
   *
   * @throws {DoesNotFitError} when the device cannot hold codes and a block of rows.
   * @throws {GpuError} when the device fails.
   */
  static async create(
    { device, profile }: Pick<AcquiredDevice, "device" | "profile">,
    sizes: NearestSizes,
  ): Promise<NearestCode> {
    const problem = parseProblem({
      tokens: sizes.rows,
      hidden: sizes.columns,
      vocab: sizes.codes,
      bias: true,
      reduction: "none",
      statistics: ["predicted"],
    });
    const plan = makePlan(problem, profile, { hostIo: false, weights: "resident" });
    return new NearestCode(device, sizes, await LinearCrossEntropy.create(device, plan));
  }

  /** Takes codes, `[codes, columns]`: those that rows are compared with from now on. */
  use(codes: Float32Array): void {
    const { columns, codes: count } = this.sizes;
    this.#write("weight", codes);
    this.#write(
      "bias",
      Float32Array.from({ length: count }, (_, code) => {
        let square = 0;
        for (let d = 0; d < columns; d++) square += codes[code * columns + d]! ** 2;
        return -square / 2;
      }),
    );
  }

  /**
   * Returns the nearest code of each row, the first of those that are equally near.
   *
   * @param rows `[rows, columns]`, no more than were planned for.
   */
  async of(rows: Float32Array): Promise<Uint32Array> {
    this.#write("hidden", rows);
    const buffers = (tensor: string) => this.#parts.get(tensor)!.map(({ buffer }) => buffer);
    this.head.forward({
      hidden: buffers("hidden"),
      weight: buffers("weight"),
      bias: buffers("bias")[0]!,
      targets: buffers("targets")[0]!,
    });
    const { predicted } = await this.head.readResults();
    return predicted!.subarray(0, rows.length / this.sizes.columns);
  }

  /** Gives the memory back. */
  destroy(): void {
    this.head.destroy();
    for (const { buffer } of [...this.#parts.values()].flat()) buffer.destroy();
  }

  #write(tensor: string, values: Float32Array | Int32Array): void {
    const all = new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
    for (const { buffer, offset, bytes } of this.#parts.get(tensor)!) {
      const part = all.subarray(offset, offset + bytes);
      if (part.length > 0) this.device.queue.writeBuffer(buffer, 0, part as BufferSource);
    }
  }
}

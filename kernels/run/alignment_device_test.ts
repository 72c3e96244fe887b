import assert from "node:assert/strict";
import { openDevice } from "../../testing/device.ts";
import { Random } from "../../fixtures/random.ts";
import { alignGradients } from "../../objectives/alignment.ts";
import { Ledger } from "../measure/ledger.ts";
import { alignmentBytes, GradientAlignment } from "./alignment.ts";
import { BufferUsage } from "./provider.ts";
import { readParts } from "./readback.ts";

Deno.test("gradients are aligned on a device as in float64, in so many bytes, one step after the other", async () => {
  const { device } = await openDevice();
  const random = new Random(12);
  // One element, one workgroup and a bit, and more than 256 workgroups take at once.
  const lengths = [1, 300, 70_001];
  const ledger = new Ledger(device);
  try {
    const alignment = await GradientAlignment.create(device, lengths);
    assert.equal(ledger.liveBytes, alignmentBytes(lengths));
    ledger.detach();
    const usage = BufferUsage.STORAGE | BufferUsage.COPY_DST | BufferUsage.COPY_SRC;
    const buffers = [0, 1].map(() =>
      lengths.map((length) => device.createBuffer({ size: 4 * length, usage }))
    ) as [GPUBuffer[], GPUBuffer[]];
    const normals = () =>
      lengths.map((length) => Float32Array.from({ length }, () => random.normal()));
    const mixed = (a: Float32Array[], by: number) => {
      const noise = normals();
      return a.map((values, tensor) => values.map((value, at) => by * value + noise[tensor]![at]!));
    };
    const step = async (main: Float32Array[], other: Float32Array[]) => {
      for (const [index, values] of [main, other].entries()) {
        for (const [tensor, each] of values.entries()) {
          device.queue.writeBuffer(buffers[index]![tensor]!, 0, each as Float32Array<ArrayBuffer>);
        }
      }
      const commands = device.createCommandEncoder();
      alignment.encode(commands, ...buffers);
      device.queue.submit([commands.finish()]);
      const read = async (index: number) => {
        const parts = lengths.map((length, tensor) => ({
          buffer: buffers[index]![tensor]!,
          bytes: 4 * length,
        }));
        const bytes = await readParts(device, parts, "gradients");
        return new Float32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 4);
      };
      assert.deepEqual([...await read(1)], other.flatMap((values) => [...values]));
      return await read(0);
    };
    const main = normals();
    const none = main.map((values) => values.map(() => 0));
    const cases = [
      [main, mixed(main, -0.8), true],
      [main, mixed(main, 0.8), false],
      [none, normals(), false],
      [main, none, false],
      [main.map((values) => values.map((value) => 1e-12 * value)), mixed(main, -3), true],
    ] as const;
    for (const [first, other, against] of cases) {
      const found = await step(first, other);
      const { gradients, share } = alignGradients(first, other);
      assert.equal(share > 0, against);
      const expected = gradients.flatMap((values) => [...values]);
      // What is added and its share are each rounded in f32, the share after sums of some 270 terms
      // and of 8 levels, which grow as their square roots.
      let [error, size] = [0, 0];
      expected.forEach((value, at) => {
        error += (found[at]! - value) ** 2;
        size += value ** 2;
      });
      assert(Math.sqrt(error) <= 2e-6 * Math.sqrt(size), `off by ${Math.sqrt(error / size)}`);
    }
    const [[first, other]] = cases;
    assert.deepEqual(await step(first, other), await step(first, other));
    const encode = (main: GPUBuffer[], other: GPUBuffer[]) => () =>
      alignment.encode(device.createCommandEncoder(), main, other);
    const [ours, theirs] = buffers;
    assert.throws(encode(ours.slice(1), theirs), /2 buffers as main: there must be 3/);
    assert.throws(
      encode(ours, [...theirs.slice(0, 2), theirs[0]!]),
      /Buffer 2 of other is too small/,
    );
    assert.throws(encode(ours, ours), /in the same buffer/);
    await assert.rejects(GradientAlignment.create(device, [0]), /\[0\] elements/);
    await assert.rejects(GradientAlignment.create(device, []), /\[\] elements/);
    alignment.destroy();
    for (const buffer of buffers.flat()) buffer.destroy();
  } finally {
    ledger.detach();
    device.destroy();
  }
});

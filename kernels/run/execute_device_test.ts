import assert from "node:assert/strict";
import { openDevice } from "../../testing/device.ts";
import { makeSynthetic } from "../../fixtures/synthetic.ts";
import { uploads } from "../../fixtures/fixture.ts";
import { makePlan } from "../../planner/plan.ts";
import { parseProblem } from "../../planner/problem_schema.ts";
import type { Schedule } from "../../planner/schedule/schedule.ts";
import { execute } from "./execute.ts";
import { bufferMethods, passMethods } from "../testing/methods.ts";
import { Ledger } from "../measure/ledger.ts";
import { sourceOf, type TensorSource } from "../../host/source.ts";
import { predictHostMemory } from "../../planner/schedule/host_memory.ts";

/**
 * Runs something while `performance.now()` counts dispatches in place of milliseconds,
 * so that a time says which of them it spans.
 */
async function countingDispatches<T>(device: GPUDevice, run: () => Promise<T>): Promise<T> {
  const methods = passMethods(device);
  const { dispatchWorkgroups } = methods;
  const { now } = performance;
  let dispatches = 0;
  methods.dispatchWorkgroups = function (...grid) {
    dispatches++;
    return dispatchWorkgroups.apply(this, grid);
  };
  performance.now = () => dispatches;
  try {
    return await run();
  } finally {
    performance.now = now;
    methods.dispatchWorkgroups = dispatchWorkgroups;
  }
}

Deno.test("the time of a run spans its first dispatch to its last, whatever is read back between", async () => {
  const { device, profile } = await openDevice();
  const problem = parseProblem({ tokens: 70, hidden: 20, vocab: 900, pass: "train" });
  const inputs = uploads(makeSynthetic(problem, 3));
  for (const weights of ["resident", "streamed"] as const) {
    const { schedule } = makePlan(problem, profile, { weights, window: 256, hostIo: true });
    const dispatches = schedule.steps.filter(({ kind }) => kind === "dispatch").length;
    const { milliseconds } = await countingDispatches(
      device,
      () => execute(schedule, device, { inputs }),
    );
    assert.equal(milliseconds, dispatches, weights);
  }
  device.destroy();
});

/** Returns a schedule by hand, of a few steps on one buffer that is as large as its host tensor. */
function byHand(plain: Schedule, bytes: number, steps: Schedule["steps"]): Schedule {
  const holds = { tensor: "hidden", offset: 0 };
  return {
    ...plain,
    buffers: [
      { name: "hidden", bytes, category: "input", holds },
      { name: "staging", bytes: 256, category: "staging" },
    ].filter(({ name }) =>
      steps.some((step) => name === "hidden" || step.kind === "readback")
    ) as Schedule["buffers"],
    steps,
  };
}

Deno.test("a large tensor is uploaded in pieces, each to its place", async () => {
  const { device, profile } = await openDevice();
  const problem = parseProblem({ tokens: 8, hidden: 4, vocab: 9 });
  const bytes = 64 * 2 ** 20 + 512;
  const hidden = new Uint8Array(bytes);
  hidden.fill(1, 0, 256).fill(2, 64 * 2 ** 20 - 256, 64 * 2 ** 20).fill(3, bytes - 256);
  const slice = (offset: number, length = 256) => ({ buffer: "hidden", offset, bytes: length });
  const places = [0, 64 * 2 ** 20 - 256, bytes - 256];
  const schedule = byHand(makePlan(problem, profile, { hostIo: true }).schedule, bytes, [
    { kind: "upload", tensor: "hidden", sourceOffset: 0, slice: slice(0, bytes) },
    ...places.map((offset, index) => ({
      kind: "readback" as const,
      tensor: "hidden",
      targetOffset: 256 * index,
      slice: slice(offset),
      staging: { buffer: "staging", offset: 0, bytes: 256 },
    })),
  ]);
  const { outputs } = await execute(schedule, device, { inputs: { hidden } });
  for (const index of [0, 1, 2]) {
    const piece = outputs["hidden"]!.subarray(256 * index, 256 * (index + 1));
    assert(piece.every((byte) => byte === index + 1), `piece ${index} begins with ${piece[0]}`);
  }
  device.destroy();
});

Deno.test("what the device reports is thrown, and nothing stays allocated", async () => {
  const { device, profile } = await openDevice();
  const problem = parseProblem({ tokens: 8, hidden: 4, vocab: 9 });
  const schedule = byHand(makePlan(problem, profile, { hostIo: true }).schedule, 512, [
    // Offsets of clears are multiples of 4.
    { kind: "clear", slice: { buffer: "hidden", offset: 2, bytes: 4 } },
    { kind: "clear", slice: { buffer: "hidden", offset: 0, bytes: 4 } },
  ]);
  const ledger = new Ledger(device);
  await assert.rejects(execute(schedule, device), { name: "GpuError", message: /device reports/ });
  assert.equal(ledger.peakBytes, 512);
  assert.equal(ledger.liveBytes, 0);
  const missing = makePlan(problem, profile, { hostIo: true }).schedule;
  await assert.rejects(execute(missing, device), /No host tensor \w+ to upload/);
  assert.equal(ledger.liveBytes, 0, "a run that breaks off gives its buffers back");
  ledger.detach();
  device.destroy();
});

/**
 * Returns a tensor that is not in memory as far as anyone knows; `asked` is told each range and its
 * memory.
 */
function elsewhere(
  array: Uint8Array,
  asked: (into: Uint8Array, offset: number) => void = () => {},
): TensorSource {
  return {
    bytes: array.length,
    heldBytes: 0,
    async read(offset, length, into = new Uint8Array(length)) {
      asked(into, offset);
      await Promise.resolve();
      into.set(array.subarray(offset, offset + length));
      return into;
    },
  };
}

Deno.test("a streamed source gives what an array gives, four windows of it in memory at a time", async () => {
  const { device, profile } = await openDevice();
  for (const pass of ["forward", "train"] as const) {
    for (const dtype of ["f32", "bf16"] as const) {
      // Odd sizes: the last word of 16-bit elements is half a word.
      const problem = parseProblem({ tokens: 33, hidden: 21, vocab: 1501, dtype, pass });
      const inputs = uploads(makeSynthetic(problem, 3));
      const options = { window: 256, hostIo: true, strategy: "windowed" } as const;
      const plan = (weights: "resident" | "streamed") =>
        makePlan(problem, profile, {
          ...options,
          ...(pass === "forward" ? { strategy: "fused" as const } : {}),
          weights,
        }).schedule;
      const resident = await execute(plan("resident"), device, { inputs });
      const memory = new Set<ArrayBufferLike>();
      const weight = elsewhere(inputs["weight"] as Uint8Array, ({ buffer }) => memory.add(buffer));
      const streamed = plan("streamed");
      const given = { ...inputs, weight };
      const { outputs, hostPeakBytes } = await execute(streamed, device, { inputs: given });
      assert.deepEqual(outputs, resident.outputs);
      const windowBytes = streamed.steps.reduce(
        (most, step) =>
          step.kind === "upload" && step.tensor === "weight"
            ? Math.max(most, step.slice.bytes)
            : most,
        0,
      );
      assert.deepEqual([...memory].map(({ byteLength }) => byteLength), Array(4).fill(windowBytes));
      const held = Object.entries(given).reduce(
        (sum, [name, tensor]) =>
          streamed.steps.some((step) => step.kind === "upload" && step.tensor === name)
            ? sum + sourceOf(tensor).heldBytes
            : sum,
        0,
      );
      const results = Object.values(outputs).reduce((sum, { length }) => sum + length, 0);
      assert.equal(hostPeakBytes, held + 4 * windowBytes + results);
      const sources = Object.fromEntries(
        Object.entries(given).map(([name, tensor]) => [name, sourceOf(tensor)]),
      );
      assert.equal(predictHostMemory(streamed, sources).peakBytes, hostPeakBytes);
    }
  }
  device.destroy();
});

Deno.test("the next window is read before the device is given the one before it", async () => {
  const { device, profile } = await openDevice();
  const problem = parseProblem({ tokens: 33, hidden: 20, vocab: 1500 });
  const inputs = uploads(makeSynthetic(problem, 3));
  const { schedule } = makePlan(problem, profile, {
    weights: "streamed",
    window: 256,
    hostIo: true,
  });
  const events: string[] = [];
  const weight = elsewhere(inputs["weight"] as Uint8Array, () => events.push("read"));
  const { writeBuffer } = device.queue;
  device.queue.writeBuffer = (buffer, ...rest) => {
    if (buffer.label.includes("/weight")) events.push("write");
    writeBuffer.call(device.queue, buffer, ...rest);
  };
  await execute(schedule, device, { inputs: { ...inputs, weight } });
  // Four ahead of the six windows; then one for each that the device is given.
  assert.equal(
    events.join(" "),
    "read read read read write read write read write write write write",
  );
  device.destroy();
});

Deno.test("whatever fails, and whenever, is thrown as it is, with every buffer given back", async () => {
  const { device, profile } = await openDevice();
  const problem = parseProblem({ tokens: 33, hidden: 20, vocab: 1500, pass: "train" });
  const inputs = uploads(makeSynthetic(problem, 3));
  const { schedule } = makePlan(problem, profile, {
    weights: "streamed",
    window: 512,
    hostIo: true,
  });
  const ledger = new Ledger(device);
  /** Runs with the n-th call of something failing, for every n, until a run has no such call. */
  const failEvery = async (
    expected: { name: string; message: RegExp },
    options: (fail: () => boolean) => Parameters<typeof execute>[2],
  ) => {
    for (let nth = 1;; nth++) {
      let calls = 0;
      const outcome = await execute(schedule, device, options(() => ++calls === nth))
        .then(() => undefined, (error) => error);
      assert.equal(ledger.liveBytes, 0);
      if (calls < nth) {
        assert.equal(outcome, undefined);
        return assert(nth > 3, "it is called more than once");
      }
      assert.throws(() => {
        throw outcome;
      }, expected);
    }
  };
  const source = (read: TensorSource["read"]) => ({
    inputs: { ...inputs, weight: { ...elsewhere(inputs["weight"] as Uint8Array), read } },
  });
  const { read } = elsewhere(inputs["weight"] as Uint8Array);
  await failEvery(
    { name: "NotFound", message: /unplugged/ },
    (fail) =>
      source((...range) =>
        fail() ? Promise.reject(new Deno.errors.NotFound("unplugged")) : read(...range)
      ),
  );
  await failEvery(
    { name: "SourceError", message: /gave \d+ bytes from \d+ on, not \d+/ },
    (fail) =>
      source(async (...range) => {
        const bytes = await read(...range);
        return fail() ? bytes.subarray(1) : bytes;
      }),
  );
  await failEvery({ name: "Error", message: /disk full/ }, (fail) => ({
    inputs,
    sinks: {
      grad_weight: {
        write: () => fail() ? Promise.reject(new Error("disk full")) : Promise.resolve(),
      },
    },
  }));
  const methods = bufferMethods(device);
  const { mapAsync } = methods;
  try {
    await failEvery({ name: "GpuError", message: /did not hand \w+ over: no map/ }, (fail) => {
      methods.mapAsync = function (...range) {
        return fail() ? Promise.reject(new Error("no map")) : mapAsync.apply(this, range);
      };
      return { inputs };
    });
  } finally {
    methods.mapAsync = mapAsync;
  }
  ledger.detach();
  device.destroy();
});

Deno.test("dispatches are handed over together for as long as one of them may take", async () => {
  const { device, profile } = await openDevice();
  const methods = Object.getPrototypeOf(device.queue) as GPUQueue;
  const { submit } = methods;
  const problem = parseProblem({ tokens: 70, hidden: 20, vocab: 900 });
  const inputs = uploads(makeSynthetic(problem, 3));
  const { schedule } = makePlan(problem, profile, { window: 64, hostIo: true });
  const submissions = async (together?: number) => {
    let count = 0;
    methods.submit = function (buffers) {
      count++;
      return submit.call(this, buffers);
    };
    try {
      const { outputs } = await execute(schedule, device, { inputs, together });
      return { count, outputs };
    } finally {
      methods.submit = submit;
    }
  };
  const dispatches = schedule.steps.filter(({ kind }) => kind === "dispatch").length;
  assert(dispatches > 16);
  const [alone, usual] = [await submissions(1), await submissions()];
  // Buffers that go, and results that are read, end a submission as well.
  assert(alone.count >= dispatches, `${alone.count} ${dispatches}`);
  assert(usual.count < alone.count - dispatches / 2, `${usual.count} ${alone.count}`);
  assert.deepEqual(alone.outputs, usual.outputs);
  device.destroy();
});

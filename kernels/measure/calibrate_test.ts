/** Calibration of devices that are made up: whatever they do, so many workgroups at once take so long. */
import assert from "node:assert/strict";
import { SPECIFICATION_DEFAULTS } from "../../planner/device.ts";
import { MATRIX_FEATURES } from "../../planner/schedule/tile.ts";
import { modelDevice } from "../testing/model_device.ts";
import { calibrate } from "./calibrate.ts";

/** The tile that the specification's default limits prefer: 64x128x16, of 128 invocations. */
const INVOCATIONS = 128;
/** Multiply-adds of it over a depth of 1024, and over the 440 that its ends are worth, counted as two. */
const [PRODUCT, ENDS] = [2 * 64 * 128 * 1024, 2 * 64 * 128 * 440];

/** Bytes of the product of 2048 tokens and 8192 ids, each once, in 64 sets of three statistics. */
const BYTES = 4 * (64 + 2048 + 2048 + 1024 * (2048 + 8192) + 64 * 3 * 2048);

/** Bytes that are read to find how fast a device reads. */
const READ = 96 * 2 ** 20;

/**
 * Runs something on a device on which each wave of so many workgroups takes so many seconds, but
 * for reading.
 */
async function onMachine<T>(
  { workgroups, wave, reading = wave }: { workgroups: number; wave: number; reading?: number },
  use: (device: GPUDevice) => Promise<T>,
): Promise<T> {
  const device = modelDevice();
  const work = new WeakMap<object, number>();
  const { createCommandEncoder } = device;
  const { submit } = device.queue;
  const { now } = performance;
  let seconds = 0;
  device.createCommandEncoder = () => {
    const encoder = createCommandEncoder.call(device);
    const { beginComputePass, finish } = encoder;
    let taken = 0;
    encoder.beginComputePass = (descriptor) => {
      const pass = beginComputePass.call(encoder, descriptor);
      // Kernels have their names; without one something is read, or nothing done.
      const named = descriptor?.label !== undefined;
      pass.dispatchWorkgroups = (x, y = 1) => {
        taken += !named && x > 1 ? reading : wave * Math.ceil(x * y / workgroups);
        return undefined;
      };
      return pass;
    };
    encoder.finish = () => {
      const commands = finish.call(encoder);
      work.set(commands, taken);
      return commands;
    };
    return encoder;
  };
  device.queue.submit = (all) => {
    for (const commands of all) seconds += work.get(commands)!;
    return submit.call(device.queue, all);
  };
  performance.now = () => 1000 * seconds;
  try {
    return await use(device);
  } finally {
    performance.now = now;
  }
}

function near(actual: number, expected: number, share: number) {
  assert(Math.abs(actual / expected - 1) <= share, `${actual}, not ${expected}`);
}

Deno.test("a device's rates are those by which the cost model says what it took", async () => {
  for (
    const { wave, reading, share } of [
      { wave: 5e-4, reading: 8e-3, share: 1 },
      // More than an eighth of the product would take too long to be tried.
      { wave: 5e-3, reading: 0.16, share: 1 / 8 },
    ]
  ) {
    const rates = await onMachine(
      { workgroups: 64, wave, reading },
      (device) => calibrate(device, SPECIFICATION_DEFAULTS, { software: true }),
    );
    near(rates.bytesPerSecond, READ / reading, 1e-3);
    near(rates.secondsPerDispatch, wave, 1e-3);
    assert.equal(rates.parallelInvocations, 64 * INVOCATIONS);
    const waves = share * 2048 / 64;
    const seconds = waves * wave;
    // To move the bytes of that share, and to begin, takes no more than half of the time: in the
    // second case it would.
    const others = share * BYTES / (READ / reading) + wave;
    const dispatch = wave / Math.max(1, 2 * others / seconds);
    // Waves drain three quarters of one, but in the last.
    const flops = 64 * ((waves + 0.75 * (1 - 1 / waves)) * PRODUCT + ENDS);
    near(rates.flopsPerSecond, flops / (seconds - dispatch), 1e-3);
  }
});

Deno.test("a device whose compiler refuses matrices has rates of its products in f32", async () => {
  const profile = {
    ...SPECIFICATION_DEFAULTS,
    features: MATRIX_FEATURES,
    matrices: [{ m: 16, n: 16, k: 16, component: "f16", result: "f32" }],
    limits: { ...SPECIFICATION_DEFAULTS.limits, maxComputeWorkgroupStorageSize: 2 ** 15 },
  } as const;
  const told: string[] = [];
  const found = await onMachine({ workgroups: 64, wave: 5e-4 }, (device) => {
    const { createShaderModule } = device;
    device.createShaderModule = (descriptor) => {
      const refused = descriptor.code.includes("subgroup_matrix");
      return createShaderModule.call(device, { ...descriptor, ...(refused ? { code: "" } : {}) });
    };
    const onProgress = (what: string) => told.push(what);
    return calibrate(device, profile, { software: true, onProgress }).catch(() => undefined);
  });
  assert.equal(told.length, 4, `${told}`);
  assert(found && found.flopsPerSecond > 0, "is calibrated");
  assert.deepEqual([found.matrix, found.split], [undefined, undefined]);
});

Deno.test("operands are numbers between a half and one, as many of either sign", async () => {
  const written: Uint32Array[] = [];
  await onMachine({ workgroups: 64, wave: 5e-4 }, (device) => {
    const { writeBuffer } = device.queue;
    device.queue.writeBuffer = (to, at, data, ...rest) => {
      if (to.label.startsWith("input") && data instanceof ArrayBuffer && at === 0) {
        written.push(new Uint32Array(data.slice(0, 2 ** 16)));
      }
      return writeBuffer.call(device.queue, to, at, data, ...rest);
    };
    return calibrate(device, SPECIFICATION_DEFAULTS, { software: true });
  });
  assert(written.length >= 2);
  for (const words of written) {
    const values = new Float32Array(words.buffer);
    assert(values.every((value) => Math.abs(value) >= 0.5 && Math.abs(value) < 1));
    const mean = values.reduce((a, b) => a + b) / values.length;
    // Of so many of either sign, six standard deviations.
    assert(Math.abs(mean) <= 6 * 0.76 / Math.sqrt(values.length), `${mean}`);
  }
});

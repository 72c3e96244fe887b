/**
 * What a device can do at best: arithmetic in registers, reading from memory,
 * and how long a dispatch takes that does nothing. The roof over every kernel.
 *
 * @module
 */
import { type Effort, Stopwatch } from "./stopwatch.ts";
import { withErrorScopes } from "../run/errors.ts";
import { compiling } from "../run/pipelines.ts";
import { times } from "../wgsl/text.ts";
import { BufferUsage } from "../run/provider.ts";

/** A device's measured peaks. */
export interface Peaks extends Traffic {
  /** f32 multiply-adds in registers, counted as two. */
  readonly flopsPerSecond: number;
}

/** What a device's dispatches take besides arithmetic. */
export interface Traffic {
  /** Reading a buffer much larger than caches, one vec4 at a time. */
  readonly bytesPerSecond: number;
  /** From the start of one empty dispatch to the start of the next. */
  readonly secondsPerDispatch: number;
}

const WORKGROUP = 256;

/** Independent vec4 chains: enough for a multiply-add's latency to be hidden. */
const CHAINS = 8;

/** Multiply-adds of each chain between two turns of the loop. */
const UNROLLED = 16;

/**
 * Bytes read at a time, where the device allows it: five times what the caches of an H100 hold, and
 * less than the 1 GiB for which SwiftShader has no memory.
 */
const MOST_READ = 2 ** 28;

/** Most dispatches of one pass: enough that those which do nothing can be timed. */
export const MOST_DISPATCHES = 1 << 16;

/** Workgroups that fill a device. A software device wants far fewer than a GPU does. */
const GROUPS = { software: 64, arithmetic: 8192, reading: 2048 } as const;

/** The loop's length comes from memory, so that no compiler can foresee it. */
const ARITHMETIC = `@group(0) @binding(0) var<storage, read_write> data: array<vec4<f32>>;
@compute @workgroup_size(${WORKGROUP})
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  let turns = u32(data[0].x);
  let x = vec4<f32>(0.999f);
  let y = vec4<f32>(f32(id.x));
  ${times(CHAINS, (i) => `var c${i} = y + ${i}f;`).join("\n  ")}
  for (var turn = 0u; turn < turns; turn++) {
    ${
  times(UNROLLED, () => times(CHAINS, (i) => `c${i} = fma(c${i}, x, y);`).join(" "))
    .join("\n    ")
}
  }
  let sum = ${times(CHAINS, (i) => `c${i}`).join(" + ")};
  if (sum.x == 0.5f) {
    data[1] = sum;
  }
}`;

const READING = `@group(0) @binding(0) var<storage, read_write> data: array<vec4<f32>>;
@compute @workgroup_size(${WORKGROUP})
fn main(
  @builtin(global_invocation_id) id: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
) {
  var sum = vec4<f32>();
  for (var at = id.x; at < arrayLength(&data); at += groups.x * ${WORKGROUP}u) {
    sum += data[at];
  }
  if (sum.x == 0.5f) {
    data[id.x] = sum;
  }
}`;

const NOTHING = `@group(0) @binding(0) var<storage, read_write> data: array<vec4<f32>>;
@compute @workgroup_size(1)
fn main() {
  if (data[0].x < 0f) {
    data[1].x = 1f;
  }
}`;

/**
 * Measures a device's peaks, in about `seconds` for each.
 *
 * @throws {OutOfMemoryError} when memory runs out.
 * @throws {GpuError} when the device reports an error or is lost.
 */
export function measurePeaks(
  device: GPUDevice,
  how: { readonly seconds: number },
): Promise<Peaks> {
  return withErrorScopes(device, () => measureAll(device, how));
}

async function measureAll(
  device: GPUDevice,
  { seconds }: { readonly seconds: number },
): Promise<Peaks> {
  const effort = { timed: seconds, warmUp: seconds / 4, patience: Infinity, most: MOST_DISPATCHES };
  return await withData(device, MOST_READ, async (data) => {
    const watch = await Stopwatch.of(device);
    const turns = 64;
    device.queue.writeBuffer(data, 0, Float32Array.of(turns));
    const flops = 2 * 4 * CHAINS * UNROLLED * turns * WORKGROUP;
    const time = (groups: number) => secondsOf(watch, ARITHMETIC, data, groups, effort);
    const few = await time(GROUPS.software);
    const software = few > 1e-3;
    const flopsPerSecond = software
      ? GROUPS.software * flops / few
      : GROUPS.arithmetic * flops / await time(GROUPS.arithmetic);
    return { flopsPerSecond, ...await trafficOf(watch, data, software, effort) };
  });
}

/** Measures how fast a device reads, and what a dispatch takes, with some memory. */
export async function measureTraffic(
  watch: Stopwatch,
  { bytes, software, ...effort }: Effort & { bytes: number; software: boolean },
): Promise<Traffic> {
  return await withData(
    watch.device,
    bytes,
    (data) => trafficOf(watch, data, software, effort),
  );
}

async function trafficOf(
  watch: Stopwatch,
  data: GPUBuffer,
  software: boolean,
  effort: Effort,
): Promise<Traffic> {
  const groups = software ? GROUPS.software : GROUPS.reading;
  return {
    bytesPerSecond: data.size / await secondsOf(watch, READING, data, groups, effort),
    secondsPerDispatch: await secondsOf(watch, NOTHING, data, 1, effort),
  };
}

/** Gives a measurement so many bytes, or as many as the device binds, and takes them back. */
async function withData<T>(
  device: GPUDevice,
  bytes: number,
  use: (data: GPUBuffer) => Promise<T>,
): Promise<T> {
  const { maxStorageBufferBindingSize, maxBufferSize } = device.limits;
  const most = Math.min(maxStorageBufferBindingSize, maxBufferSize, bytes);
  const data = device.createBuffer({
    label: "scratch/calibration",
    size: Math.floor(most / 16) * 16,
    usage: BufferUsage.STORAGE | BufferUsage.COPY_DST,
  });
  try {
    return await use(data);
  } finally {
    data.destroy();
  }
}

/** Returns the seconds of one dispatch of some text. */
async function secondsOf(
  watch: Stopwatch,
  code: string,
  data: GPUBuffer,
  groups: number,
  effort: Effort,
): Promise<number> {
  const { device } = watch;
  const label = "calibration";
  const pipeline = await compiling(device, label, () => {
    const module = device.createShaderModule({ label, code });
    const compute = { module, entryPoint: "main" };
    return device.createComputePipeline({ label, layout: "auto", compute });
  });
  const bindings = device.createBindGroup({
    layout: pipeline.getBindGroupLayout(0),
    entries: [{ binding: 0, resource: { buffer: data } }],
  });
  return await watch.secondsOfOne((commands, count, querySet) => {
    const writes = { beginningOfPassWriteIndex: 0, endOfPassWriteIndex: 1 };
    const pass = commands.beginComputePass(
      querySet ? { timestampWrites: { querySet, ...writes } } : {},
    );
    pass.setPipeline(pipeline);
    pass.setBindGroup(0, bindings);
    for (let i = 0; i < count; i++) pass.dispatchWorkgroups(groups);
    pass.end();
  }, effort);
}

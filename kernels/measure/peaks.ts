/**
 * What a device can do at best: arithmetic in registers, reading from memory,
 * and how long a dispatch takes that does nothing. The roof over every kernel.
 *
 * @module
 */
import { idleTime } from "./timing.ts";
import { withErrorScopes } from "../run/errors.ts";
import { compiling } from "../run/pipelines.ts";
import { times } from "../wgsl/text.ts";
import { BufferUsage } from "../run/provider.ts";

/** A device's measured peaks. */
export interface Peaks {
  /** f32 multiply-adds in registers, counted as two. */
  readonly flopsPerSecond: number;
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

/** Bytes read at a time, where the device allows it: more than any cache holds. */
const MOST_READ = 2 ** 30;

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
  const idle = await idleTime(device);
  const bytes = Math.min(device.limits.maxStorageBufferBindingSize, MOST_READ);
  const data = device.createBuffer({
    label: "scratch/calibration",
    size: Math.floor(bytes / 16) * 16,
    usage: BufferUsage.STORAGE | BufferUsage.COPY_DST,
  });
  try {
    const turns = 64;
    device.queue.writeBuffer(data, 0, Float32Array.of(turns));
    const time = (code: string, groups: number) =>
      secondsOf(device, code, data, groups, { idle, seconds });
    const flops = 2 * 4 * CHAINS * UNROLLED * turns * WORKGROUP;
    // More workgroups than any device holds at once; a software device wants far fewer.
    const one = await time(ARITHMETIC, 64);
    const groups = one > 1e-3 ? 64 : 8192;
    const arithmetic = groups === 64 ? one : await time(ARITHMETIC, groups);
    return {
      flopsPerSecond: (groups * flops) / arithmetic,
      bytesPerSecond: data.size / await time(READING, groups === 64 ? 64 : 2048),
      secondsPerDispatch: await time(NOTHING, 1),
    };
  } finally {
    data.destroy();
  }
}

/**
 * Returns the seconds of one dispatch: as many in a row as take the time given, less what waiting
 * takes.
 */
async function secondsOf(
  device: GPUDevice,
  code: string,
  data: GPUBuffer,
  groups: number,
  { idle, seconds }: { idle: number; seconds: number },
): Promise<number> {
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
  const run = async (count: number): Promise<number> => {
    const begun = performance.now();
    const encoder = device.createCommandEncoder();
    const pass = encoder.beginComputePass();
    pass.setPipeline(pipeline);
    pass.setBindGroup(0, bindings);
    for (let i = 0; i < count; i++) pass.dispatchWorkgroups(groups);
    pass.end();
    device.queue.submit([encoder.finish()]);
    await device.queue.onSubmittedWorkDone();
    return Math.max(0, performance.now() - begun - idle) / 1000;
  };
  await run(1);
  for (let count = 1;; count *= 2) {
    const taken = await run(count);
    if (taken >= seconds || count >= 1 << 16) return taken / count;
  }
}

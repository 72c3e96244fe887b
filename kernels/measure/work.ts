/**
 * Work for measurements: arithmetic in registers, reading from memory, and dispatches
 * that do nothing.
 *
 * @module
 */
import { heldBytes } from "../../planner/device.ts";
import { roundDown } from "../../planner/schedule/matrix.ts";
import { compiling } from "../run/pipelines.ts";
import { BufferUsage } from "../run/provider.ts";
import { times } from "../wgsl/text.ts";

/**
 * Records some work in commands, so many times. Where it is given a set of queries, it writes when
 * the first begins and when the last ends.
 */
export type Recorded = (commands: GPUCommandEncoder, times: number, set?: GPUQuerySet) => void;

const WORKGROUP = 256;

/** Independent vec4 chains: enough for a multiply-add's latency to be hidden. */
const CHAINS = 8;

/** Multiply-adds of each chain between two turns of the loop. */
const UNROLLED = 16;

/** Turns of the loop. */
const TURNS = 64;

/** f32 multiply-adds of a workgroup of {@linkcode ARITHMETIC}, counted as two. */
export const WORKGROUP_FLOPS = 2 * 4 * CHAINS * UNROLLED * TURNS * WORKGROUP;

/** The loop's length comes from memory, so that no compiler can foresee it. */
export const ARITHMETIC = `@group(0) @binding(0) var<storage, read_write> data: array<vec4<f32>>;
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

/** Reads all of the data once, one vec4 at a time. */
export const READING = `@group(0) @binding(0) var<storage, read_write> data: array<vec4<f32>>;
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

/** Does nothing. */
export const NOTHING = `@group(0) @binding(0) var<storage, read_write> data: array<vec4<f32>>;
@compute @workgroup_size(1)
fn main() {
  if (data[0].x < 0f) {
    data[1].x = 1f;
  }
}`;

/** Least bytes of data: what arithmetic reads, and does not write. */
const LEAST_BYTES = 32;

/** Gives some work so many bytes, or as many as the device binds, and takes them back. */
export async function withData<T>(
  device: GPUDevice,
  use: (data: GPUBuffer) => Promise<T>,
  bytes = LEAST_BYTES,
): Promise<T> {
  const most = Math.min(heldBytes(device.limits), bytes);
  const data = device.createBuffer({
    label: "scratch/measuring",
    size: roundDown(most, 16),
    usage: BufferUsage.STORAGE | BufferUsage.COPY_DST,
  });
  try {
    device.queue.writeBuffer(data, 0, Float32Array.of(TURNS));
    return await use(data);
  } finally {
    data.destroy();
  }
}

/** Returns the dispatches of one of the texts above on some data, in workgroups. */
export async function workOf(
  device: GPUDevice,
  code: string,
  data: GPUBuffer,
  groups: number,
): Promise<Recorded> {
  const label = "measuring";
  const pipeline = await compiling(device, label, () => {
    const module = device.createShaderModule({ label, code });
    const compute = { module, entryPoint: "main" };
    return device.createComputePipeline({ label, layout: "auto", compute });
  });
  const bindings = device.createBindGroup({
    layout: pipeline.getBindGroupLayout(0),
    entries: [{ binding: 0, resource: { buffer: data } }],
  });
  return (commands, count, querySet) => {
    const writes = { beginningOfPassWriteIndex: 0, endOfPassWriteIndex: 1 };
    const pass = commands.beginComputePass(
      querySet ? { timestampWrites: { querySet, ...writes } } : {},
    );
    pass.setPipeline(pipeline);
    pass.setBindGroup(0, bindings);
    for (let i = 0; i < count; i++) pass.dispatchWorkgroups(groups);
    pass.end();
  };
}

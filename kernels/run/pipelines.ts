/**
 * Compute pipelines, compiled once for each device and text.
 *
 * @module
 */
import type { Dispatch, Schedule } from "../../planner/schedule/schedule.ts";
import { catchReports, CompileError, reported } from "./errors.ts";
import { kernelKey, wgslOf } from "../wgsl/generate.ts";
import { ShaderStage } from "./provider.ts";

/** A compiled kernel and the layout that its bind groups have. */
export interface CompiledKernel {
  readonly pipeline: GPUComputePipeline;
  readonly layout: GPUBindGroupLayout;
}

const CACHE = new WeakMap<GPUDevice, Map<string, CompiledKernel>>();

/**
 * Compiles every kernel of a schedule that is not compiled yet.
 *
 * @returns the kernels by {@linkcode kernelKey}.
 * @throws {CompileError} when a kernel does not compile.
 * @throws {OutOfMemoryError} when there is no memory for one.
 */
export async function compileKernels(
  device: GPUDevice,
  schedule: Schedule,
): Promise<Map<string, CompiledKernel>> {
  let cache = CACHE.get(device);
  if (!cache) CACHE.set(device, cache = new Map());
  const kernels = new Map<string, CompiledKernel>();
  for (const step of schedule.steps) {
    if (step.kind !== "dispatch") continue;
    const key = kernelKey(step);
    if (kernels.has(key)) continue;
    const code = wgslOf(schedule, step);
    let compiled = cache.get(code);
    if (!compiled) cache.set(code, compiled = await compile(device, step, code));
    kernels.set(key, compiled);
  }
  return kernels;
}

async function compile(
  device: GPUDevice,
  dispatch: Dispatch,
  code: string,
): Promise<CompiledKernel> {
  const label = dispatch.kernel;
  return await compiling(device, label, () => {
    const layout = device.createBindGroupLayout({
      label,
      entries: [
        {
          binding: 0,
          visibility: ShaderStage.COMPUTE,
          buffer: { type: "uniform", hasDynamicOffset: true },
        },
        ...dispatch.bindings.map(({ access }, index) => ({
          binding: index + 1,
          visibility: ShaderStage.COMPUTE,
          buffer: {
            type: access === "read" ? "read-only-storage" as const : "storage" as const,
          },
        })),
      ],
    });
    const module = device.createShaderModule({ label, code });
    const pipeline = device.createComputePipeline({
      label,
      layout: device.createPipelineLayout({ bindGroupLayouts: [layout] }),
      compute: { module, entryPoint: "main" },
    });
    return { pipeline, layout };
  });
}

/**
 * Makes a pipeline, and whatever it needs.
 *
 * @param label the kernel's name, for the message.
 * @throws {CompileError} where the device reports that it is none.
 * @throws {OutOfMemoryError} when there is no memory for it.
 */
export async function compiling<T>(device: GPUDevice, label: string, make: () => T): Promise<T> {
  const end = catchReports(device);
  let made: T;
  let report: ReturnType<typeof end>;
  try {
    made = make();
  } finally {
    report = end();
  }
  const found = await report;
  if (!found) return made;
  if (found.filter === "out-of-memory") throw reported(found);
  throw new CompileError(`Kernel ${label} does not compile: ${found.message}`);
}

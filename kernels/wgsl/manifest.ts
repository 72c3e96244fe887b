/**
 * A schedule for other runtimes: its kernels as files, and a manifest of all
 * that a host needs to run them.
 *
 * @module
 */
import type { FlatProblem, Problem } from "../../planner/problem.ts";
import { problemJson } from "../../planner/problem_schema.ts";
import { packParams } from "../../planner/schedule/params.ts";
import type {
  Binding,
  BufferSpec,
  Dispatch,
  Schedule,
  Slice,
} from "../../planner/schedule/schedule.ts";
import { type DeviceLimits, SPECIFICATION_DEFAULTS } from "../../planner/device.ts";
import { kindOf, workgroupBytes, workgroupSize } from "../../planner/schedule/tile.ts";
import { type HostTensor, hostTensors } from "./host_tensors.ts";
import { kernelKey, wgslOf } from "./generate.ts";

/** What a host does at one step. */
export type ManifestStep =
  | { readonly clear: Slice }
  | {
    /** File of the kernel; entry point `main`. */
    readonly kernel: string;
    /** Workgroups in x and y. */
    readonly workgroups: readonly [number, number];
    /** Bytes into the uniform buffer, as a dynamic offset. */
    readonly paramsOffset: number;
    /** Slices for bindings 1, 2, ... of group 0; binding 0 is the uniform buffer. */
    readonly bindings: readonly Slice[];
  };

/** Everything that a host needs besides the kernels' text. Sizes and offsets are bytes. */
export interface Manifest {
  readonly format: "lce";
  readonly version: 1;
  readonly strategy: string;
  readonly problem: Problem | FlatProblem;
  /** What a device must be asked for beyond WebGPU's defaults: features where products are in subgroup matrices. */
  readonly requires: {
    readonly limits: Readonly<Partial<DeviceLimits>>;
    readonly features?: readonly string[];
  };
  /** Type, shape and meaning of each host tensor that buffers hold. */
  readonly tensors: Readonly<Record<string, HostTensor>>;
  /** Buffers to create. Inputs are filled, and outputs read, by the host tensors they hold. */
  readonly buffers: readonly BufferSpec[];
  /** The uniform buffer: `words` repeat every `stride` bytes. */
  readonly uniforms: {
    readonly buffer: string;
    readonly stride: number;
    readonly bytesPerDispatch: number;
    readonly words: readonly (readonly number[])[];
  };
  /** Slots of each kernel, in the order of its bindings from 1 on. */
  readonly kernels: Readonly<
    Record<string, { readonly slots: readonly Pick<Binding, "slot" | "access">[] }>
  >;
  readonly steps: readonly ManifestStep[];
}

/** A manifest and the text of the kernels it names, by file name. */
export interface Emission {
  readonly manifest: Manifest;
  readonly kernels: ReadonlyMap<string, string>;
}

/** Emits a schedule that works on the caller's buffers; uploads and readbacks have no place in it. */
export function emitSchedule(schedule: Schedule): Emission {
  const dispatches = schedule.steps.filter((step): step is Dispatch => step.kind === "dispatch");
  const files = new Map<string, string>();
  const kernels = new Map<string, string>();
  const slots: Record<string, Manifest["kernels"][string]> = {};
  for (const step of dispatches) {
    const key = kernelKey(step);
    if (files.has(key)) continue;
    const file = fileName(step, kernels);
    files.set(key, file);
    kernels.set(file, wgslOf(schedule, step));
    slots[file] = { slots: step.bindings.map(({ slot, access }) => ({ slot, access })) };
  }
  const steps = schedule.steps.flatMap((step): ManifestStep[] => {
    if (step.kind === "clear") return [{ clear: step.slice }];
    if (step.kind !== "dispatch") return [];
    return [{
      kernel: files.get(kernelKey(step))!,
      workgroups: step.grid,
      paramsOffset: step.params * schedule.paramsStride,
      bindings: step.bindings.map(({ slice }) => slice),
    }];
  });
  const words = schedule.params.map((params) => [...packParams(params)]);
  const features = kindOf(schedule.tile).features(schedule.tile.body);
  return {
    kernels,
    manifest: {
      format: "lce",
      version: 1,
      strategy: schedule.strategy,
      problem: problemJson(schedule.problem),
      requires: {
        limits: limitsBeyondDefaults(schedule, dispatches),
        ...(features.length > 0 ? { features } : {}),
      },
      tensors: hostTensors(schedule),
      buffers: schedule.buffers,
      uniforms: {
        buffer: "params",
        stride: schedule.paramsStride,
        bytesPerDispatch: 4 * words[0]!.length,
        words,
      },
      kernels: slots,
      steps,
    },
  };
}

/**
 * Returns the limits that a schedule needs and not every device has. Kernels other than of tiles
 * need the defaults.
 */
function limitsBeyondDefaults(
  { buffers, tile }: Schedule,
  dispatches: readonly Dispatch[],
): Partial<DeviceLimits> {
  const most = (values: Iterable<number>) => [...values].reduce((a, b) => Math.max(a, b), 0);
  const slices = dispatches.flatMap(({ bindings }) => bindings.map(({ slice }) => slice.bytes));
  // A gradient's product may be in another tile than the projection.
  const tiles = [tile, ...dispatches.flatMap((step) => step.tile ?? [])];
  const needed: Partial<DeviceLimits> = {
    maxBufferSize: most(buffers.map(({ bytes }) => bytes)),
    maxStorageBufferBindingSize: most(slices),
    maxStorageBuffersPerShaderStage: most(dispatches.map(({ bindings }) => bindings.length)),
    maxComputeWorkgroupStorageSize: most(tiles.map(workgroupBytes)),
    maxComputeInvocationsPerWorkgroup: most(tiles.map(workgroupSize)),
    maxComputeWorkgroupSizeX: most(tiles.map(workgroupSize)),
    maxComputeWorkgroupsPerDimension: most(dispatches.flatMap(({ grid }) => grid)),
  };
  const { limits } = SPECIFICATION_DEFAULTS;
  return Object.fromEntries(
    (Object.entries(needed) as [keyof DeviceLimits, number][])
      .filter(([name, value]) => value > limits[name]),
  );
}

/** `forward.wgsl`, or `forward-2.wgsl` where a schedule has the kernel with other bindings too. */
function fileName({ kernel }: Dispatch, taken: ReadonlyMap<string, string>): string {
  let name = `${kernel}.wgsl`;
  for (let count = 2; taken.has(name); count++) name = `${kernel}-${count}.wgsl`;
  return name;
}

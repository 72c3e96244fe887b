/**
 * A model of a device: it computes nothing and results are zeros, but it knows what is
 * valid, mapped and destroyed, and reports misuse to error scopes as the specification
 * has it (https://www.w3.org/TR/webgpu/#errors-and-debugging). A run takes no time on
 * it, so that faults can be tried at every call.
 *
 * @module
 */
import { SPECIFICATION_DEFAULTS } from "../../planner/device.ts";

/** Returns an adapter that gives a device. */
export function modelAdapter(device: GPUDevice): GPUAdapter {
  const { features, limits } = device;
  const adapter = {
    features,
    limits,
    info: { description: "a model of a device", isFallbackAdapter: true },
    requestDevice: () => Promise.resolve(device),
  };
  return adapter as unknown as GPUAdapter;
}

/** Something that a device made; what is made of something invalid is invalid. */
interface Made {
  readonly valid: boolean;
}

interface MadeBuffer extends Made {
  readonly size: number;
  readonly usage: number;
  destroyed: boolean;
  /** Timestamps that were resolved into it, or copied, if any were. */
  ticks?: BigUint64Array<ArrayBuffer> | undefined;
}

/** Nanoseconds from a timestamp to the next: whatever is timed takes long, and equally long. */
const TICK = 100_000_000n;

/** Buffers and others that commands use: all must be valid, and alive when they are submitted. */
interface Commands extends Made {
  readonly buffers: ReadonlySet<MadeBuffer>;
}

/** Returns a model of a device, as far as schedules are run and timed on it. */
export function modelDevice({ features = [] as readonly string[] } = {}): GPUDevice {
  const scopes: { filter: string; error: { message: string } | null }[] = [];
  const listeners = new Set<(event: Event) => void>();

  const report = (message: string) => {
    const scope = scopes.findLast(({ filter }) => filter === "validation");
    if (scope) scope.error ??= { message };
    else {
      const event = Object.assign(new Event("uncapturederror"), { error: { message } });
      for (const listener of listeners) listener(event);
    }
  };
  /** Makes something; it is invalid, and that is reported, where there is a complaint. */
  const made = <T extends object>(object: T, complaint: string | undefined): T & Made => {
    if (complaint !== undefined) report(complaint);
    return Object.assign(object, { valid: complaint === undefined });
  };
  const checked = (what: string, parts: readonly Made[]): string | undefined =>
    parts.every(({ valid }) => valid) ? undefined : `${what} is made of something invalid`;

  const device = {
    lost: new Promise(() => {}),
    features: new Set(features),
    limits: SPECIFICATION_DEFAULTS.limits,
    addEventListener: (_: string, listener: (event: Event) => void) => listeners.add(listener),
    removeEventListener: (_: string, listener: (event: Event) => void) =>
      listeners.delete(listener),
    destroy: () => undefined,
    pushErrorScope: (filter: string) => void scopes.push({ filter, error: null }),
    popErrorScope() {
      const scope = scopes.pop();
      return scope ? Promise.resolve(scope.error) : Promise.reject(new Error("no scope is open"));
    },
    createBuffer({ size, usage, label = "" }: GPUBufferDescriptor) {
      const buffer = made(
        {
          size,
          usage,
          label,
          destroyed: false,
          mappedBytes: undefined as number | undefined,
          ticks: undefined as MadeBuffer["ticks"],
        },
        usage === 0 ? `Buffer ${label} has no usage` : undefined,
      );
      return Object.assign(buffer, {
        destroy: () => buffer.destroyed = true,
        unmap: () => buffer.mappedBytes = undefined,
        async mapAsync(_: number, offset = 0, bytes = size - offset) {
          if (!buffer.valid || buffer.mappedBytes !== undefined) {
            report(`Buffer ${label} cannot be mapped`);
            throw new DOMException(`Buffer ${label} cannot be mapped`, "OperationError");
          }
          await undefined;
          if (buffer.destroyed) throw new DOMException("destroyed meanwhile", "AbortError");
          buffer.mappedBytes = bytes;
        },
        getMappedRange(_ = 0, bytes = size) {
          if (bytes !== buffer.mappedBytes) throw new DOMException("not mapped", "OperationError");
          return buffer.ticks?.buffer ?? new ArrayBuffer(bytes);
        },
      });
    },
    createQuerySet: () => made({ destroy() {} }, undefined),
    createBindGroupLayout: () => made({}, undefined),
    createPipelineLayout: () => made({}, undefined),
    createShaderModule: ({ code }: GPUShaderModuleDescriptor) =>
      made({}, /@compute/.test(code) ? undefined : "the shader has no entry point"),
    createComputePipeline: ({ compute }: { compute: { module: Made } }) =>
      made({ getBindGroupLayout: () => ({}) }, checked("The pipeline", [compute.module])),
    createBindGroup({ entries }: { entries: { resource: { buffer: MadeBuffer } }[] }) {
      const buffers = entries.map(({ resource }) => resource.buffer);
      return made({ buffers: new Set(buffers) }, checked("The bind group", buffers));
    },
    createCommandEncoder() {
      const used: Made[] = [];
      const buffers = new Set<MadeBuffer>();
      const use = (...parts: (MadeBuffer | Commands)[]) => {
        for (const part of parts) {
          used.push(part);
          for (const buffer of "buffers" in part ? part.buffers : [part]) buffers.add(buffer);
        }
      };
      return {
        beginComputePass: () => ({
          setPipeline: (pipeline: Made) => void used.push(pipeline),
          setBindGroup: (_: number, group: Commands) => use(group),
          dispatchWorkgroups() {},
          end() {},
        }),
        copyBufferToBuffer(from: MadeBuffer, _: number, to: MadeBuffer) {
          use(from, to);
          to.ticks = from.ticks;
        },
        resolveQuerySet(_: unknown, first: number, count: number, to: MadeBuffer) {
          use(to);
          to.ticks = BigUint64Array.from(
            { length: count },
            (_, index) => TICK * BigInt(first + index),
          );
        },
        clearBuffer: (buffer: MadeBuffer) => use(buffer),
        finish: () => made({ buffers }, checked("The command buffer", used)),
      };
    },
    queue: {
      writeBuffer({ valid, destroyed }: MadeBuffer) {
        if (!valid || destroyed) report("A write to a buffer that is not there");
      },
      submit(all: Iterable<Commands>) {
        for (const { valid, buffers } of all) {
          const gone = [...buffers].some(({ destroyed }) => destroyed);
          if (!valid || gone) report("A submission uses something that is not there");
        }
      },
      onSubmittedWorkDone: () => Promise.resolve(undefined),
    },
  };
  return device as unknown as GPUDevice;
}

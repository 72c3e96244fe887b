/**
 * A device that fails when it is told to: it stands before a real one, counts the calls
 * that can fail, and lets one of them fail as the specification has it fail. What is
 * made invalid is invalid on the real device too, so that whatever follows a fault
 * follows from it there as it would in the field.
 *
 * @module
 */

/** The calls that can fail. */
export type Call =
  | "createBuffer"
  | "createShaderModule"
  | "createComputePipeline"
  | "writeBuffer"
  | "submit"
  | "mapAsync"
  | "onSubmittedWorkDone";

/** A way in which a device fails. */
export interface DeviceFault {
  readonly name: string;
  /** The call that fails; whichever comes where it is left out. */
  readonly call?: Call;
  /** What the label of a buffer that is created matches, where no other's creation counts. */
  readonly label?: RegExp;
  /**
   * `throw`: the call throws, or rejects. `lose`: the device is lost before it. `destroy`: the real
   * one is, and shall show what it does then. Else the call goes by, and an error scope of this
   * filter has the error.
   */
  readonly how: GPUErrorFilter | "throw" | "lose" | "destroy";
  /** Whether every call after that fails too. */
  readonly lasting?: boolean;
}

/** Every way in which a device fails before us: each is tried at every one of its calls. */
export const DEVICE_FAULTS = [
  { name: "no memory for a buffer", call: "createBuffer", how: "out-of-memory" },
  { name: "a buffer is refused", call: "createBuffer", how: "validation" },
  { name: "a buffer cannot be created", call: "createBuffer", how: "throw" },
  { name: "a shader does not compile", call: "createShaderModule", how: "validation" },
  { name: "a pipeline cannot be made", call: "createComputePipeline", how: "internal" },
  { name: "no memory for a pipeline", call: "createComputePipeline", how: "out-of-memory" },
  { name: "a write is refused", call: "writeBuffer", how: "validation" },
  { name: "no memory for a write", call: "writeBuffer", how: "out-of-memory" },
  { name: "a submission is refused", call: "submit", how: "validation" },
  { name: "no memory for a submission", call: "submit", how: "out-of-memory" },
  { name: "a submission cannot be made", call: "submit", how: "throw" },
  { name: "a mapping fails", call: "mapAsync", how: "throw" },
  { name: "the device is lost", how: "lose" },
] as const satisfies readonly DeviceFault[];

/** A device that can fail, and what came of it. */
export interface FaultyDevice {
  readonly device: GPUDevice;
  /** Calls so far of the kind that was to fail. */
  readonly calls: number;
  /** Errors that no scope caught: none is the program's business only by chance. */
  readonly uncaught: readonly string[];
  /** Scopes that were opened and not closed. */
  readonly openScopes: number;
}

/** Modules and pipelines of a device by their text: compiled once, however many runs there are. */
class Compiled {
  readonly modules = new Map<string, GPUShaderModule>();
  readonly pipelines = new WeakMap<GPUShaderModule, GPUComputePipeline>();
}

const COMPILED = new WeakMap<GPUDevice, Compiled>();

/** Puts a device before `real` whose `nth` call of the fault's kind, counted from 1, fails. */
export function faultyDevice(
  real: GPUDevice,
  { call: failing, label: labelled, how, name, lasting = false }: DeviceFault,
  nth: number,
): FaultyDevice {
  let compiled = COMPILED.get(real);
  if (!compiled) COMPILED.set(real, compiled = new Compiled());
  const { modules, pipelines } = compiled;
  const message = `injected: ${name}`;
  const scopes: { filter: GPUErrorFilter; error: { message: string } | null }[] = [];
  const uncaught: string[] = [];
  let calls = 0;
  let lost = false;
  let lose: (info: GPUDeviceLostInfo) => void;
  const loss = new Promise<GPUDeviceLostInfo>((resolve) => lose = resolve);

  /** Returns whether a call is the one to fail, which is reported or thrown. */
  const fails = (call: Call, label = ""): boolean => {
    if (failing !== undefined && call !== failing) return false;
    if (labelled && !labelled.test(label)) return false;
    calls++;
    if (lasting ? calls < nth : calls !== nth) return false;
    if (how === "lose") {
      lost = true;
      lose({ reason: "unknown", message } as unknown as GPUDeviceLostInfo);
    } else if (how === "destroy") {
      real.destroy();
    } else if (how === "throw") {
      throw new DOMException(message, "OperationError");
    } else {
      const scope = scopes.findLast(({ filter }) => filter === how);
      if (scope) scope.error ??= { message };
      else uncaught.push(message);
    }
    return true;
  };
  /** Makes something on the real device that is invalid, without a word. */
  const invalid = <T>(make: () => T): T => {
    real.pushErrorScope("validation");
    const made = make();
    real.popErrorScope();
    return made;
  };

  const own: Record<string, unknown> = {
    lost: how === "destroy" ? real.lost : loss,
    pushErrorScope(filter: GPUErrorFilter) {
      real.pushErrorScope(filter);
      scopes.push({ filter, error: null });
      return undefined;
    },
    async popErrorScope() {
      const scope = scopes.pop();
      const found = real.popErrorScope();
      if (!scope) throw new DOMException("no scope is open", "OperationError");
      if (lost) return null;
      return scope.error as GPUError | null ?? await found;
    },
    createBuffer(descriptor: GPUBufferDescriptor) {
      const failed = fails("createBuffer", descriptor.label);
      const buffer = failed || lost
        ? invalid(() => real.createBuffer({ ...descriptor, usage: 0 }))
        : real.createBuffer(descriptor);
      const { mapAsync } = buffer;
      buffer.mapAsync = async (...range) => {
        fails("mapAsync");
        if (lost) throw new DOMException("the device is lost", "AbortError");
        return await mapAsync.apply(buffer, range);
      };
      return buffer;
    },
    createShaderModule(descriptor: GPUShaderModuleDescriptor) {
      if (fails("createShaderModule")) {
        return invalid(() => real.createShaderModule({ code: "no shader" }));
      }
      const { code } = descriptor;
      let module = modules.get(code);
      if (!module) modules.set(code, module = real.createShaderModule(descriptor));
      return module;
    },
    createComputePipeline(descriptor: GPUComputePipelineDescriptor) {
      if (fails("createComputePipeline")) {
        const module = invalid(() => real.createShaderModule({ code: "no shader" }));
        return invalid(() =>
          real.createComputePipeline({ ...descriptor, compute: { module, entryPoint: "main" } })
        );
      }
      const { module } = descriptor.compute;
      let pipeline = pipelines.get(module);
      if (!pipeline) pipelines.set(module, pipeline = real.createComputePipeline(descriptor));
      return pipeline;
    },
    destroy() {
      lost = true;
      lose({ reason: "destroyed", message: "the device was destroyed" } as GPUDeviceLostInfo);
      return undefined;
    },
  };
  own.queue = before<GPUQueue>(real.queue, {
    writeBuffer(...what: Parameters<GPUQueue["writeBuffer"]>) {
      if (!fails("writeBuffer") && !lost) real.queue.writeBuffer(...what);
      return undefined;
    },
    submit(commands: Iterable<GPUCommandBuffer>) {
      if (!fails("submit") && !lost) real.queue.submit([...commands]);
      return undefined;
    },
    async onSubmittedWorkDone() {
      fails("onSubmittedWorkDone");
      if (!lost) await real.queue.onSubmittedWorkDone();
      return undefined;
    },
  });
  const device = before(real, own);
  return {
    device,
    get calls() {
      return calls;
    },
    uncaught,
    get openScopes() {
      return scopes.length;
    },
  };
}

/** Returns something that has some properties of its own, and those of what it stands before. */
function before<T extends object>(real: T, own: Record<PropertyKey, unknown>): T {
  return new Proxy(real, {
    get(target, key) {
      if (Object.hasOwn(own, key)) return own[key];
      const value: unknown = Reflect.get(target, key, target);
      return typeof value === "function" ? value.bind(target) : value;
    },
    set(_, key, value) {
      own[key] = value;
      return true;
    },
  });
}

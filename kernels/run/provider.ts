/**
 * Implementations of WebGPU: the one that the runtime has of its own, and Dawn, which
 * the npm package `webgpu` brings to any runtime with native modules. Only this module
 * asks for either, and only it says what WebGPU's constants are.
 *
 * @module
 */
import type { WebGpuName } from "../../planner/device.ts";
import { NoDeviceError } from "./errors.ts";

/**
 * The bits of `GPUBufferUsage`. Their values are the specification's
 * (https://www.w3.org/TR/webgpu/#buffer-usage); a runtime without a WebGPU of its own
 * has no global of that name.
 */
export const BufferUsage = {
  MAP_READ: 0x0001,
  COPY_SRC: 0x0004,
  COPY_DST: 0x0008,
  UNIFORM: 0x0040,
  STORAGE: 0x0080,
  QUERY_RESOLVE: 0x0200,
} as const;

/** The bits of `GPUMapMode` (https://www.w3.org/TR/webgpu/#buffer-mapping). */
export const MapMode = { READ: 0x0001 } as const;

/** The bits of `GPUShaderStage` (https://www.w3.org/TR/webgpu/#typedefdef-gpushaderstageflags). */
export const ShaderStage = { COMPUTE: 0x4 } as const;

/** An implementation of WebGPU, ready to be asked for an adapter. */
export interface Provider {
  readonly name: WebGpuName;
  readonly gpu: GPU;
}

/** Where Dawn comes from. */
export interface ProviderOptions {
  /** What Dawn is imported from: a specifier or the address of the package's index.js. */
  readonly dawn?: string | undefined;
  /**
   * What Dawn is to run on, where it is not to choose: `null` compiles and checks as all do, has
   * every feature, and computes nothing.
   */
  readonly backend?: "null" | undefined;
}

/** The npm package that Dawn is imported from, where nothing else is said. */
const DAWN_PACKAGE = "webgpu";

/**
 * Toggles of Dawn: subgroup matrices are experimental, f16 is off on NVIDIA's drivers,
 * and timestamps are rounded to 65 microseconds, unless asked otherwise.
 */
const DAWN_ENABLED = ["allow_unsafe_apis", "vulkan_enable_f16_on_nvidia"];
const DAWN_DISABLED = ["timestamp_quantization"];

/** What the npm package `webgpu` exports. */
interface DawnModule {
  create(options: readonly string[]): GPU;
}

/** Dawn's objects by what they were made from and for: one that is collected takes the process along. */
const DAWNS = new Map<string, GPU>();

/** Returns the runtime's own WebGPU, by name; `undefined` where it has none. */
export function ownWebGpu(): WebGpuName | undefined {
  if (!globalThis.navigator?.gpu) return undefined;
  return navigator.userAgent.startsWith("Deno/") ? "deno" : "browser";
}

/**
 * Returns an implementation of WebGPU: the runtime's own, unless Dawn is asked for.
 *
 * @throws {NoDeviceError} when the runtime has none, or Dawn cannot be imported.
 */
export async function openProvider(
  name: WebGpuName | undefined = ownWebGpu(),
  { dawn = DAWN_PACKAGE, backend }: ProviderOptions = {},
): Promise<Provider> {
  if (name === "dawn" || name === "dawn-unchecked") {
    return { name, gpu: await openDawn(dawn, name === "dawn-unchecked", backend) };
  }
  if (name === undefined || name !== ownWebGpu()) {
    throw new NoDeviceError(
      `This runtime has no WebGPU of its own${name ? ` that is called ${name}` : ""}`,
      `The npm package "webgpu" (Dawn) brings one.`,
    );
  }
  return { name, gpu: navigator.gpu };
}

async function openDawn(
  specifier: string,
  unchecked: boolean,
  backend: ProviderOptions["backend"],
): Promise<GPU> {
  const enabled = [...DAWN_ENABLED, ...(unchecked ? ["disable_robustness"] : [])];
  const options = [
    ...(backend ? [`backend=${backend}`] : []),
    `enable-dawn-features=${enabled}`,
    `disable-dawn-features=${DAWN_DISABLED}`,
  ];
  const key = [specifier, ...options].join(" ");
  const known = DAWNS.get(key);
  if (known) return known;
  let dawn: DawnModule;
  try {
    // By a name that is not written here, so that no tool fetches it before it is asked for.
    dawn = await import(specifier);
  } catch (error) {
    const reason = (error as Error).message.split("\n")[0]!.replace(/\.$/, "");
    throw new NoDeviceError(
      `Dawn cannot be loaded from ${specifier}: ${reason}`,
      `scripts/setup.sh --dawn installs it: the npm package "webgpu", 0.6.2 or later.`,
    );
  }
  if (ownWebGpu() === "deno") slowDownNativeImmediates();
  const gpu = dawn.create(options);
  DAWNS.set(key, gpu);
  return gpu;
}

/** Milliseconds from one of Dawn's looks at its queue to the next, under Deno. */
const LOOK_MS = 1;

let slowedDown = false;

/**
 * Makes timers of the immediates of native modules. While anything is awaited of Dawn it looks at
 * its queue in one immediate after the other, each a new function: Deno gets through some 20 of
 * them in a millisecond and falls behind, so that the end of 0.3 s of work was seen after 1.5 s
 * (12 waits in a row on SwiftShader; by timers after 0.3 s), and on an H100 after up to 7 s, by
 * when the GPU had lowered its clock.
 */
function slowDownNativeImmediates(): void {
  if (slowedDown) return;
  slowedDown = true;
  const { setImmediate } = globalThis;
  const isNative = (callback: unknown) => /\[native code\]/.test(String(callback));
  globalThis.setImmediate =
    ((callback: (...args: unknown[]) => void, ...args: unknown[]) =>
      isNative(callback)
        ? setTimeout(callback, LOOK_MS, ...args)
        : setImmediate(callback, ...args)) as typeof setImmediate;
}

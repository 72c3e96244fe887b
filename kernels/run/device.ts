/**
 * Getting a device from an implementation of WebGPU, and describing it to the planner.
 *
 * @module
 */
import {
  type DeviceLimits,
  type DeviceProfile,
  LIMIT_NAMES,
  type MatrixConfiguration,
  SPECIFICATION_DEFAULTS,
  type WebGpuName,
} from "../../planner/device.ts";
import { measuredRates } from "../../planner/devices/measured.ts";
import { NoDeviceError } from "./errors.ts";
import { openProvider, ownWebGpu, type Provider } from "./provider.ts";

/** A device with its description. */
export interface AcquiredDevice {
  readonly device: GPUDevice;
  readonly profile: DeviceProfile;
  /** Whether the adapter is a CPU in disguise. */
  readonly software: boolean;
}

/** How to ask for a device. */
export interface AcquireOptions {
  /** `adapter`: everything it has. `default`: no more than the specification promises. */
  readonly limits?: "adapter" | "default" | undefined;
  /** Whose device; the runtime's own where it is left out. */
  readonly provider?: Provider | undefined;
}

/** Features that are used where an adapter has them; nothing needs one. */
const OPTIONAL_FEATURES = [
  "timestamp-query",
  "shader-f16",
  "subgroups",
  "chromium-experimental-subgroup-matrix" as GPUFeatureName,
] as const satisfies readonly GPUFeatureName[];

/** What Dawn tells of an adapter beyond the specification. */
interface AdapterInfo extends GPUAdapterInfo {
  readonly subgroupMatrixConfigs?: Iterable<{
    readonly componentType: string;
    readonly resultComponentType: string;
    readonly M: number;
    readonly N: number;
    readonly K: number;
  }>;
}

/**
 * Asks for this machine's adapter and a device with its limits, and with every
 * feature of it that a kernel or a measurement may use.
 *
 * @throws {NoDeviceError} when there is no adapter, or it gives no device.
 */
export async function acquireDevice(options: AcquireOptions = {}): Promise<AcquiredDevice> {
  const { gpu, name } = options.provider ?? await openProvider();
  const adapter = await gpu.requestAdapter({ powerPreference: "high-performance" });
  if (!adapter) throw new NoDeviceError(`No WebGPU adapter found on this machine under ${name}`);
  const requiredLimits = options.limits === "default"
    ? {}
    : Object.fromEntries(LIMIT_NAMES.map((name) => [name, adapter.limits[name]]));
  let device: GPUDevice;
  try {
    device = await adapter.requestDevice({
      requiredLimits,
      requiredFeatures: OPTIONAL_FEATURES.filter((name) => adapter.features.has(name)),
    });
  } catch (error) {
    throw new NoDeviceError(`The WebGPU adapter gave no device: ${(error as Error).message}`);
  }
  // Deno lets a kernel use what the adapter has even where less was asked for,
  // so the promised limits are taken from the specification, not from the device.
  const limits = options.limits === "default" ? SPECIFICATION_DEFAULTS.limits : device.limits;
  return {
    device,
    software: adapter.info.isFallbackAdapter,
    profile: describe(adapter.info, limits, device.features, name),
  };
}

/**
 * Describes a device of the caller's to the planner: its name, and the limits and
 * features it was asked for.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * const adapter = await navigator.gpu.requestAdapter();
 * const device = await adapter!.requestDevice();
 * const profile = deviceProfile(device);
 * assert(profile.limits.maxBufferSize >= 2 ** 28); // what every device has
 * device.destroy();
 * ```
 */
export function deviceProfile(device: GPUDevice): DeviceProfile {
  // A device of another class is another implementation's; a runtime without one has no class.
  const own = typeof GPUDevice === "function" && device instanceof GPUDevice;
  const webgpu = own ? ownWebGpu() : undefined;
  return describe(device.adapterInfo, device.limits, device.features, webgpu);
}

function describe(
  info: AdapterInfo | undefined,
  limits: DeviceLimits | GPUSupportedLimits,
  features: Iterable<string>,
  webgpu: WebGpuName | undefined,
): DeviceProfile {
  const name = adapterName(info, webgpu);
  const rates = measuredRates(name, webgpu);
  const granted = [...features].sort();
  const matrices = granted.includes("chromium-experimental-subgroup-matrix")
    ? matricesOf(info)
    : [];
  return {
    name,
    ...(webgpu ? { webgpu } : {}),
    limits: pickLimits(limits),
    features: granted,
    ...(info && granted.includes("subgroups")
      ? { subgroups: { min: info.subgroupMinSize, max: info.subgroupMaxSize } }
      : {}),
    ...(matrices.length > 0 ? { matrices } : {}),
    ...(rates ? { rates } : {}),
  };
}

/** Returns the shapes of matrices that an adapter tells of. */
function matricesOf(info: AdapterInfo | undefined): MatrixConfiguration[] {
  return [...info?.subgroupMatrixConfigs ?? []].map(
    ({ componentType: component, resultComponentType: result, M: m, N: n, K: k }) => ({
      m,
      n,
      k,
      component,
      result,
    }),
  );
}

function adapterName(
  info: GPUAdapterInfo | undefined,
  webgpu: WebGpuName | undefined,
): string {
  // What Dawn describes is the driver, except where the device has no name.
  return (webgpu?.startsWith("dawn") && info?.device) || info?.description ||
    `${info?.vendor ?? ""} ${info?.architecture ?? ""}`.trim() ||
    "unnamed WebGPU adapter";
}

function pickLimits(limits: DeviceLimits | GPUSupportedLimits): DeviceLimits {
  return Object.fromEntries(
    LIMIT_NAMES.map((name) => [name, Math.min(limits[name], Number.MAX_SAFE_INTEGER)]),
  ) as Record<keyof DeviceLimits, number>;
}

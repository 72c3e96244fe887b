/**
 * Getting a device from the browser or from Deno, and describing it to the
 * planner.
 *
 * @module
 */
import {
  type DeviceLimits,
  type DeviceProfile,
  LIMIT_NAMES,
  SPECIFICATION_DEFAULTS,
} from "../../planner/device.ts";
import { measuredRates } from "../../planner/devices/measured.ts";

/** This machine offers no WebGPU adapter, or would not give a device. */
export class NoDeviceError extends Error {
  override name = "NoDeviceError";
}

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
  readonly limits?: "adapter" | "default";
}

/** Features that are used where an adapter has them; nothing needs one. */
const OPTIONAL_FEATURES = ["timestamp-query"] as const satisfies readonly GPUFeatureName[];

/**
 * Asks for this machine's adapter and a device with its limits.
 *
 * @throws {NoDeviceError} when there is no adapter, or it gives no device.
 */
export async function acquireDevice(options: AcquireOptions = {}): Promise<AcquiredDevice> {
  const adapter = await navigator.gpu?.requestAdapter({ powerPreference: "high-performance" });
  if (!adapter) throw new NoDeviceError("No WebGPU adapter found on this machine");
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
    profile: describe(adapter.info, limits, device.features),
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
  return describe(device.adapterInfo, device.limits, device.features);
}

function describe(
  info: GPUAdapterInfo | undefined,
  limits: DeviceLimits | GPUSupportedLimits,
  features: Iterable<string>,
): DeviceProfile {
  const name = adapterName(info);
  const rates = measuredRates(name);
  const profile = { name, limits: pickLimits(limits), features: [...features].sort() };
  return { ...profile, ...(rates ? { rates } : {}) };
}

function adapterName(info: GPUAdapterInfo | undefined): string {
  return info?.description || `${info?.vendor ?? ""} ${info?.architecture ?? ""}`.trim() ||
    "unnamed WebGPU adapter";
}

function pickLimits(limits: DeviceLimits | GPUSupportedLimits): DeviceLimits {
  return Object.fromEntries(
    LIMIT_NAMES.map((name) => [name, Math.min(limits[name], Number.MAX_SAFE_INTEGER)]),
  ) as Record<keyof DeviceLimits, number>;
}

/**
 * This machine's device, for commands that need one.
 *
 * @module
 */
import type { DeviceProfile } from "../../planner/device.ts";
import { findDevice } from "../../planner/devices/profiles.ts";
import { readDeviceFile } from "../files/device_file.ts";
import type { Request } from "./request.ts";
import { withTunedRates } from "../bench/tuned.ts";
import {
  type AcquiredDevice,
  acquireDevice,
  type AcquireOptions,
} from "../../kernels/run/device.ts";
import { openProvider } from "../../kernels/run/provider.ts";
import { dawnSpecifier, type WebGpuChoice, webgpuOf } from "./webgpu.ts";

/** What is asked of a device, and of which implementation of WebGPU. */
export interface OpenOptions extends Pick<AcquireOptions, "limits"> {
  /** By the environment where it is left out, else Deno's own. */
  readonly webgpu?: WebGpuChoice | undefined;
}

/**
 * Asks for a device, with the rates tuned on it where there are some, and keeps
 * drivers from printing about things that do not matter.
 */
export async function openDevice({ limits, webgpu }: OpenOptions = {}): Promise<AcquiredDevice> {
  // Without it the EGL probe of the GL backend prints an error that means nothing.
  if (Deno.build.os === "linux" && !Deno.env.get("XDG_RUNTIME_DIR")) {
    Deno.env.set("XDG_RUNTIME_DIR", "/tmp");
  }
  const provider = await openProvider(webgpuOf(webgpu), { dawn: dawnSpecifier() });
  const acquired = await acquireDevice({ limits, provider });
  return { ...acquired, profile: await withTunedRates(acquired.profile) };
}

/**
 * Returns the profile that a request plans for: a device is asked for only where it says `auto`.
 *
 * @throws {InputError} when the request names a file that holds no possible profile.
 */
export async function deviceOf({ device }: Pick<Request, "device">): Promise<DeviceProfile> {
  if (typeof device === "object") return device;
  const named = findDevice(device);
  if (named) return named.profile;
  return device === "auto" ? await thisDevice() : await readDeviceFile(device);
}

/** Returns this machine's device as plans see it. */
async function thisDevice(): Promise<DeviceProfile> {
  const acquired = await openDevice();
  acquired.device.destroy();
  return acquired.profile;
}

/**
 * This machine's device, for commands that need one.
 *
 * @module
 */
import type { DeviceProfile } from "../../planner/device.ts";
import { findDevice } from "../../planner/devices/profiles.ts";
import { UsageError } from "../exit.ts";
import { readDeviceFile } from "../files/device_file.ts";
import type { Request } from "./request.ts";
import { ratedProfile, type Remarks } from "../bench/calibrated.ts";
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
  /** Is told of a calibration, where the device's rates are not known; without it there is none. */
  readonly remarks?: Remarks | undefined;
}

/**
 * Asks for a device, with its rates where there are some, and keeps drivers from printing about
 * things that do not matter.
 */
export async function openDevice(
  { limits, webgpu, remarks }: OpenOptions = {},
): Promise<AcquiredDevice> {
  // Without it the EGL probe of the GL backend prints an error that means nothing.
  if (Deno.build.os === "linux" && !Deno.env.get("XDG_RUNTIME_DIR")) {
    Deno.env.set("XDG_RUNTIME_DIR", "/tmp");
  }
  const provider = await openProvider(webgpuOf(webgpu), { dawn: dawnSpecifier() });
  const acquired = await acquireDevice({ limits, provider });
  try {
    return { ...acquired, profile: await ratedProfile(acquired, remarks) };
  } catch (error) {
    acquired.device.destroy();
    throw error;
  }
}

/**
 * Returns the profile that a request plans for: a device is asked for only where it says `auto`.
 *
 * @param options the implementation to ask, where one is named, and what is told of a calibration.
 * @throws {InputError} when the request names a file that holds no possible profile.
 * @throws {UsageError} when it names an implementation, and another device than this machine's.
 */
export async function deviceOf(
  { device }: Pick<Request, "device">,
  { webgpu, remarks }: Pick<OpenOptions, "webgpu" | "remarks"> = {},
): Promise<DeviceProfile> {
  if (webgpu !== undefined && device !== "auto") {
    throw new UsageError(
      `--webgpu ${webgpu}: chooses how this machine's device is reached: add --device auto, or leave it out`,
    );
  }
  if (typeof device === "object") return device;
  const named = findDevice(device);
  if (named) return named.profile;
  return device === "auto" ? await thisDevice({ webgpu, remarks }) : await readDeviceFile(device);
}

/** Returns this machine's device as plans see it. */
async function thisDevice(options: OpenOptions): Promise<DeviceProfile> {
  const acquired = await openDevice(options);
  acquired.device.destroy();
  return acquired.profile;
}

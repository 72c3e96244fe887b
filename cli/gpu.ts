/**
 * This machine's device, for commands that need one.
 *
 * @module
 */
import { type DeviceProfile, SPECIFICATION_DEFAULTS } from "../planner/device.ts";
import type { Request } from "./request.ts";
import { type AcquiredDevice, acquireDevice, type AcquireOptions } from "../kernels/device.ts";

/** Asks for a device, and keeps drivers from printing about things that do not matter. */
export function openDevice(options: AcquireOptions = {}): Promise<AcquiredDevice> {
  // Without it the EGL probe of the GL backend prints an error that means nothing.
  if (Deno.build.os === "linux" && !Deno.env.get("XDG_RUNTIME_DIR")) {
    Deno.env.set("XDG_RUNTIME_DIR", "/tmp");
  }
  return acquireDevice(options);
}

/** The profile that a request plans for: a device is asked for only where it says `auto`. */
export async function deviceOf({ device }: Request): Promise<DeviceProfile> {
  if (typeof device === "object") return device;
  if (device === "default") return SPECIFICATION_DEFAULTS;
  const acquired = await openDevice();
  acquired.device.destroy();
  return acquired.profile;
}

/**
 * This machine's device, for commands that need one.
 *
 * @module
 */
import { type AcquiredDevice, acquireDevice, type AcquireOptions } from "../kernels/device.ts";

/** Asks for a device, and keeps drivers from printing about things that do not matter. */
export function openDevice(options: AcquireOptions = {}): Promise<AcquiredDevice> {
  // Without it the EGL probe of the GL backend prints an error that means nothing.
  if (Deno.build.os === "linux" && !Deno.env.get("XDG_RUNTIME_DIR")) {
    Deno.env.set("XDG_RUNTIME_DIR", "/tmp");
  }
  return acquireDevice(options);
}

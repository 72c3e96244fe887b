/**
 * The device that tests run on: the one that the command line is told to use.
 *
 * @module
 */
import { openDevice } from "../cli/request/device.ts";
import type { AcquiredDevice } from "../kernels/run/device.ts";

export { openDevice };

/** Gives a device to a test and takes it back. */
export async function withDevice(
  use: (acquired: AcquiredDevice) => Promise<void>,
  limits: "adapter" | "default" = "adapter",
): Promise<void> {
  const acquired = await openDevice({ limits });
  try {
    await use(acquired);
  } finally {
    acquired.device.destroy();
  }
}

/** Gives a device to a test that asks nothing else of the machine. */
export function onDevice(use: (device: GPUDevice) => Promise<void>): Promise<void> {
  return withDevice(({ device }) => use(device));
}

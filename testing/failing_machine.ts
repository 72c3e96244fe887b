/**
 * A machine whose device fails, for tests of commands, which ask for a device themselves.
 *
 * @module
 */
import { dawnSpecifier, webgpuOf } from "../cli/request/webgpu.ts";
import { Ledger } from "../kernels/measure/ledger.ts";
import { openProvider } from "../kernels/run/provider.ts";
import { modelAdapter, modelDevice } from "../kernels/testing/model_device.ts";
import {
  type DeviceFault,
  type FaultyDevice,
  faultyDevice,
} from "../kernels/testing/faulty_device.ts";

/** What a command left on the machine's device. */
export interface Left<T> {
  readonly value: T;
  /** Calls of the kind that was to fail. */
  readonly calls: number;
  /** Bytes of buffers that nobody has destroyed. */
  readonly liveBytes: number;
}

/**
 * Runs something while whoever asks for a device gets one whose `nth` call of the fault's
 * kind fails; one at a time.
 *
 * @param model whether it stands before a model of a device, and not before a real one.
 */
export async function onFailingMachine<T>(
  fault: DeviceFault,
  nth: number,
  use: () => Promise<T>,
  { model = false } = {},
): Promise<Left<T>> {
  const { gpu } = await openProvider(webgpuOf(undefined), { dawn: dawnSpecifier() });
  const { requestAdapter } = gpu;
  const given: { faulty: FaultyDevice; ledger: Ledger; real: GPUDevice }[] = [];
  gpu.requestAdapter = async (...asked) => {
    const adapter = model
      ? modelAdapter(modelDevice({ features: ["timestamp-query"] }))
      : await requestAdapter.apply(gpu, asked);
    const { requestDevice } = adapter!;
    adapter!.requestDevice = async (...asked) => {
      const real = await requestDevice.apply(adapter, asked);
      const faulty = faultyDevice(real, fault, nth);
      given.push({ faulty, ledger: new Ledger(real), real });
      return faulty.device;
    };
    return adapter;
  };
  try {
    const value = await use();
    return {
      value,
      calls: given.reduce((sum, { faulty }) => sum + faulty.calls, 0),
      liveBytes: given.reduce((sum, { ledger }) => sum + ledger.liveBytes, 0),
    };
  } finally {
    gpu.requestAdapter = requestAdapter;
    for (const { real } of given) real.destroy();
  }
}

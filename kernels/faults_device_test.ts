/**
 * Faults of a device before a real one: what follows from something invalid is what an
 * implementation of WebGPU makes of it. `faults_test.ts` tries every call.
 */
import assert from "node:assert/strict";
import { openDevice } from "../testing/device.ts";
import { Ledger } from "./measure/ledger.ts";
import { tryEveryFault } from "./testing/every_fault.ts";
import { faultyDevice } from "./testing/faulty_device.ts";
import { smallJobs } from "../testing/jobs.ts";

for (const name of ["windowed, train, streamed", "LinearCrossEntropy, windowed, train"]) {
  Deno.test(`what fails on a device is said and leaves nothing: ${name}`, async () => {
    const { device, profile } = await openDevice();
    await tryEveryFault(device, smallJobs(device, profile).get(name)!, "three");
    device.destroy();
  });
}

Deno.test("a device that goes at any moment ends a run, which says so and hangs nowhere", async () => {
  const goes = { name: "the device goes", how: "destroy" } as const;
  let total = 0;
  for (const part of [Infinity, 0, 0.3, 0.6, 0.95]) {
    const { device, profile } = await openDevice();
    const job = smallJobs(device, profile).get("fused, forward, streamed")!;
    const ledger = new Ledger(device);
    const faulty = faultyDevice(device, goes, part === Infinity ? part : 1 + part * total | 0);
    if (part === Infinity) {
      await job(faulty.device);
      total = faulty.calls;
      device.destroy();
    } else {
      const lost = { name: "GpuError", message: /The device was lost/ };
      await assert.rejects(job(faulty.device), lost);
    }
    assert.equal(ledger.liveBytes, 0);
  }
});

import assert from "node:assert/strict";
import { bufferLabel } from "../run/labels.ts";
import { Ledger } from "./ledger.ts";

/** Returns something that makes buffers, as far as a ledger can tell. */
function fakeDevice(): GPUDevice {
  return {
    createBuffer: ({ size, label }: GPUBufferDescriptor) => ({ size, label, destroy() {} }),
  } as unknown as GPUDevice;
}

Deno.test("Ledger counts what is alive, its peak, and the peak without inputs and outputs", () => {
  const device = fakeDevice();
  const ledger = new Ledger(device);
  const make = (label: string, size: number) => device.createBuffer({ label, size, usage: 0 });
  const input = make(bufferLabel("input", "x"), 1000);
  const scratch = make(bufferLabel("scratch", "a"), 100);
  scratch.destroy();
  scratch.destroy();
  const unlabelled = make("", 40);
  assert.equal(ledger.liveBytes, 1040);
  assert.equal(ledger.peakBytes, 1100);
  assert.equal(ledger.extraPeakBytes, 100);
  assert.equal(ledger.live.scratch, 40);
  ledger.resetPeaks();
  assert.equal(ledger.peakBytes, 1040);
  input.destroy();
  unlabelled.destroy();
  assert.equal(ledger.liveBytes, 0);
});

Deno.test("a detached ledger sees no new buffers, but the end of the old ones", () => {
  const device = fakeDevice();
  const ledger = new Ledger(device);
  const old = device.createBuffer({ size: 8, usage: 0 });
  ledger.detach();
  device.createBuffer({ size: 16, usage: 0 });
  assert.equal(ledger.liveBytes, 8);
  old.destroy();
  assert.equal(ledger.liveBytes, 0);
});

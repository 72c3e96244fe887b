/**
 * Every fault of a device at every call at which it can strike, as SQLite tries every
 * allocation: a run with the first call failing, then with the second, until a run has
 * no such call any more.
 *
 * @module
 */
import assert from "node:assert/strict";
import { Ledger } from "../measure/ledger.ts";
import { GpuError, OutOfMemoryError } from "../run/errors.ts";
import { DEVICE_FAULTS, type DeviceFault, faultyDevice } from "./faulty_device.ts";

/** A job that a device may fail at. It gives back what it creates, whatever happens. */
export type Job = (device: GPUDevice) => Promise<unknown>;

/** How often each fault was made, by its name. */
export type FaultCounts = Record<string, number>;

/** At which of a fault's calls it is made: at each, or at the first, the middle and the last. */
export type Extent = "every" | "three";

/**
 * Runs a job with every fault at every call. A run that a fault struck throws, and says
 * what it was; one that none strikes gives what it gave before; neither leaves a buffer
 * alive, an error scope open or an error uncaught.
 *
 * @returns how often each fault was made.
 */
export async function tryEveryFault(
  real: GPUDevice,
  job: Job,
  extent: Extent = "every",
): Promise<FaultCounts> {
  const counts: FaultCounts = {};
  const unseen: string[] = [];
  const onUncaptured = (event: Event) => {
    event.preventDefault();
    unseen.push((event as GPUUncapturedErrorEvent).error.message);
  };
  real.addEventListener("uncapturederror", onUncaptured);
  const ledger = new Ledger(real);
  const attempt = async (fault: DeviceFault, nth: number) => {
    const what = `${fault.name}, call ${nth}`;
    const faulty = faultyDevice(real, fault, nth);
    const [outcome] = await Promise.allSettled([job(faulty.device)]);
    assert.equal(ledger.liveBytes, 0, `${what}: buffers stay`);
    assert.equal(faulty.openScopes, 0, `${what}: an error scope stays open`);
    assert.deepEqual([...faulty.uncaught, ...unseen], [], `${what}: nobody catches it`);
    return { what, outcome, calls: faulty.calls };
  };
  try {
    const [first] = DEVICE_FAULTS;
    const { outcome: { value: result } } = await attempt(first, Infinity) as Good;
    for (const fault of DEVICE_FAULTS) {
      const { calls, outcome } = await attempt(fault, Infinity);
      assert.deepEqual(outcome, { status: "fulfilled", value: result }, fault.name);
      const strikes = extent === "every"
        ? Array.from({ length: calls }, (_, index) => index + 1)
        : new Set([1, Math.ceil(calls / 2), calls]);
      counts[fault.name] = 0;
      for (const nth of strikes) {
        const { what, outcome } = await attempt(fault, nth);
        assert(outcome.status === "rejected", `${what}: goes by unseen`);
        assertSays(outcome.reason, fault, what);
        counts[fault.name]!++;
      }
      assert(counts[fault.name]! > 0, `${fault.name}: was never made`);
    }
  } finally {
    ledger.detach();
    real.removeEventListener("uncapturederror", onUncaptured);
  }
  return counts;
}

/** What comes of a job that nothing befalls. */
interface Good {
  readonly outcome: PromiseFulfilledResult<unknown>;
}

/** Demands that an error is of the kind that a fault is, and says what it was. */
function assertSays(error: unknown, { how, call, name }: DeviceFault, what: string): void {
  assert(error instanceof Error, what);
  assert.match(error.message, new RegExp(`injected: ${name}`), `${what}: ${error.message}`);
  // What a call throws is passed on; that a mapping does not come about is said.
  if (how === "throw" && call !== "mapAsync") {
    assert.equal(error.name, "OperationError", what);
    return;
  }
  assert(error instanceof GpuError, `${what}: ${error.stack}`);
  assert.equal(error instanceof OutOfMemoryError, how === "out-of-memory", what);
  const kind = {
    lose: /The device was lost/,
    destroy: /The device was lost/,
    throw: /The device did not hand \w+ over/,
    "out-of-memory": call === "createBuffer"
      ? /no memory for \w+\/.+: \d+ bytes, with \d+ in use|is out of memory/
      : /is out of memory/,
    internal: /Kernel .* does not compile/,
    validation: /The device reports|does not compile/,
  };
  assert.match(error.message, kind[how], `${what}: ${error.message}`);
}

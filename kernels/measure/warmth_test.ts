import assert from "node:assert/strict";
import { modelDevice } from "../testing/model_device.ts";
import { Ledger } from "./ledger.ts";
import { Warmth } from "./warmth.ts";

/**
 * Returns what a device was submitted before and between pieces of timed work: after each of some
 * waits, in milliseconds, work that takes so long.
 */
async function submissionsOf(
  pieces: readonly { readonly wait: number; readonly milliseconds: number }[],
  { software = false, features = ["timestamp-query"] } = {},
): Promise<number[]> {
  const device = modelDevice({ features });
  const ledger = new Ledger(device);
  const warmth = new Warmth(device, software);
  const { submit } = device.queue;
  let submitted = 0;
  device.queue.submit = (commands) => {
    submitted++;
    return submit.call(device.queue, commands);
  };
  const { now } = performance;
  let time = 0;
  performance.now = () => time;
  try {
    const counts: number[] = [];
    for (const { wait, milliseconds } of pieces) {
      time += wait;
      submitted = 0;
      await warmth.timed(async () => {
        await undefined;
        counts.push(submitted);
        time += milliseconds;
        return { milliseconds };
      });
    }
    assert.equal(ledger.liveBytes, 0);
    return counts;
  } finally {
    performance.now = now;
  }
}

Deno.test("a GPU that waited is given work ahead of what is timed, and one that worked is not", async () => {
  const work = [
    // At first that work is counted too.
    { wait: 0, milliseconds: 40, given: 2 },
    { wait: 2, milliseconds: 3000, given: 0 },
    { wait: 2, milliseconds: 40, given: 0 },
    // A compiler took its time.
    { wait: 2000, milliseconds: 40, given: 1 },
    { wait: 2, milliseconds: 40, given: 0 },
  ];
  assert.deepEqual(await submissionsOf(work), work.map(({ given }) => given));
});

Deno.test("a CPU in disguise, and a device without timestamps, are left as they are", async () => {
  const work = [{ wait: 0, milliseconds: 40 }, { wait: 2000, milliseconds: 40 }];
  assert.deepEqual(await submissionsOf(work, { software: true }), [0, 0]);
  assert.deepEqual(await submissionsOf(work, { features: [] }), [0, 0]);
});

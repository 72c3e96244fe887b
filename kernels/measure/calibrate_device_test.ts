/**
 * Calibration, by the work that it does: how long that takes is no test's business.
 */
import assert from "node:assert/strict";
import { openDevice } from "../../testing/device.ts";
import { SPECIFICATION_DEFAULTS } from "../../planner/device.ts";
import { NAMED_DEVICES } from "../../planner/devices/profiles.ts";
import { feasibleTiles } from "../../planner/schedule/tile.ts";
import { GpuError } from "../run/errors.ts";
import { EMULATED, SPLIT } from "../testing/alone.ts";
import { modelDevice } from "../testing/model_device.ts";
import { calibrate, measureProduct } from "./calibrate.ts";
import { Stopwatch } from "./stopwatch.ts";
import { Ledger } from "./ledger.ts";

/** Calibrates a model of a device to which each submission takes so many milliseconds. */
async function onModel(taken: number) {
  const device = modelDevice();
  const ledger = new Ledger(device);
  const { submit } = device.queue;
  const { now } = performance;
  let submissions = 0;
  device.queue.submit = (commands) => {
    if ([...commands].length > 0) submissions++;
    return submit.call(device.queue, commands);
  };
  performance.now = () => submissions * taken;
  try {
    const rates = await calibrate(device, SPECIFICATION_DEFAULTS, { software: false })
      .catch((error) => error);
    return { rates, submissions, ledger };
  } finally {
    performance.now = now;
  }
}

Deno.test("a device that takes a second for anything is asked for next to nothing", async () => {
  const { rates, submissions, ledger } = await onModel(1000);
  assert(rates.flopsPerSecond > 0 && rates.bytesPerSecond > 0, `${rates}`);
  // One of each: reading, nothing, the lists, whether a product is short, and its rate.
  assert(submissions <= 6, `${submissions}`);
  assert.equal(ledger.liveBytes, 0);
});

Deno.test("where time stands still, work ends all the same, and that is said", async () => {
  const { rates, submissions, ledger } = await onModel(0);
  assert(rates instanceof GpuError);
  assert.match(rates.message, /clock stands still/);
  assert(submissions <= 16, `${submissions}`);
  assert.equal(ledger.liveBytes, 0);
});

Deno.test("calibration takes some tens of MiB, and gives them back", async () => {
  const { rates, ledger } = await onModel(20);
  assert(rates.flopsPerSecond > 0, `${rates}`);
  assert(ledger.peakBytes <= 96 * 2 ** 20, `${ledger.peakBytes}`);
  assert.equal(ledger.liveBytes, 0);
});

Deno.test("every device that is known can be calibrated, in each kind of products that it has", async () => {
  for (const { name, profile } of NAMED_DEVICES) {
    const device = modelDevice({ features: ["timestamp-query"] });
    const rates = await calibrate(device, { ...profile, rates: undefined }, { software: false });
    const found = { registers: rates, matrix: rates.matrix, split: rates.split };
    for (const [kind, one] of Object.entries(found)) {
      const has = feasibleTiles(kind as keyof typeof found, profile).length > 0;
      assert.equal(one !== undefined, has, `${name} ${kind}`);
      assert(!one || one.flopsPerSecond > 0, `${name} ${kind}`);
    }
  }
});

Deno.test("a product is no faster than it was seen to be because reading was slow before it", async () => {
  const device = modelDevice({ features: ["timestamp-query"] });
  const watch = await Stopwatch.of(device, false);
  const [tile] = feasibleTiles("registers", SPECIFICATION_DEFAULTS);
  const rateBeside = async (bytesPerSecond: number, secondsPerDispatch: number) => {
    const traffic = { bytesPerSecond, secondsPerDispatch };
    return (await measureProduct(watch, SPECIFICATION_DEFAULTS, tile!, traffic)).flopsPerSecond;
  };
  const fast = await rateBeside(1e15, 0);
  for (const slow of [await rateBeside(1, 0), await rateBeside(1e15, 1000)]) {
    assert(slow >= fast && slow <= 2.001 * fast, `${slow} ${fast}`);
  }
});

Deno.test("products in subgroup matrices are calibrated in a tile of each kind", async () => {
  const { device, profile, software } = await openDevice();
  try {
    const [registers] = feasibleTiles("registers", profile);
    const tiles = [registers!, EMULATED, SPLIT];
    const { matrix, split, ...rates } = await calibrate(device, profile, { software, tiles });
    // How fast they are is no test's business, and least of all what plain WGSL in their place is.
    for (const one of [rates, matrix!, split!]) {
      assert(one.flopsPerSecond > 1e6 && one.flopsPerSecond < 1e15, `${one.flopsPerSecond}`);
      assert(one.parallelInvocations >= 1);
    }
  } finally {
    device.destroy();
  }
});

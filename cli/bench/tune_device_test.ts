/**
 * Tuning on a real device, and what plans make of it. How fast a device is, is no
 * test's business: only that what was measured is used, and by whom.
 */
import assert from "node:assert/strict";
import { SPECIFICATION_DEFAULTS } from "../../planner/device.ts";
import { TILES } from "../../planner/schedule/tile.ts";
import { EXIT } from "../exit.ts";
import { lce, withCache } from "../testing.ts";
import { keepTunedRates, TUNED, tunedKey, withTunedRates } from "./tuned.ts";

const RATES = {
  flopsPerSecond: 1e12,
  bytesPerSecond: 1e11,
  secondsPerDispatch: 1e-5,
  parallelInvocations: 4096,
  source: "a test",
};

Deno.test("tuned rates are kept for a device with its limits, and for no other", async () => {
  await withCache(async () => {
    const other = { ...SPECIFICATION_DEFAULTS, name: "another" };
    const larger = {
      ...SPECIFICATION_DEFAULTS,
      limits: { ...SPECIFICATION_DEFAULTS.limits, maxBufferSize: 2 ** 30 },
    };
    await keepTunedRates(SPECIFICATION_DEFAULTS, RATES);
    assert.deepEqual((await withTunedRates(SPECIFICATION_DEFAULTS)).rates, RATES);
    assert.deepEqual(await withTunedRates(other), other);
    assert.deepEqual(await withTunedRates(larger), larger);
    await keepTunedRates(other, { ...RATES, flopsPerSecond: 2e12 });
    assert.deepEqual((await withTunedRates(SPECIFICATION_DEFAULTS)).rates, RATES);
    assert.match(tunedKey(other), /^another \| .* \| [0-9a-f]{8}$/);
  });
});

Deno.test("a damaged cache counts as empty", async () => {
  await withCache(async () => {
    for (const text of ["", "{", "[]", '{"x": {"flopsPerSecond": -1}}']) {
      await Deno.writeTextFile(TUNED.path, text);
      assert.deepEqual(await withTunedRates(SPECIFICATION_DEFAULTS), SPECIFICATION_DEFAULTS);
    }
    await keepTunedRates(SPECIFICATION_DEFAULTS, RATES);
    assert.deepEqual((await withTunedRates(SPECIFICATION_DEFAULTS)).rates, RATES);
  });
});

Deno.test({
  name: "lce tune measures tiles, and plans for this machine say that they use it",
  ignore: Deno.env.has("LCE_SLOW_DEVICE"),
  fn: async () => {
    await withCache(async () => {
      const before = JSON.parse((await lce("device", "--json")).out);
      const { code, out } = await lce("tune", "--quick", "--shape", "64x64x512", "--json");
      assert.equal(code, EXIT.ok);
      const { rates, tiles, peaks, kept } = JSON.parse(out);
      assert.equal(kept, TUNED.path);
      assert(tiles.length >= 3 && tiles.length <= TILES.length);
      assert.equal(rates.tiles[0].rate, 1);
      const speeds = tiles.map(({ flopsPerSecond }: { flopsPerSecond: number }) => flopsPerSecond);
      assert.deepEqual(speeds, speeds.toSorted((a: number, b: number) => b - a));
      for (const value of [...Object.values(peaks), rates.flopsPerSecond]) {
        assert(Number(value) > 0);
      }
      const plan = ["plan", "--vocab", "2000", "--hidden", "64", "--tokens", "100"];
      assert.match(
        (await lce(...plan, "--device", "auto")).out,
        /ms \(rates: tuned on this machine/,
      );
      const json = JSON.parse((await lce(...plan, "--device", "auto", "--json")).out);
      assert(json.cost.estimatedMs > 0);
      assert.deepEqual(json.device.rates, rates);
      // Limits are the device's own, and rates nobody's but this machine's.
      assert.deepEqual(json.device.limits, before.limits);
      assert.equal(before.rates, undefined);
      const dry = await lce("tune", "--quick", "--shape", "64x64x256", "--dry-run", "--json");
      assert.equal(JSON.parse(dry.out).kept, null);
      assert.deepEqual(JSON.parse((await lce("device", "--json")).out).rates, rates);
    });
  },
});

for (const shape of ["64x64", "0x64x64", "axbxc"]) {
  Deno.test(`lce tune --shape ${shape} is a usage error`, async () => {
    const { code, err } = await lce("tune", "--shape", shape);
    assert.equal(code, EXIT.usage);
    assert.match(err, /tokens x hidden x vocab/);
  });
}

Deno.test("lce tune on a shape that no device holds exits with 5, before anything is measured", async () => {
  const { code, out, err } = await lce("tune", "--quick", "--shape", "100000x100000x100000");
  assert.equal(code, EXIT.doesNotFit, err);
  assert.match(err, /^lce: .*fit/);
  assert.equal(out, "");
});

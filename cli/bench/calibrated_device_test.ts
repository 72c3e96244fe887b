/**
 * Calibration at a device's first use: what is said of it, kept and used.
 */
import assert from "node:assert/strict";
import { EXIT } from "../exit.ts";
import { lce, withCache } from "../testing.ts";
import { CALIBRATED } from "./calibrated.ts";
import { keepTunedRates } from "./tuned.ts";

const PLAN = ["plan", "--vocab", "2000", "--hidden", "64", "--tokens", "100", "--device", "auto"];

Deno.test("a device that nobody measured is calibrated at its first use, and not again", () =>
  withCache(async () => {
    const first = await lce(...PLAN, "--json");
    assert.equal(first.code, EXIT.ok, first.err);
    assert.match(
      first.err,
      /^Calibrated .* in .*s for plans by its speed, kept in .*calibrated\.json\n$/,
    );
    assert(first.progress.some((line) => /^measuring .*, once: products in f32$/.test(line)));
    const { cost, device } = JSON.parse(first.out);
    assert.match(cost.rates, /^calibrated on this machine, \d{4}-\d\d-\d\d$/);
    assert(cost.estimatedMs > 0 && cost.longestDispatchMs <= 100);
    const kept = await Deno.readTextFile(CALIBRATED.path);
    const again = await lce(...PLAN);
    assert.equal(again.err, "");
    assert.match(again.out, /ms \(rates: calibrated on this machine, /);
    assert.equal(await Deno.readTextFile(CALIBRATED.path), kept);
    // Who tuned is asked for no more, and what was tuned stays.
    await keepTunedRates(device, { ...device.rates, source: "a test" });
    const tuned = JSON.parse((await lce(...PLAN, "--json")).out);
    assert.equal(tuned.cost.rates, "a test");
    await Deno.remove(CALIBRATED.path);
    assert.equal((await lce("device")).err, "");
    assert.deepEqual(await CALIBRATED.readAll(), {});
  }, { calibrates: true }));

/**
 * Who is calibrated at first use, and what becomes of failures: on a model of a device.
 */
import assert from "node:assert/strict";
import { onFailingMachine } from "../../testing/failing_machine.ts";
import { DEVICE_FAULTS } from "../../kernels/testing/faulty_device.ts";
import { modelDevice } from "../../kernels/testing/model_device.ts";
import { findDevice } from "../../planner/devices/profiles.ts";
import { EXIT } from "../exit.ts";
import { lce, withCache, withVariables } from "../testing.ts";
import { CALIBRATED, ratedProfile } from "./calibrated.ts";

/** Runs something that may calibrate, with a cache of its own. */
const calibrating = (use: (folder: string) => Promise<void>) =>
  withCache(use, { calibrates: true });

/** Runs something while each look at the clock comes later than the one before by more. */
async function withClock<T>(use: () => Promise<T>): Promise<T> {
  const { now } = performance;
  let looks = 0;
  let time = 0;
  performance.now = () => time += 100 * ++looks;
  try {
    return await use();
  } finally {
    performance.now = now;
  }
}

Deno.test("with --no-calibrate or LCE_CALIBRATE=0 nothing is calibrated, and nothing that was is used", () =>
  calibrating(async () => {
    const off = async (...flags: string[]) => {
      const { code, out, err } = await lce("device", "--json", ...flags);
      assert.deepEqual([code, err, JSON.parse(out).rates], [EXIT.ok, "", undefined]);
    };
    await onModel(async () => {
      await off("--no-calibrate");
      assert.equal(JSON.parse((await lce("device", "--json")).out).rates.flopsPerSecond > 0, true);
      await off("--no-calibrate");
      await withVariables({ LCE_CALIBRATE: "0" }, () => off());
      await withVariables({ LCE_CALIBRATE: "yes" }, async () => {
        const { code, err } = await lce("device");
        assert.equal(code, EXIT.usage);
        assert.match(err, /^lce: LCE_CALIBRATE yes: must be 0 or 1/);
      });
    });
  }));

Deno.test("with --quiet a calibration is not told of, but done", () =>
  calibrating(async () => {
    await onModel(async () => {
      assert.match((await lce("device", "--no-calibrate")).out, /^rates {6}assumed$/m);
      const { err, progress } = await lce("bench", "--quick", "--shape", "4x8x16", "--quiet");
      assert.equal(err, "");
      assert.deepEqual(progress, []);
      const speeds = /^rates {6}f32 .*FLOP\/s, .*B\/s: calibrated on this machine, /m;
      assert.match((await lce("device")).out, speeds);
    });
    assert.equal(Object.keys(await CALIBRATED.readAll()).length, 1);
  }));

Deno.test("a family of chips whose rates are known is not calibrated", () =>
  calibrating(async () => {
    const { profile } = findDevice("h100-dawn")!;
    const silent = () => assert.fail("nothing is to be said");
    const acquired = { device: modelDevice(), profile, software: false };
    assert.deepEqual(await ratedProfile(acquired, { note: silent, progress: silent }), profile);
  }));

Deno.test("rates that cannot be kept are used all the same", () =>
  calibrating(async (folder) => {
    await Deno.writeTextFile(`${folder}/file`, "");
    await withVariables({ LCE_CACHE: `${folder}/file` }, () =>
      onModel(async () => {
        const { code, out, err } = await lce("device", "--json");
        assert.equal(code, EXIT.ok);
        assert.match(err, /^Calibrated .*, not kept: Cannot write .*calibrated\.json/);
        assert(JSON.parse(out).rates.flopsPerSecond > 0);
      }));
  }));

Deno.test("whatever fails while a device is calibrated, its rates are assumed, and that is said", () =>
  calibrating(async () => {
    for (const fault of DEVICE_FAULTS) {
      const onFaulty = (nth: number) =>
        withClock(() => onFailingMachine(fault, nth, () => lce("device"), { model: true }));
      const { calls, value } = await onFaulty(Infinity);
      assert.match(value.err, /^Calibrated a model/);
      await Deno.remove(CALIBRATED.path);
      for (let nth = 1; nth <= calls; nth++) {
        const what = `${fault.name}, call ${nth} of ${calls}`;
        const { value: { code, out, err }, liveBytes } = await onFaulty(nth);
        assert.equal(liveBytes, 0, what);
        if (fault.how === "lose") {
          assert.equal(code, EXIT.device, what);
          assert.match(err, /^lce: The device was lost .*--no-calibrate/, what);
        } else {
          assert.equal(code, EXIT.ok, `${what}: ${err}`);
          assert.match(
            err,
            /^a model.* cannot be calibrated, so that assumed rates.*injected/,
            what,
          );
          assert.match(out, /^a model of a device/, what);
        }
        assert.deepEqual(await CALIBRATED.readAll(), {}, what);
      }
    }
  }));

/** Runs something on a machine whose device is a model, and never fails. */
async function onModel(use: () => Promise<void>): Promise<void> {
  const none = { name: "none", how: "lose" } as const;
  await withClock(() => onFailingMachine(none, Infinity, use, { model: true }));
}

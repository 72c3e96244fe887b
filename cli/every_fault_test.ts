/**
 * Every fault of a device at every call, as a user of the command line meets it. On a
 * model of a device: `faults_device_test.ts` has a real one.
 */
import assert from "node:assert/strict";
import { writeCheckpoint } from "../fixtures/files/checkpoint_writer.ts";
import { makeSynthetic } from "../fixtures/synthetic.ts";
import { namesIn, withFolder } from "../fixtures/testing.ts";
import { onFailingMachine } from "../kernels/testing/failing_machine.ts";
import { DEVICE_FAULTS } from "../kernels/testing/faulty_device.ts";
import { parseProblem } from "../planner/problem_schema.ts";
import { EXIT } from "./exit.ts";
import { lce } from "./testing.ts";

Deno.test("whatever fails on the device, lce run says so in a line, and leaves no file", () =>
  withFolder(async (folder) => {
    const model = `${folder}/model`;
    const problem = parseProblem({ tokens: 3, hidden: 8, vocab: 150 });
    await writeCheckpoint(model, makeSynthetic(problem, 1));
    const output = ["--output", `${folder}/out.safetensors`];
    // A window that is fixed, so that nothing is done once more.
    const run = () => lce("run", model, "--pass", "train", "--window", "64", ...output);
    for (const fault of DEVICE_FAULTS) {
      const onModel = (nth: number) => onFailingMachine(fault, nth, run, { model: true });
      const { calls, value: { code } } = await onModel(Infinity);
      // A model computes nothing.
      assert.equal(code, EXIT.verification);
      await Deno.remove(output[1]!);
      for (let nth = 1; nth <= calls; nth++) {
        const what = `${fault.name}, call ${nth} of ${calls}`;
        const { value: { code, out, err }, liveBytes } = await onModel(nth);
        assert.equal(code, fault.how === "out-of-memory" ? EXIT.doesNotFit : EXIT.device, what);
        assert.match(err, new RegExp(`^lce: .*injected: ${fault.name}`), what);
        assert.equal(out, "", what);
        assert.equal(liveBytes, 0, what);
        assert.deepEqual(namesIn(folder), ["model"], what);
      }
    }
  }));

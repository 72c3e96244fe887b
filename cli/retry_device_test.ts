/**
 * Runs for which the device has no memory, on a device that refuses some.
 */
import assert from "node:assert/strict";
import { namesIn, withFolder } from "../fixtures/testing.ts";
import { writeCheckpoint } from "../fixtures/files/checkpoint_writer.ts";
import { SafetensorsFile } from "../fixtures/files/safetensors.ts";
import { makeSynthetic } from "../fixtures/synthetic.ts";
import { parseProblem } from "../planner/problem_schema.ts";
import { onFailingMachine } from "../testing/failing_machine.ts";
import type { DeviceFault } from "../kernels/testing/faulty_device.ts";
import { EXIT } from "./exit.ts";
import { lce } from "./testing.ts";

const NO_MEMORY: DeviceFault = {
  name: "no memory for a buffer",
  call: "createBuffer",
  how: "out-of-memory",
};

/** Gives a test a checkpoint, and a name for results; with few tokens its weight is most of what a run takes. */
function withModel(
  use: (model: string, output: string) => Promise<void>,
  tokens = 5,
): Promise<void> {
  return withFolder(async (folder) => {
    const problem = parseProblem({ tokens, hidden: 16, vocab: 2000 });
    await writeCheckpoint(`${folder}/model`, makeSynthetic(problem, 1));
    await use(`${folder}/model`, `${folder}/out.safetensors`);
    assert(namesIn(folder).every((name) => ["model", "out.safetensors"].includes(name)));
  });
}

/** The buffer that the weight is in: after targets and hidden states. */
const WEIGHT = 3;

/** The buffer that logits are in where all are stored: after what is there from the beginning. */
const LOGITS = 8;

Deno.test("a run that is refused a buffer is run once more within what there is, and says so", () =>
  withModel(async (model, output) => {
    const run = (...args: string[]) => lce("run", model, "--pass", "train", ...args);
    const { value, liveBytes, calls } = await onFailingMachine(
      NO_MEMORY,
      WEIGHT,
      () => run("--output", output, "--json"),
    );
    assert.deepEqual([value.code, value.err, liveBytes], [EXIT.ok, "", 0]);
    assert(calls > WEIGHT);
    const [{ retried, memory, ok }] = JSON.parse(value.out);
    const { refusedBytes, heldBytes, budgetBytes } = retried;
    assert(ok && memory.ok);
    assert.deepEqual([refusedBytes, heldBytes], [2000 * 16 * 4, 5 * 4 + 5 * 16 * 4]);
    assert.equal(budgetBytes, Math.floor((refusedBytes + heldBytes) / 2));
    assert(memory.measuredPeakBytes <= budgetBytes);
    // What the first attempt had written is not in it.
    const file = await SafetensorsFile.open(output);
    assert.deepEqual((await file.read("grad_weight")).shape, [2000, 16]);
    const { value: { code, out } } = await onFailingMachine(NO_MEMORY, WEIGHT, run);
    assert.equal(code, EXIT.ok);
    assert.match(out, /retried once: the device refused 125 KiB with 340 B in use/);
  }));

Deno.test("ranks are run once more too, each within what one of them had", () =>
  withModel(async (model) => {
    const run = () => lce("run", model, "--tensor-parallel", "2", "--pass", "train", "--json");
    const { value, liveBytes } = await onFailingMachine(NO_MEMORY, LOGITS, run);
    assert.deepEqual([value.code, value.err, liveBytes], [EXIT.ok, "", 0]);
    const [{ retried, ok }] = JSON.parse(value.out);
    // With many tokens, the logits of a rank's share are most of it.
    assert.equal(retried.refusedBytes, 200 * 1000 * 4);
    assert(ok && retried.refusedBytes > retried.budgetBytes);
  }, 200));

Deno.test("a run is never done a third time, nor a second where that is no use", () =>
  withModel(async (model, output) => {
    const refused = async (fault: DeviceFault, nth: number, ...args: string[]) => {
      const run = () => lce("run", model, "--output", output, ...args);
      const { value: { code, err }, liveBytes, calls } = await onFailingMachine(fault, nth, run);
      assert.deepEqual([code, liveBytes], [EXIT.doesNotFit, 0]);
      await assert.rejects(Deno.stat(output));
      return { err, calls };
    };
    const lasting = await refused({ ...NO_MEMORY, lasting: true }, WEIGHT);
    assert.match(
      lasting.err,
      /no memory for .* That was the second attempt, within \d+ bytes; the/,
    );
    assert.equal(lasting.calls, WEIGHT + 1);
    const fixed = await refused(NO_MEMORY, WEIGHT, "--window", "512");
    assert.match(fixed.err, /no memory for input\/weight: 128000 bytes, with \d+ in use/);
    assert.equal(fixed.calls, WEIGHT);
    // Without anything nothing runs.
    assert.equal((await refused(NO_MEMORY, 1)).calls, 1);
  }));

Deno.test("rounds that are finished are not given up for a second attempt: --resume goes on", () =>
  withFolder(async (folder) => {
    const problem = parseProblem({ tokens: 6, hidden: 16, vocab: 2000 });
    await writeCheckpoint(`${folder}/model`, makeSynthetic(problem, 1));
    const output = `${folder}/out.json`;
    const run = (...args: string[]) =>
      lce("run", `${folder}/model`, "--round", "2", "--output", output, ...args);
    const whole = await onFailingMachine(NO_MEMORY, Infinity, run);
    assert.equal(whole.value.code, EXIT.ok, whole.value.err);
    const results = await Deno.readTextFile(output);
    await Deno.remove(output);
    // The weight of the second round of three.
    const broken = await onFailingMachine(NO_MEMORY, whole.calls / 3 + WEIGHT, run);
    assert.deepEqual([broken.value.code, broken.liveBytes], [EXIT.doesNotFit, 0]);
    assert.match(broken.value.err, /1 of 3 rounds are kept in .*: --resume goes on behind them/);
    assert.doesNotMatch(broken.value.err, /second attempt/);
    const again = await lce(
      "run",
      `${folder}/model`,
      "--round",
      "2",
      "--output",
      output,
      "--resume",
    );
    assert.equal(again.code, EXIT.ok, again.err);
    assert.equal(await Deno.readTextFile(output), results);
    // In the first round nothing is lost.
    await Deno.remove(output);
    const first = await onFailingMachine(NO_MEMORY, WEIGHT, run);
    assert.equal(first.value.code, EXIT.ok, first.value.err);
    assert.match(first.value.out, /retried once/);
    assert.deepEqual(namesIn(folder), ["model", "out.json"]);
  }));

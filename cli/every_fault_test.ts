/**
 * Every fault of a device at every call, as a user of the command line meets it. On a
 * model of a device: `faults_device_test.ts` has a real one.
 */
import assert from "node:assert/strict";
import { writeCheckpoint } from "../fixtures/files/checkpoint_writer.ts";
import { makeSynthetic } from "../fixtures/synthetic.ts";
import { namesIn, withFolder } from "../fixtures/testing.ts";
import { onFailingMachine } from "../testing/failing_machine.ts";
import { DEVICE_FAULTS, type DeviceFault } from "../kernels/testing/faulty_device.ts";
import { parseProblem } from "../planner/problem_schema.ts";
import { EXIT } from "./exit.ts";
import { lce, withVariables } from "./testing.ts";

/** A command that is tried in a folder where nothing but a checkpoint is. */
interface Tried {
  readonly args: (folder: string) => string[];
  /** Exit code where nothing fails. */
  readonly code: number;
  /** What it writes then. */
  readonly writes: string;
  /** Calls that a fault is made at: every one, or the first, second, fourth and so on. */
  readonly extent: "every" | "some";
  /** Whether a job may end well that says of a part of it what failed. */
  readonly goesOn?: (fault: DeviceFault) => boolean;
}

const SHAPE = ["--shape", "5x8x150", "--quick", "--json"];

const TRIED: Readonly<Record<string, Tried>> = {
  // A window that is fixed, so that nothing is done once more.
  run: {
    args: (folder) => [
      ...["run", `${folder}/model`, "--pass", "train", "--window", "64"],
      ...["--output", `${folder}/out.safetensors`],
    ],
    // A model computes nothing.
    code: EXIT.verification,
    writes: "out.safetensors",
    extent: "every",
  },
  bench: {
    args: (folder) => ["bench", ...SHAPE, "--pass", "train", "--roofline", `${folder}/roof.svg`],
    code: EXIT.ok,
    writes: "roof.svg",
    extent: "some",
    // A strategy that is too large for the device is a row that says so.
    goesOn: ({ how }) => how === "out-of-memory",
  },
  tune: {
    args: () => ["tune", ...SHAPE],
    code: EXIT.ok,
    writes: "tuned.json",
    extent: "some",
    // Of a tile that does not compile it is said; products grow as far as there is memory.
    goesOn: ({ call, how }) =>
      how === "out-of-memory" || call === "createShaderModule" || how === "internal",
  },
};

for (const [command, { args, code: good, writes, extent, goesOn }] of Object.entries(TRIED)) {
  Deno.test(`whatever fails on the device, lce ${command} says so in a line, and leaves no file`, () =>
    withFolder((folder) =>
      withVariables({ LCE_CACHE: folder, LCE_CALIBRATE: "0" }, async () => {
        const problem = parseProblem({ tokens: 3, hidden: 8, vocab: 150 });
        await writeCheckpoint(`${folder}/model`, makeSynthetic(problem, 1));
        const written = `${folder}/${writes}`;
        for (const fault of DEVICE_FAULTS) {
          const onModel = (nth: number) =>
            onFailingMachine(fault, nth, () => lce(...args(folder)), { model: true });
          const { calls, value: { code, err } } = await onModel(Infinity);
          assert.equal(code, good, err);
          await Deno.remove(written);
          for (let nth = 1; nth <= calls; nth += extent === "every" ? 1 : nth) {
            const what = `${fault.name}, call ${nth} of ${calls}`;
            const { value: { code, out, err }, liveBytes } = await onModel(nth);
            assert.equal(liveBytes, 0, what);
            if (code === EXIT.ok && goesOn?.(fault)) {
              await Deno.remove(written);
              continue;
            }
            const lacks = fault.how === "out-of-memory";
            assert.equal(code, lacks ? EXIT.doesNotFit : EXIT.device, `${what}: ${err}`);
            assert.match(err, new RegExp(`^lce: .*injected: ${fault.name}`), what);
            // Rows that were measured are printed, whole.
            if (command !== "bench") assert.equal(out, "", what);
            else if (out !== "") assert(JSON.parse(out).length > 0, what);
            // A lock on what is kept stays, for others to take.
            const left = namesIn(folder).filter((name) => !name.endsWith(".lock"));
            assert.deepEqual(left, ["model"], what);
          }
        }
      })
    ));
}

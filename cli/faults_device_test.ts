/**
 * Every row of the table of faults, on a device.
 */
import assert from "node:assert/strict";
import { writeCheckpoint } from "../fixtures/files/checkpoint_writer.ts";
import { SafetensorsFile } from "../fixtures/files/safetensors.ts";
import { makeSynthetic } from "../fixtures/synthetic.ts";
import { namesIn, withFolder } from "../fixtures/testing.ts";
import { parseProblem } from "../planner/problem_schema.ts";
import { EXIT } from "./exit.ts";
import { lce, withVariables } from "./testing.ts";
import { type Came, FAULT_TABLE, faultsPage, FAULTY, isSaid, withFiles } from "./testing_faults.ts";

const FAILS = () => Promise.reject(new Error("Input/output error (os error 5)"));

const FIXTURE = makeSynthetic(parseProblem({ tokens: 5, hidden: 16, vocab: 2000 }), 1);

for (const row of FAULT_TABLE) {
  Deno.test(`fault of lce ${row.of ?? "run"}: ${row.fault}`, () =>
    withFolder(async (folder) => {
      const model = `${folder}/model`;
      await writeCheckpoint(model, FIXTURE);
      const { of = "run", flags: more = [] } = row;
      const { args, writes } = FAULTY[of];
      let came: Came | undefined;
      await withVariables({ LCE_CACHE: folder, LCE_CALIBRATE: "0" }, async () => {
        came = await row.make((...flags) => lce(...args(folder), ...more, ...flags), model);
      });
      // A machine that lets nobody mount a disk has the row before.
      if (!came) return;
      const { code, said, liveBytes, left = [] } = came;
      assert.equal(code, row.code, said);
      assert(isSaid(row, said), `${said}\nis not\n${row.sees}`);
      assert.equal(liveBytes, 0);
      assert.deepEqual(left, []);
      const names = namesIn(folder).filter((name) => !name.endsWith(".lock"));
      assert.deepEqual(names, row.whole ? ["model", writes] : ["model"]);
      assert.deepEqual(namesIn(model), [
        "activations.safetensors",
        "config.json",
        "model.safetensors",
      ]);
      if (!row.whole || of !== "run") return;
      assert((await SafetensorsFile.open(`${folder}/${writes}`)).has("grad_weight"));
    }));
}

Deno.test({
  name: "whichever read or write of a file fails, a run says so and leaves nothing of its own",
  // Each run compiles anew, and the device has no part in it.
  ignore: Deno.env.has("LCE_SLOW_DEVICE"),
  fn: () =>
    withFolder(async (folder) => {
      const model = `${folder}/model`;
      await writeCheckpoint(
        model,
        makeSynthetic(parseProblem({ tokens: 3, hidden: 8, vocab: 40 }), 1),
      );
      const path = `${folder}/out.safetensors`;
      const run = () => lce("run", model, "--pass", "train", "--output", path, "--json");
      for (const method of ["read", "write"] as const) {
        // Every one at first; rows of gradients are read back one by one.
        for (let nth = 1;; nth += Math.ceil(nth / 8)) {
          const came = await withFiles(method, nth, FAILS)(run, model);
          const { code, said, liveBytes } = came!;
          assert.equal(liveBytes, 0);
          if (code === EXIT.ok) {
            assert(nth > 4, `${nth} calls of ${method}`);
            await Deno.remove(path);
            break;
          }
          assert.equal(code, EXIT.input, said);
          assert.match(said, /^lce: Cannot (read|write) .*: Input\/output error \(os error 5\)$/m);
          assert.deepEqual(namesIn(folder), ["model"]);
        }
      }
    }),
});

Deno.test("docs/faults.md is what deno task docs:faults writes", async () => {
  const path = new URL("../docs/faults.md", import.meta.url);
  const plain = (text: string) => text.replaceAll(/\s+/g, " ").replaceAll(/-{3,}/g, "---");
  assert.equal(
    plain(await Deno.readTextFile(path)),
    plain(faultsPage()),
    "run deno task docs:faults",
  );
});

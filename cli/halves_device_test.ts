/** What lce run tells of values in bf16 in matrices, on any device: these are made of plain WGSL. */
import assert from "node:assert/strict";
import { makeSynthetic } from "../fixtures/synthetic.ts";
import { acquireDevice } from "../kernels/run/device.ts";
import { EMULATED } from "../kernels/testing/alone.ts";
import { HalvesError } from "../kernels/run/halves.ts";
import { parseProblem } from "../planner/problem_schema.ts";
import { EXIT, explain } from "./exit.ts";
import { retriedText } from "./report/retried.ts";
import { once } from "./run/run_fixture.ts";

Deno.test("a run of bf16 in matrices tells, as text and as JSON, what halves round", async () => {
  const acquired = await acquireDevice();
  try {
    const problem = parseProblem({ tokens: 9, hidden: 24, vocab: 70, dtype: "bf16" });
    const found = await once(makeSynthetic(problem, 1), acquired, {
      parallelism: undefined,
      options: { tile: EMULATED },
      reference: "auto",
      path: undefined,
      round: undefined,
      resume: false,
      progress: () => {},
      note: () => {},
    });
    assert(found.ok);
    const json = found.json() as { halves: object };
    assert.deepEqual(json.halves, { hidden: 0, weight: 0, moved: 0 });
    const text = found.text({});
    assert.match(text, /halves +hold every value in bf16 exactly, its row times a power of two/);
    assert.match(text, /tier +matrix: .*; bf16 becomes halves on the way/);
  } finally {
    acquired.device.destroy();
  }
});

Deno.test("values that halves do not hold are told with what they do, and with what helps", () => {
  const halves = { hidden: 3, weight: 2048, moved: 0.0125 };
  const what = "3 values of the hidden states and 2048 of the weight";
  const text = retriedText({ halves, tier: "f32" });
  assert.match(
    text,
    new RegExp(`retried once: halves round ${what}, which moves a logit by up to`),
  );
  assert.match(text, /1\.3e-2, more than results allow; this run's products are in f32/);
  const { code, text: told } = explain(new HalvesError(halves));
  assert.equal(code, EXIT.doesNotFit);
  assert.match(told!, new RegExp(`${what}, .* more than 0.000001: .* \\(--tier f32\\)`));
});

import assert from "node:assert/strict";
import { checkAgreement } from "../fixtures/verify/agreement.ts";
import { uploads } from "../fixtures/fixture.ts";
import { computeReference } from "../fixtures/reference/reference.ts";
import { makeSynthetic } from "../fixtures/synthetic.ts";
import { decodeElements } from "../fixtures/elements.ts";
import { decodeResults } from "../kernels/run/results.ts";
import { parseProblem } from "../planner/problem_schema.ts";
import { EXIT } from "./exit.ts";
import { openDevice } from "./request/device.ts";
import { lce } from "./testing.ts";

Deno.test("a run rebuilt from what lce emit wrote, and nothing else, agrees", async () => {
  const folder = await Deno.makeTempDir();
  const { device } = await openDevice();
  try {
    const flags = ["--tokens", "50", "--hidden", "36", "--vocab", "700", "--dtype", "f16"];
    const more = ["--pass", "train", "--bias", "--strategy", "windowed", "--window", "384"];
    assert.equal((await lce("emit", folder, ...flags, ...more)).code, EXIT.ok);

    const manifest = JSON.parse(await Deno.readTextFile(`${folder}/manifest.json`));
    const kernels = Object.fromEntries(
      Object.keys(manifest.kernels)
        .map((name) => [name, Deno.readTextFileSync(`${folder}/${name}`)]),
    );
    const { run } = await import(`file://${folder}/host.js`);
    const fixture = makeSynthetic(parseProblem(manifest.problem), 12);
    const outputs = await run(device, manifest, kernels, uploads(fixture));

    const { ok, checks } = await checkAgreement(
      fixture,
      decodeResults(fixture.problem, outputs),
      await computeReference(fixture),
    );
    assert(ok, JSON.stringify(checks));
    assert(checks.some(({ name }) => name === "gradBias"));

    // Rows and words where the manifest says that they are.
    const { tokens, totals } = manifest.tensors;
    const at = tokens.rows.indexOf("lse") * tokens.shape[1];
    const lse = new Float32Array(outputs.tokens.slice().buffer).subarray(at, at + 50);
    const truth = (await computeReference(fixture)).lse!;
    lse.forEach((value, token) => {
      const ignored = fixture.tensors.targets[token] === manifest.problem.ignoreIndex;
      // Logits of about 12 in f32, of inputs that f16 holds exactly.
      assert(ignored ? value === 0 : Math.abs(value - truth[token]!) < 1e-3, `${token}`);
    });
    const kept = new Uint32Array(outputs.totals.slice().buffer)[totals.rows.indexOf("kept")];
    assert.equal(
      kept,
      fixture.tensors.targets.filter((id) => id !== manifest.problem.ignoreIndex).length,
    );
    for (const text of Object.values(kernels)) assert.match(text, /^\/\/ [a-z-]+: /);
  } finally {
    device.destroy();
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("a gradient that lce emit was asked for in bf16 comes in that, as the manifest says", async () => {
  const folder = await Deno.makeTempDir();
  const { device } = await openDevice();
  try {
    const flags = ["--tokens", "100", "--hidden", "20", "--vocab", "301", "--pass", "train"];
    const more = ["--gradient-dtype", "bf16", "--block", "64"];
    const { code, err } = await lce("emit", folder, ...flags, ...more);
    assert.equal(code, EXIT.ok, err);
    const manifest = JSON.parse(await Deno.readTextFile(`${folder}/manifest.json`));
    assert.equal(manifest.tensors.grad_weight.dtype, "bf16");
    assert.equal(manifest.tensors.grad_hidden.dtype, "f32");
    const kernels = Object.fromEntries(
      Object.keys(manifest.kernels)
        .map((name) => [name, Deno.readTextFileSync(`${folder}/${name}`)]),
    );
    const { run } = await import(`file://${folder}/host.js`);
    const fixture = makeSynthetic(parseProblem(manifest.problem), 5);
    const { grad_weight } = await run(device, manifest, kernels, uploads(fixture));
    const found = decodeElements("bf16", grad_weight.subarray(0, 2 * 301 * 20));
    const { gradWeight } = await computeReference(fixture);
    const largest = gradWeight!.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
    // Half an ulp of bf16, of sums that are themselves within 1e-5 of the largest.
    gradWeight!.forEach((value, i) => {
      const allowed = 2 ** -8 * Math.abs(value) + 1e-5 * largest;
      assert(Math.abs(found[i]! - value) <= allowed, `${i}: ${found[i]}, ${value}`);
    });
  } finally {
    device.destroy();
    await Deno.remove(folder, { recursive: true });
  }
});

for (
  const flags of [
    ["--pass", "train", "--distill", "jsd", "--teacher-hidden", "12"],
    ["--pass", "train", "--distill", "forward-kl", "--teacher-list", "5", "--ce-weight", "0.5"],
    ["--pass", "train", "--codes", "40"],
    ["--pass", "train", "--adapter-rank", "3"],
    ["--pass", "train", "--sub-tokens", "4"],
    ["--pass", "train", "--sampled-tokens", "9"],
  ]
) {
  Deno.test(`a run rebuilt from what lce emit wrote agrees: ${flags.join(" ")}`, async () => {
    const folder = await Deno.makeTempDir();
    const { device } = await openDevice();
    try {
      const sizes = ["--tokens", "21", "--hidden", "20", "--vocab", "301"];
      const { code, err } = await lce("emit", folder, ...sizes, ...flags);
      assert.equal(code, EXIT.ok, err);
      const manifest = JSON.parse(await Deno.readTextFile(`${folder}/manifest.json`));
      const kernels = Object.fromEntries(
        Object.keys(manifest.kernels)
          .map((name) => [name, Deno.readTextFileSync(`${folder}/${name}`)]),
      );
      const { run } = await import(`file://${folder}/host.js`);
      const made = makeSynthetic(parseProblem(manifest.problem), 12);
      const { tokens, distill } = made.problem;
      const listed = distill?.listed ?? 0;
      // Ids apart from each other, of which the last come least; what a list leaves out has the rest.
      const places = Array.from({ length: tokens * listed }, (_, index) => index);
      const lists = {
        teacherIds: Int32Array.from(places, (index) => (37 * index + index % 3) % 301),
        teacherLogprobs: Float32Array.from(places, (index) => -1 - index % listed),
      };
      // One token in three counts, thrice: at most seven of a sample of nine.
      const tokenWeights = Float32Array.from({ length: tokens }, (_, at) => at % 3 === 0 ? 3 : 0);
      const direction = Float32Array.from({ length: 5 }, (_, at) => (at - 1.5) / Math.sqrt(11.25));
      const given = {
        ...(listed ? lists : {}),
        ...(made.problem.sampledTokens ? { tokenWeights } : {}),
        ...(made.problem.subTokens ? { direction } : {}),
      };
      const fixture = { ...made, tensors: { ...made.tensors, ...given } };
      const outputs = await run(device, manifest, kernels, uploads(fixture));
      const { ok, checks } = await checkAgreement(
        fixture,
        decodeResults(fixture.problem, outputs),
        await computeReference(fixture),
      );
      assert(ok && checks.length > 1, JSON.stringify(checks));
    } finally {
      device.destroy();
      await Deno.remove(folder, { recursive: true });
    }
  });
}

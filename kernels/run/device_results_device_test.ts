import assert from "node:assert/strict";
import { makeSynthetic } from "../../fixtures/synthetic.ts";
import { computeReference } from "../../fixtures/reference/reference.ts";
import type { Problem } from "../../planner/problem.ts";
import { LinearCrossEntropy, parseProblem, plan } from "../../mod.ts";
import { TOKEN_RESULTS } from "../../planner/schedule/results.ts";
import { bufferMethods } from "../testing/methods.ts";
import { lay, withBench } from "../../testing/workbench.ts";
import { readParts } from "./readback.ts";
import { resultSlice } from "./results.ts";

const sizes = { tokens: 70, hidden: 20, vocab: 300, pass: "train", ignoreIndex: 3 } as const;

Deno.test("results stay on the device, each step's copied away in one submission, and nothing is read back", () =>
  withBench(async (bench) => {
    const problem = parseProblem({ ...sizes, statistics: ["entropy", "predicted"] });
    const { device } = bench;
    const head = await LinearCrossEntropy.create(device, plan(problem, bench.profile));
    const names = ["loss", "totals", "perToken", "lse", "logprob", "entropy", "predicted"] as const;
    const steps = [70, 33].map((tokens) => {
      const fixture = makeSynthetic({ ...problem, tokens }, tokens);
      return { fixture, laid: lay(bench, head, fixture), kept: new Map<string, GPUBuffer>() };
    });
    const methods = bufferMethods(device);
    const { mapAsync } = methods;
    methods.mapAsync = () => assert.fail("a result was read back");
    const commands = device.createCommandEncoder();
    for (const { fixture: { problem: { tokens } }, laid, kept } of steps) {
      head.encode(commands, { ...laid, tokens });
      for (const name of names) {
        const { buffer, offset, size } = head.result(name);
        const copy = bench.buffer(size);
        commands.copyBufferToBuffer(buffer, offset, copy, 0, size);
        kept.set(name, copy);
      }
    }
    device.queue.submit([commands.finish()]);
    methods.mapAsync = mapAsync;

    for (const { fixture, kept } of steps) {
      const expected = await computeReference(fixture);
      const words = async (name: string) => {
        const buffer = kept.get(name)!;
        return (await readParts(device, [{ buffer, bytes: buffer.size }], name)).buffer;
      };
      // Ignored tokens have zeros, and so have those that a step does not have.
      const { targets } = fixture.tensors;
      const counts = (token: number) => token < targets.length && targets[token] !== 3;
      for (const name of ["lse", "logprob", "entropy", "perToken"] as const) {
        const found = new Float32Array(await words(name));
        assert.equal(found.length, 70);
        found.forEach((value, token) => {
          const wanted = counts(token) ? expected[name]![token]! : 0;
          assert(
            Math.abs(value - wanted) <= 2e-6 * Math.max(8, Math.abs(wanted)),
            `${name} ${token}`,
          );
        });
      }
      const [loss] = new Float32Array(await words("loss"));
      assert(Math.abs(loss! - expected.loss!) < 2e-6 * expected.loss!);
      const [count, , , bad] = new Uint32Array(await words("totals"));
      const counted = targets.filter((_, token) => counts(token)).length;
      assert.deepEqual([count, bad], [counted, 0]);
      new Uint32Array(await words("predicted")).forEach((id, token) =>
        assert.equal(id, counts(token) ? expected.predicted![token] : 0)
      );
    }
  }));

Deno.test("a result can be bound as it lies, and one that a plan does not have is refused with those it has", () =>
  withBench(async (bench) => {
    const problem = parseProblem({ ...sizes, statistics: ["entropy"], topK: 3 });
    const head = await LinearCrossEntropy.create(bench.device, plan(problem, bench.profile));
    const has: string[] = ["perToken", "lse", "logprob", "entropy", "topIds", "topLogprobs"];
    for (const name of TOKEN_RESULTS) {
      if (!has.includes(name)) {
        assert.throws(() => head.result(name), {
          name: "TypeError",
          message: `The plan has no result "${name}": it has ${
            ["loss", "totals", ...has].join(", ")
          }`,
        });
        continue;
      }
      const { buffer, offset, size } = head.result(name);
      assert.equal(offset % 256, 0);
      assert.equal(size, 4 * 70 * (name.startsWith("top") ? 3 : 1));
      assert(offset + size <= buffer.size);
    }
    // Copied from over and over, they are as the head itself reads them.
    const { inputs, gradients } = lay(bench, head, makeSynthetic(problem, 1));
    head.lossAndGradients(inputs, gradients);
    const { buffer, offset, size } = head.result("topIds");
    const bytes = await readParts(bench.device, [{ buffer, offset, bytes: size }], "topIds");
    assert.deepEqual(new Uint32Array(bytes.buffer), (await head.readResults()).topIds);
    head.destroy();
    assert.throws(() => head.result("loss"), /after destroy/);
    const none: Problem = { ...problem, reduction: "none" };
    assert.throws(() => resultSlice(none, "loss"), /no result "loss"/);
  }));

import assert from "node:assert/strict";
import { generatedSource, sourceOf } from "../../host/source.ts";
import { bytesOf } from "../../fixtures/elements.ts";
import { makeSynthetic } from "../../fixtures/synthetic.ts";
import { parseProblem, plan, planFromHost, runFromHost } from "../../mod.ts";
import { packUpstream } from "../../planner/schedule/layout.ts";
import { predictHostMemory } from "../../planner/schedule/host_memory.ts";
import { Ledger } from "../measure/ledger.ts";
import { compare, withBench } from "../../testing/workbench.ts";

Deno.test("a weight from any source goes through the device by windows, and its gradient to any sink", () =>
  withBench(async ({ device, profile }) => {
    for (const dtype of ["f32", "f16"] as const) {
      const problem = parseProblem({
        ...{ tokens: 70, hidden: 21, vocab: 901, bias: true, dtype },
        ...{ pass: "train", reduction: "none" },
      });
      const fixture = makeSynthetic(problem, 4);
      const { hidden, weight, targets, bias, upstream } = fixture.tensors;
      const planned = planFromHost(problem, profile, { weights: "streamed", window: 256 });
      const reads: number[] = [];
      const gradWeight = new Uint8Array(901 * 21 * 4).fill(0xff);
      const ledger = new Ledger(device);
      const inputs = {
        hidden,
        weight: generatedSource(weight.length, (offset, into) => {
          reads.push(into.length);
          into.set(weight.subarray(offset, offset + into.length));
        }),
        targets: bytesOf(targets),
        bias: bytesOf(bias!),
        upstream: bytesOf(packUpstream(problem, upstream!)),
      };
      const { results, hostPeakBytes } = await runFromHost(device, planned, inputs, {
        sinks: {
          weight: {
            write: (offset, bytes) => Promise.resolve(gradWeight.set(bytes, offset)),
          },
        },
      });
      assert.equal(ledger.peakBytes, planned.memory.peakBytes);
      assert.equal(ledger.liveBytes, 0);
      ledger.detach();
      assert(Math.max(...reads) <= 256 * 21 * 4, `${reads}`);
      const held = Object.fromEntries(
        Object.entries(inputs).map(([name, tensor]) => [name, sourceOf(tensor)]),
      );
      const host = predictHostMemory(planned.schedule, held, ["grad_weight"]);
      assert.equal(hostPeakBytes, host.peakBytes);
      assert.equal(results.gradWeight, undefined);
      await compare(
        fixture,
        { ...results, gradWeight: new Float32Array(gradWeight.buffer) },
        "f32",
      );
    }
  }));

Deno.test("tensors that are missing, unknown or of another length are refused before anything runs", () =>
  withBench(async ({ device, profile }) => {
    const problem = parseProblem({ tokens: 6, hidden: 4, vocab: 10, dtype: "f16" });
    const planned = planFromHost(problem, profile);
    const inputs = {
      hidden: new Uint8Array(48),
      weight: new Uint8Array(80),
      targets: bytesOf(Int32Array.of(1, 2, 3, 4, 5, 10)),
    };
    const refused = (given: Record<string, Uint8Array>, message: RegExp, of = planned) =>
      assert.rejects(runFromHost(device, of, given), { message });
    const { weight, ...without } = inputs;
    await refused(without, /without the tensor weight/);
    await refused(
      { ...inputs, wieght: weight },
      /Unknown tensor "wieght": there are hidden, weight/,
    );
    await refused({ ...inputs, bias: weight }, /bias: the plan has none/);
    await refused(
      { ...inputs, weight: new Uint8Array(160) },
      /weight has 160 bytes, not the 80 of \[10, 4\] in f16/,
    );
    await refused(inputs, /target of token 5 is neither in the vocabulary \(0 to 9\)/);
    await refused(inputs, /make it with planFromHost\(\)/, plan(problem, profile));
    const sink = { write: () => Promise.resolve() };
    await assert.rejects(
      runFromHost(device, planned, inputs, { sinks: { weight: sink } }),
      /gradient "weight": the plan has none/,
    );
  }));

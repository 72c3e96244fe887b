import assert from "node:assert/strict";
import { makeSynthetic } from "../../fixtures/synthetic.ts";
import { decodeElements } from "../../fixtures/elements.ts";
import { computeReference } from "../../fixtures/reference/reference.ts";
import { LinearCrossEntropy, parseProblem, plan, planFromHost } from "../../mod.ts";
import { EMULATED } from "../testing/alone.ts";
import { lay, withBench } from "../../testing/workbench.ts";
import { Ledger } from "../measure/ledger.ts";
import { readParts } from "./readback.ts";

/**
 * Most by which a number is rounded, relative to it. A significand has 11 bits in f16, where WGSL lets
 * it go either way (an ulp, 2^-10), and 8 in bf16, where we go to the nearest (half an ulp, 2^-8).
 */
const ROUNDED = { f16: 2 ** -10, bf16: 2 ** -8 } as const;

Deno.test("the weight's gradient in 16 bits is that of f32 rounded once, over token blocks and where it is added to", () =>
  withBench(async (bench) => {
    const { device, profile } = bench;
    const ways = [
      { hidden: 21, dtype: "f32", options: { window: 256, block: 64 } },
      { hidden: 24, dtype: "f16", options: { window: 256, block: 64, tile: EMULATED } },
    ] as const;
    // Matrices made of plain WGSL are long to compile.
    const tried = Deno.env.has("LCE_SLOW_COMPILER") ? ways.slice(0, 1) : ways;
    for (const { hidden, dtype, options } of tried) {
      const problem = parseProblem({
        ...{ tokens: 150, hidden, vocab: 901, dtype, bias: true },
        ...{ pass: "train", reduction: "sum" },
      });
      const fixture = makeSynthetic(problem, 3);
      const { gradWeight: expected } = await computeReference(fixture);
      const largest = expected!.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
      const sums = (dtype === "f32" ? 1e-5 : 2e-3) * largest;
      const plain = plan(problem, profile, { strategy: "windowed", ...options });
      for (const gradientDtype of ["f16", "bf16"] as const) {
        const planned = plan(problem, profile, { ...options, gradientDtype });
        assert.equal(planned.schedule.strategy, "windowed");
        const ledger = new Ledger(device);
        const head = await LinearCrossEntropy.create(device, planned);
        assert.equal(ledger.extraPeakBytes, planned.memory.extraPeakBytes);
        ledger.detach();
        // Half of the gradient less, and a window of it more, besides the roundings' params.
        const { params, paramsStride } = planned.schedule;
        const more = (params.length - plain.schedule.params.length) * paramsStride;
        const half = 4 * 901 * hidden - 4 * Math.ceil(901 * hidden / 2);
        const saved = plain.memory.peakBytes - planned.memory.peakBytes;
        assert.equal(saved, half - 4 * 256 * hidden - more);
        const { inputs, gradients } = lay(bench, head, fixture);
        const { buffer } = gradients.weight[0]!;
        assert.equal(buffer.size, Math.ceil(901 * hidden / 2) * 4);
        const read = async () => {
          const bytes = await readParts(device, [{ buffer, bytes: buffer.size }], "gradient");
          return decodeElements(gradientDtype, bytes.subarray(0, 2 * 901 * hidden));
        };
        const most = ROUNDED[gradientDtype];
        // The smallest halves are 2^-24 apart.
        const check = (found: Float32Array, times: number, roundings: number) =>
          expected!.forEach((value, i) => {
            const wanted = times * value;
            const allowed = roundings * (most * Math.abs(wanted) + 2 ** -24) + times * sums;
            assert(Math.abs(found[i]! - wanted) <= allowed, `${i}: ${found[i]}, ${wanted}`);
          });
        head.lossAndGradients(inputs, gradients);
        check(await read(), 1, 1);
        head.lossAndGradients(inputs, gradients, undefined, { add: ["weight"] });
        check(await read(), 2, 2);
        head.lossAndGradients(inputs, gradients);
        check(await read(), 1, 1);
        head.destroy();
      }
    }
  }));

Deno.test("a schedule that would round sums again and again is refused, with the reason", () =>
  withBench(({ profile }) => {
    const problem = parseProblem({ tokens: 150, hidden: 24, vocab: 901, pass: "train" });
    for (const strategy of ["chunked", "two-stage"] as const) {
      assert.throws(() => plan(problem, profile, { strategy, gradientDtype: "bf16" }), {
        name: "DoesNotFitError",
        message: new RegExp(
          `${strategy} adds to the weight's gradient block after block, which bf16`,
        ),
      });
    }
    assert.throws(() => planFromHost(problem, profile, { gradientDtype: "f16" }), {
      name: "DoesNotFitError",
      message: /keeps the weight's gradient in f32/,
    });
    // Where there is no such gradient, there is nothing to round.
    const frozen = plan({ ...problem, gradients: ["hidden"] }, profile, { gradientDtype: "f16" });
    assert.equal(frozen.schedule.gradientDtype, undefined);
    return Promise.resolve();
  }));

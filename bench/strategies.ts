// deno-lint-ignore-file no-console -- a script prints
/**
 * Times every strategy of a pass on this machine's device, by the wall clock,
 * beside the two-stage baseline: median of some repeats after a warm-up.
 *
 *     deno run -A bench/strategies.ts TOKENS HIDDEN VOCAB [forward|train] [f32|f16|bf16] [REPEATS]
 *
 * @module
 */
import { openDevice } from "../cli/gpu.ts";
import { table } from "../cli/render/table.ts";
import { uploads } from "../fixtures/fixture.ts";
import { makeSynthetic } from "../fixtures/synthetic.ts";
import { execute } from "../kernels/execute.ts";
import { DoesNotFitError, makePlan } from "../planner/plan.ts";
import { parseProblem, type ProblemInput } from "../planner/problem.ts";
import { STRATEGIES } from "../planner/schedule.ts";
import { formatTile } from "../planner/tile.ts";
import { formatBytes } from "../planner/units.ts";

const [
  tokens = "64",
  hidden = "256",
  vocab = "8192",
  pass = "forward",
  dtype = "f32",
  repeats = "5",
] = Deno.args;
const problem = parseProblem({
  tokens: Number(tokens),
  hidden: Number(hidden),
  vocab: Number(vocab),
  pass,
  dtype,
} as ProblemInput);
const { device, profile } = await openDevice();
const inputs = uploads(makeSynthetic(problem, 1));
const rows = [];
for (const strategy of STRATEGIES) {
  try {
    const plan = makePlan(problem, profile, { strategy });
    const times: number[] = [];
    for (let run = 0; run <= Number(repeats); run++) {
      const { milliseconds } = await execute(plan.schedule, device, { inputs });
      if (run > 0) times.push(milliseconds);
    }
    times.sort((a, b) => a - b);
    const median = times[Math.floor(times.length / 2)]!;
    const flops = (pass === "train" ? 6 : 2) * problem.tokens * problem.hidden * problem.vocab;
    rows.push([
      strategy,
      `${median.toFixed(1)} ms`,
      `${times[0]!.toFixed(1)} to ${times.at(-1)!.toFixed(1)}`,
      `${(flops / median / 1e9).toPrecision(3)} TFLOP/s`,
      formatBytes(plan.memory.extraPeakBytes),
      formatTile(plan.schedule.tile),
      `window ${plan.schedule.window.vocab}, block ${plan.schedule.block.tokens}, splits ${plan.schedule.splits}`,
    ]);
  } catch (error) {
    if (!(error instanceof DoesNotFitError)) throw error;
  }
}
console.log(`${profile.name}: ${tokens} x ${hidden} x ${vocab}, ${dtype}, ${pass}`);
console.log(table(rows, ["left", "right", "left", "right", "right"]));
device.destroy();

/**
 * Running a problem on the visitor's device: numbers against float64, memory against
 * the plan, time beside two stages.
 *
 * @module
 */
import { runJson } from "../cli/report/run.ts";
import packageFile from "../deno.json" with { type: "json" };
import type { TensorSource } from "../host/source.ts";
import { type Fixture, uploads } from "../fixtures/fixture.ts";
import { generateSynthetic, makeSynthetic } from "../fixtures/synthetic.ts";
import { type Verification, verify } from "../fixtures/verify/verify.ts";
import { type AcquiredDevice, acquireDevice } from "../kernels/run/device.ts";
import { NoDeviceError } from "../kernels/run/errors.ts";
import { execute } from "../kernels/run/execute.ts";
import { DoesNotFitError, makePlan } from "../planner/plan.ts";
import type { DeviceProfile } from "../planner/device.ts";
import type { Problem, ProblemInput } from "../planner/problem.ts";
import { parseProblem } from "../planner/problem_schema.ts";
import type { StrategyName } from "../planner/schedule/schedule.ts";
import { strategyNamed } from "../planner/strategies/mod.ts";

/** The visitor's device, or why there is none and what to do. */
export type Here = { readonly acquired: AcquiredDevice } | { readonly missing: string };

/** Asks the browser for a device. */
export async function findHere(): Promise<Here> {
  try {
    return { acquired: await acquireDevice() };
  } catch (error) {
    if (!(error instanceof NoDeviceError)) throw error;
    return { missing: `${error.message}. ${ADVICE}` };
  }
}

const ADVICE =
  "Plans need none. To run one, open this page over https or on localhost in a browser with WebGPU: " +
  "Chrome or Edge 113, Safari 26, Firefox 141 on Windows, or later; on Linux, Chrome may need it enabled at chrome://flags/#enable-unsafe-webgpu.";

const VERSION = packageFile.version;

/** Repeats of which the fastest counts. */
const REPEATS = 3;

/** What was found out here. */
export interface Found {
  readonly verification: Verification;
  /** Milliseconds of the fastest pass, first dispatch to last; `undefined` where it does not fit. */
  readonly ms: { readonly lce: number; readonly twoStage: number | undefined };
}

/**
 * Returns the strategy that runs a problem without storing its logits: the planner's
 * choice, or where that is two stages, for the problem is small, the fastest other one.
 */
export function streamingStrategy(problem: Problem, device: DeviceProfile): StrategyName {
  const { candidates, outline } = makePlan(problem, device);
  const [fastest] = candidates
    .filter(({ shape }) => !strategyNamed(shape.strategy).baseline)
    .toSorted((a, b) => a.cost.seconds - b.cost.seconds);
  const chosen = strategyNamed(outline.strategy);
  return chosen.baseline && fastest ? fastest.shape.strategy : chosen.name;
}

/**
 * Runs a problem, checks it, and times it beside two stages: on made-up inputs, or with a weight
 * of the visitor's own.
 */
export async function runHere(
  input: ProblemInput,
  acquired: AcquiredDevice,
  say: (what: string) => void,
  weight?: TensorSource,
): Promise<Found> {
  say("making inputs");
  const fixture = inputsOf(parseProblem(input), weight);
  const strategy = streamingStrategy(fixture.problem, acquired.profile);
  const verification = await verify(fixture, acquired, { strategy }, {
    onProgress: (what, done, total) => say(`${what}, ${Math.floor((100 * done) / total)} %`),
  });
  say("timing");
  const lce = await fastest(fixture, acquired, strategy);
  let twoStage: number | undefined;
  try {
    twoStage = await fastest(fixture, acquired, "two-stage");
  } catch (error) {
    if (!(error instanceof DoesNotFitError)) throw error;
  }
  return { verification, ms: { lce, twoStage } };
}

function inputsOf(problem: Problem, weight: TensorSource | undefined): Fixture {
  if (!weight) return makeSynthetic(problem, 1, "here");
  const { tensors, ...others } = generateSynthetic(problem, 1, "here");
  return { ...others, tensors: { ...tensors, weight } };
}

async function fastest(
  fixture: Fixture,
  { device, profile }: AcquiredDevice,
  strategy: StrategyName,
): Promise<number> {
  const { schedule } = makePlan(fixture.problem, profile, { strategy, hostIo: true });
  const times: number[] = [];
  for (let repeat = 0; repeat < REPEATS; repeat++) {
    times.push((await execute(schedule, device, { inputs: uploads(fixture) })).milliseconds);
  }
  return Math.min(...times);
}

/**
 * Returns the result as JSON: what `lce run --json` says, without the host process,
 * whose memory a page is not told, and the times.
 */
export function cardOf({ verification, ms }: Found): ResultCard {
  const { host: { residentPeakBytes: _, ...host }, ...run } = runJson(verification, 0);
  return { lce: VERSION, webgpu: verification.plan.device, ms, ...run, host };
}

/** A result to send to somebody. */
export type ResultCard = Readonly<Record<string, unknown>>;

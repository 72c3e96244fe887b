/**
 * Running a fixture and checking it: results against the truth, measured
 * memory against the prediction.
 *
 * @module
 */
import { type Agreement, checkAgreement } from "../fixtures/agreement.ts";
import { checkFixture, type Fixture, uploads } from "../fixtures/fixture.ts";
import { computeReference } from "../fixtures/reference.ts";
import { execute, type Execution } from "../kernels/execute.ts";
import type { AcquiredDevice } from "../kernels/device.ts";
import { Ledger } from "../kernels/ledger.ts";
import { decodeResults, type Results } from "../kernels/results.ts";
import { makePlan, type Plan, type PlanOptions } from "../planner/plan.ts";

/** What a run found. */
export interface Verification {
  readonly fixture: Fixture;
  readonly plan: Plan;
  readonly results: Results;
  readonly agreement: Agreement;
  readonly memory: {
    readonly predictedPeakBytes: number;
    readonly measuredPeakBytes: number;
    readonly measuredExtraPeakBytes: number;
    /** Bytes that were not given back; always 0. */
    readonly leakedBytes: number;
    readonly ok: boolean;
  };
  readonly time: Pick<Execution, "milliseconds" | "compileMilliseconds">;
  readonly ok: boolean;
}

/**
 * Plans a fixture, runs it and checks the outcome.
 *
 * @throws {InputError} when the fixture's tensors are malformed.
 * @throws {DoesNotFitError} when nothing fits the device or the budget.
 * @throws {GpuError} when the device fails.
 */
export async function verify(
  fixture: Fixture,
  { device, profile }: AcquiredDevice,
  options: PlanOptions,
  onProgress: (what: string, done: number, total: number) => void = () => {},
): Promise<Verification> {
  checkFixture(fixture);
  const plan = makePlan(fixture.problem, profile, { ...options, hostIo: true });
  const ledger = new Ledger(device);
  let execution: Execution;
  try {
    execution = await execute(plan.schedule, device, {
      inputs: uploads(fixture),
      onProgress: (done, total) => onProgress("running", done, total),
    });
  } finally {
    ledger.detach();
  }
  const results = decodeResults(fixture.problem, execution.outputs);
  const reference = computeReference(fixture, {
    onProgress: (done, total) => onProgress("computing the reference", done, total),
  });
  const agreement = checkAgreement(fixture, results, reference);
  const memory = {
    predictedPeakBytes: plan.memory.peakBytes,
    measuredPeakBytes: ledger.peakBytes,
    measuredExtraPeakBytes: ledger.extraPeakBytes,
    leakedBytes: ledger.liveBytes,
    ok: ledger.peakBytes <= plan.memory.peakBytes &&
      ledger.extraPeakBytes <= plan.memory.extraPeakBytes && ledger.liveBytes === 0,
  };
  return {
    fixture,
    plan,
    results,
    agreement,
    memory,
    time: execution,
    ok: agreement.ok && memory.ok,
  };
}

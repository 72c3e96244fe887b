/**
 * Running a fixture on several simulated ranks and checking them: results
 * against the truth, ranks against one another, each rank's memory and traffic
 * against the plan.
 *
 * @module
 */
import { type Agreement, checkAgreement } from "../fixtures/agreement.ts";
import { checkFixture, type Fixture, type ProblemTensors, uploads } from "../fixtures/fixture.ts";
import { computeReference } from "../fixtures/reference.ts";
import type { AcquiredDevice } from "../kernels/device.ts";
import { expectedTraffic } from "../kernels/exchange.ts";
import { executeRanks, type RankExecution } from "../kernels/ranks.ts";
import { decodeResults, type Results } from "../kernels/results.ts";
import { bytesPerElement } from "../planner/dtype.ts";
import {
  collectivesOf,
  type Parallelism,
  type ParallelPlan,
  planParallel,
  type Rank,
  rankSchedule,
} from "../planner/parallel.ts";
import type { PlanOptions } from "../planner/plan.ts";
import type { Range, Schedule } from "../planner/schedule.ts";

/** What a rank's run found. Sizes are bytes. */
export interface RankVerification extends Rank {
  readonly measuredPeakBytes: number;
  readonly measuredExtraPeakBytes: number;
  /** Bytes that were not given back; always 0. */
  readonly leakedBytes: number;
  /** Bytes of tensors that it was to give and get in collectives, and those that it did. */
  readonly plannedTraffic: number;
  readonly measuredTraffic: number;
  /** Whether loss and results per token are, bit for bit, those of the first rank of its replica. */
  readonly sameResults: boolean;
  readonly ok: boolean;
}

/** What a run on several ranks found. */
export interface ParallelVerification {
  readonly fixture: Fixture;
  readonly plan: ParallelPlan;
  /** Put together from all ranks. */
  readonly results: Results;
  readonly agreement: Agreement;
  readonly ranks: readonly RankVerification[];
  /** By the wall clock, compiling and collectives included: ranks ran in turns. */
  readonly milliseconds: number;
  readonly ok: boolean;
}

/**
 * Plans a fixture for several ranks, runs them all on one device and checks the outcome.
 *
 * @throws {InputError} when the fixture's tensors are malformed.
 * @throws {ParallelismError} when the job cannot be split that way.
 * @throws {DoesNotFitError} when nothing fits the device or the budget, which is each rank's.
 * @throws {GpuError} when the device fails, or the ranks do not come to the same collectives.
 */
export async function verifyRanks(
  fixture: Fixture,
  { device, profile }: AcquiredDevice,
  parallelism: Parallelism,
  options: PlanOptions,
  onProgress: (what: string, done: number, total: number) => void = () => {},
): Promise<ParallelVerification> {
  checkFixture(fixture);
  const plan = planParallel(fixture.problem, profile, parallelism, {
    ...options,
    hostIo: true,
  });
  const jobs = plan.ranks.map((rank) => ({
    ...rank,
    schedule: rankSchedule(plan, rank),
    inputs: uploads(partOf(fixture, rank, parallelism)),
  }));
  const begun = performance.now();
  const executions = await executeRanks(
    jobs,
    device,
    (done, total) => onProgress("running", done, total),
  );
  const milliseconds = performance.now() - begun;
  const ranks = plan.ranks.map((rank, index) => {
    const first = executions[rank.dataRank * parallelism.tensor]!;
    return verifyRank(rank, jobs[index]!.schedule, executions[index]!, first, parallelism);
  });
  const each = executions.map(({ outputs }, index) =>
    decodeResults(jobs[index]!.schedule.problem, outputs)
  );
  const results = together(plan, each);
  const reference = computeReference(fixture, {
    onProgress: (done, total) => onProgress("computing the reference", done, total),
  });
  const agreement = checkAgreement(fixture, results, reference);
  const ok = agreement.ok && ranks.every(({ ok }) => ok);
  return { fixture, plan, results, agreement, ranks, milliseconds, ok };
}

function verifyRank(
  rank: Rank,
  schedule: Schedule,
  execution: RankExecution,
  first: RankExecution,
  parallelism: Parallelism,
): RankVerification {
  const { traffic, peakBytes, extraPeakBytes, leakedBytes, outputs } = execution;
  const expected = collectivesOf(schedule).map((step) =>
    expectedTraffic(step, parallelism[step.group])
  );
  const bytes = (all: typeof traffic) =>
    all.reduce((sum, { givenBytes, gotBytes }) => sum + givenBytes + gotBytes, 0);
  const sameResults = ["loss", "tokens"].every((name) =>
    sameBytes(outputs[name], first.outputs[name])
  );
  return {
    ...rank,
    measuredPeakBytes: peakBytes,
    measuredExtraPeakBytes: extraPeakBytes,
    leakedBytes,
    plannedTraffic: bytes(expected),
    measuredTraffic: bytes(traffic),
    sameResults,
    ok: sameResults && leakedBytes === 0 && bytes(traffic) === bytes(expected) &&
      peakBytes <= rank.memory.peakBytes && extraPeakBytes <= rank.memory.extraPeakBytes,
  };
}

function sameBytes(a: Uint8Array | undefined, b: Uint8Array | undefined): boolean {
  return a === b ||
    (a?.length === b?.length && a?.every((value, index) => value === b![index]) === true);
}

/** What a rank holds at the start: its rows of the weight, its replica's tokens. */
function partOf(
  { name, problem, tensors }: Fixture,
  { tokens, vocab, tensorRank }: Rank,
  { sequence, tensor }: Parallelism,
): Fixture {
  const { hidden, dtype } = problem;
  const rowBytes = hidden * bytesPerElement(dtype);
  const rows = ({ start, count }: Range) => [start * rowBytes, (start + count) * rowBytes] as const;
  const share = tokens.count / tensor;
  const states = sequence ? { start: tokens.start + tensorRank * share, count: share } : tokens;
  const cut = (values: Float32Array, { start, count }: Range) => values.slice(start, start + count);
  const { bias, classWeight, upstream } = tensors;
  const part: ProblemTensors = {
    hidden: tensors.hidden.subarray(...rows(states)),
    weight: tensors.weight.subarray(...rows(vocab)),
    targets: tensors.targets.slice(tokens.start, tokens.start + tokens.count),
    ...(bias ? { bias: cut(bias, vocab) } : {}),
    ...(classWeight ? { classWeight } : {}),
    ...(upstream
      ? {
        upstream: Object.fromEntries(
          Object.entries(upstream).map(([what, values]) => [what, cut(values, tokens)]),
        ),
      }
      : {}),
  };
  return {
    name,
    problem: { ...problem, tokens: tokens.count, vocab: vocab.count },
    tensors: part,
  };
}

type Arrays = "perToken" | "lse" | "logprob" | "entropy" | "gradHidden" | "gradWeight" | "gradBias";

/** The results of the whole job: tokens from every replica, rows of the weight from every rank of one. */
function together({ ranks, parallelism }: ParallelPlan, each: readonly Results[]): Results {
  const replicas = each.filter((_, index) => ranks[index]!.tensorRank === 0);
  const group = each.filter((_, index) => ranks[index]!.dataRank === 0);
  const join = (name: Arrays, parts: readonly Results[]) =>
    parts[0]![name] ? { [name]: concatenate(parts.map((part) => part[name]!)) } : {};
  const [first] = each as [Results];
  const bad = replicas.findIndex(({ badTarget }) => badTarget !== undefined);
  const predicted = first.predicted
    ? { predicted: Uint32Array.from(replicas.flatMap(({ predicted }) => [...predicted!])) }
    : {};
  return {
    ...first,
    ...predicted,
    badTarget: bad < 0
      ? undefined
      : ranks[bad * parallelism.tensor]!.tokens.start + replicas[bad]!.badTarget!,
    ...join("perToken", replicas),
    ...join("lse", replicas),
    ...join("logprob", replicas),
    ...join("entropy", replicas),
    ...join("gradHidden", parallelism.sequence ? each : replicas),
    ...join("gradWeight", group),
    ...join("gradBias", group),
  };
}

function concatenate(parts: readonly Float32Array[]): Float32Array {
  const whole = new Float32Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

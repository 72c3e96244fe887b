/**
 * Linear cross-entropy without logits, on any WebGPU device: loss and gradients
 * of a language model's output layer straight from hidden states, weight and
 * targets, on your own device and buffers, with memory known beforehand.
 *
 * @example One step of training
 * ```ts
 * import assert from "node:assert/strict";
 * import { deviceProfile, LinearCrossEntropy, parseProblem, plan } from "@lce/lce";
 *
 * const adapter = await navigator.gpu.requestAdapter();
 * const device = await adapter!.requestDevice();
 *
 * // Plan: how much memory will it take, beside your own buffers?
 * const problem = parseProblem({ tokens: 6, hidden: 4, vocab: 10, pass: "train" });
 * const planned = plan(problem, deviceProfile(device));
 * assert(planned.memory.extraPeakBytes > 0);
 *
 * // Your buffers: hidden states, weight, targets, and where the gradients go.
 * const usage = GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_DST | GPUBufferUsage.COPY_SRC;
 * const buffer = (size: number) => device.createBuffer({ size, usage });
 * const inputs = { hidden: buffer(6 * 4 * 4), weight: buffer(10 * 4 * 4), targets: buffer(6 * 4) };
 * const gradients = { hidden: buffer(6 * 4 * 4), weight: buffer(10 * 4 * 4) };
 * device.queue.writeBuffer(inputs.targets, 0, Int32Array.of(3, 1, 4, 1, 5, 9));
 *
 * // Run, as often as you like.
 * const head = await LinearCrossEntropy.create(device, planned);
 * head.lossAndGradients(inputs, gradients);
 * const loss = await head.readLoss();
 * assert(Math.abs(loss! - Math.log(10)) < 1e-6); // all logits are zero
 *
 * head.destroy();
 * device.destroy();
 * ```
 *
 * @module
 */
import type { DeviceProfile } from "./planner/device.ts";
import { makePlan, type Plan, type PlanOptions } from "./planner/plan.ts";
import type { Problem } from "./planner/problem.ts";

/**
 * Plans a problem for {@linkcode LinearCrossEntropy}: on the caller's own
 * buffers, keeping its own from step to step.
 *
 * `plan.memory.extraPeakBytes` is what it allocates besides inputs, gradients and
 * results per token.
 *
 * @throws {DoesNotFitError} when no schedule fits, naming the smallest budget that would.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { parseProblem, plan, SPECIFICATION_DEFAULTS } from "@lce/lce";
 *
 * const problem = parseProblem({ tokens: 8192, hidden: 2304, vocab: 256000, pass: "train" });
 * const { memory, schedule } = plan(problem, SPECIFICATION_DEFAULTS);
 * assert.equal(schedule.strategy, "windowed");
 * // The logits alone would take 8.4 GB, and their gradient as much.
 * assert(memory.extraPeakBytes < 0.05 * 4 * 8192 * 256000);
 * ```
 */
export function plan(
  problem: Problem,
  device: DeviceProfile,
  options: Omit<PlanOptions, "hostIo" | "weights"> = {},
): Plan {
  return makePlan(problem, device, { ...options, hostIo: false, weights: "resident" });
}

/**
 * Plans a problem for {@linkcode runFromHost}: inputs come from the host and results go back to it,
 * and each buffer is on the device no longer than it is used. Left out, `weights` is `streamed`
 * where nothing else fits: then one window of the weight is on the device at a time.
 *
 * @throws {DoesNotFitError} when no schedule fits, naming the smallest budget that would.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { parseProblem, planFromHost, SPECIFICATION_DEFAULTS } from "@lce/lce";
 *
 * const problem = parseProblem({ tokens: 1024, hidden: 2304, vocab: 256000 });
 * const { memory } = planFromHost(problem, SPECIFICATION_DEFAULTS, { weights: "streamed" });
 * // The weight alone would take 2.4 GB.
 * assert(memory.peakBytes < 0.1 * 4 * 2304 * 256000);
 * ```
 */
export function planFromHost(
  problem: Problem,
  device: DeviceProfile,
  options: Omit<PlanOptions, "hostIo"> = {},
): Plan {
  return makePlan(problem, device, { ...options, hostIo: true });
}

export type { TensorSink } from "./host/sink.ts";
export {
  generatedSource,
  SourceError,
  type TensorBytes,
  type TensorSource,
} from "./host/source.ts";
export {
  type HostInputs,
  type HostOptions,
  type HostRun,
  runFromHost,
} from "./kernels/run/streamed.ts";
export { deviceProfile } from "./kernels/run/device.ts";
export type {
  GradientBufferName,
  GradientBuffers,
  HeadsGradientBuffers,
  HeadsInputBuffers,
  HeadTensorName,
  InputBuffers,
  MatrixBuffers,
  TensorName,
  TensorPart,
} from "./kernels/run/callers_buffers.ts";
export { alignmentBytes, GradientAlignment } from "./kernels/run/alignment.ts";
export type { Part, StepBuffers, StepOptions } from "./kernels/run/call.ts";
export { LinearCrossEntropy } from "./kernels/run/linear_cross_entropy.ts";
export type { BufferRange } from "./kernels/run/buffer_range.ts";
export { Scratch } from "./kernels/run/scratch.ts";
export { type SharedMemory, sharedMemory } from "./planner/schedule/scratch.ts";
export { GpuError, OutOfMemoryError } from "./kernels/run/errors.ts";
export { type Halves, HalvesError } from "./kernels/run/halves.ts";
export type { DeviceResult, Results, Totals } from "./kernels/run/results.ts";
export type { Cost } from "./planner/schedule/cost.ts";
export {
  type BodyRates,
  type DeviceLimits,
  type DeviceProfile,
  type DeviceRates,
  type MatrixConfiguration,
  SPECIFICATION_DEFAULTS,
  type SubgroupSizes,
  type WebGpuName,
} from "./planner/device.ts";
export { type Dtype, DTYPES } from "./planner/dtype.ts";
export {
  type CodebookHead,
  codebookHead,
  CodeMap,
  type CodeResults,
  type CodeTargets,
  overIds,
} from "./planner/heads/codebook.ts";
export type { MemoryPrediction } from "./planner/schedule/memory.ts";
export type { HostMemory } from "./planner/schedule/host_memory.ts";
export {
  type Alternative,
  type Candidate,
  DoesNotFitError,
  FixedSizeError,
  type Outline,
  type Plan,
  type PlanOptions,
} from "./planner/plan.ts";
export {
  collectivesOf,
  type Parallelism,
  ParallelismError,
  type ParallelPlan,
  planParallel,
  type Rank,
  rankSchedule,
  sentBytes,
} from "./planner/parallel.ts";
export type { Params } from "./planner/schedule/params.ts";
export {
  type FlatProblem,
  type FlatProblemInput,
  type Head,
  type HeadInput,
  headOf,
  type HeadsProblemInput,
  type Problem,
  type ProblemInput,
  SeveralHeadsError,
  type Task,
} from "./planner/problem.ts";
export { parseProblem } from "./planner/problem_schema.ts";
export { adapterGradient, type AdapterSizes, withAdapter } from "./planner/heads/adapter.ts";
export {
  expandSubTokens,
  subTokenDirection,
  subTokenLength,
  type SubTokenSizes,
} from "./planner/heads/sub_tokens.ts";
export {
  logitGradientNorm,
  type SampledRows,
  sampleRows,
  tokenWeights,
} from "./planner/heads/sampled_rows.ts";
export type { Differentiated, Objective, Span, TokenValues } from "./objectives/objective.ts";
export { type AlignedGradients, alignGradients } from "./objectives/alignment.ts";
export { dapo } from "./objectives/dapo.ts";
export { dpo, type DpoOptions, type ReferredPair } from "./objectives/dpo.ts";
export { type GraphBatch, type GraphLoss, graphOnLogits } from "./objectives/graph.ts";
export { grpo } from "./objectives/grpo.ts";
export {
  type JudgedAnswer,
  kto,
  type KtoBatch,
  type KtoOptions,
  referencePoint,
} from "./objectives/kto.ts";
export { orpo, type OrpoOptions } from "./objectives/orpo.ts";
export type { Pair } from "./objectives/pairs.ts";
export {
  groupAdvantages,
  type PolicyBatch,
  type PolicyOptions,
  type SampledAnswer,
} from "./objectives/policy.ts";
export { simpo, type SimpoOptions } from "./objectives/simpo.ts";
export {
  type Distill,
  type DistillInput,
  type Divergence,
  listedShares,
} from "./planner/heads/distill.ts";
export { factorsOf, STRENGTHS } from "./planner/heads/fusion.ts";
export { draw, gumbel, rowSeeds } from "./planner/sampling.ts";
export type { Loose } from "./planner/same.ts";
export {
  type Binding,
  type BufferSpec,
  CATEGORIES,
  type Category,
  type Clear,
  type Collective,
  type CollectiveOp,
  type Dispatch,
  type KernelName,
  type Landing,
  type Range,
  type Readback,
  type Residency,
  type Schedule,
  type Share,
  type Slice,
  type Step,
  STRATEGIES,
  type StrategyName,
  type TileOrder,
  type Upload,
} from "./planner/schedule/schedule.ts";
export { packUpstream, tokenStride, upstreamRows } from "./planner/schedule/layout.ts";
export type { FixedSizes, WeightPlacement } from "./planner/search/question.ts";
export type { Shape, Sizes } from "./planner/schedule/shape.ts";
export type {
  MatrixBody,
  RatedTile,
  RegisterBody,
  SplitBody,
  SubgroupBody,
  Tier,
  Tile,
  TileBody,
} from "./planner/schedule/tile.ts";

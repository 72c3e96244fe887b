/**
 * What `lce bench` keeps of a measurement.
 *
 * @module
 */
import { ACCUMULATED, type Dtype } from "../../planner/dtype.ts";
import type { DeviceProfile, WebGpuName } from "../../planner/device.ts";
import type { InputKind } from "./inputs.ts";
import { headOf, type Problem } from "../../planner/problem.ts";
import type { StrategyName } from "../../planner/schedule/schedule.ts";
import { formatTile, type Tier, tierOf } from "../../planner/schedule/tile.ts";
import type { Measurement } from "./measure.ts";

/** One measurement, flat, as files keep it. Times are milliseconds, sizes bytes. */
export interface BenchRow {
  readonly device: string;
  /** The implementation of WebGPU that the device was reached by; null where it is not known. */
  readonly webgpu: WebGpuName | null;
  readonly strategy: StrategyName;
  readonly pass: Problem["pass"];
  readonly tokens: number;
  readonly hidden: number;
  readonly vocab: number;
  readonly dtype: string;
  readonly inputs: InputKind;
  readonly gradientFilter: Problem["gradientFilter"];
  /** What the weight's gradient is stored as. */
  readonly gradientDtype: string;
  readonly ms: number | null;
  readonly fastest: number | null;
  readonly slowest: number | null;
  /** What the planner expected, where the device's rates were measured. */
  readonly estimatedMs: number | null;
  readonly tflops: number | null;
  /** FLOPs of the matrix products as planned, what is recomputed included. */
  readonly flops: number | null;
  /** Bytes that the dispatches read and write as planned, caches left out of account. */
  readonly bytesMoved: number | null;
  readonly extraPeakBytes: number | null;
  /** The arithmetic of products. */
  readonly tier: Tier | null;
  readonly tile: string | null;
  readonly window: number | null;
  readonly block: number | null;
  readonly splits: number | null;
  readonly compileMs: number | null;
  readonly clock: string | null;
  readonly kernels: Readonly<Record<string, number>>;
  /** The device's measured peaks, where a roofline asked for them. */
  readonly peakFlopsPerSecond: number | null;
  readonly peakBytesPerSecond: number | null;
  /** Why there is no measurement. */
  readonly missing: string | null;
  readonly date: string;
}

/** What an earlier run says of a row; null where it has no row of the same work. */
export interface Against {
  readonly againstDevice: string | null;
  readonly againstWebgpu: string | null;
  readonly againstMs: number | null;
  /** From the fastest to the slowest of the earlier repeats, as a share of their median. */
  readonly againstSpread: number | null;
  /** This run's median to the earlier one. */
  readonly againstRatio: number | null;
  /** `12 % faster`, `8 % slower` or `noise`; null where either has no time. */
  readonly against: string | null;
  readonly againstExtraPeakBytes: number | null;
  /** `same`, `12 % more` or `8 % less`: what is planned has no noise; null where either is not known. */
  readonly againstMemory: string | null;
}

/** Says on what a row was measured, and by which implementation of WebGPU where that is known. */
export function placeText(
  { device, webgpu }: { readonly device: string; readonly webgpu?: string | null | undefined },
): string {
  return webgpu ? `${device}, by ${webgpu}` : device;
}

/** Says a row's sizes and types in a few words. */
export function jobText(
  { tokens, hidden, vocab, dtype, gradientDtype }: Pick<
    BenchRow,
    "tokens" | "hidden" | "vocab" | "dtype" | "gradientDtype"
  >,
): string {
  const rounded = gradientDtype === ACCUMULATED ? "" : `, weight gradient ${gradientDtype}`;
  return `${tokens}x${hidden}x${vocab} ${dtype}${rounded}`;
}

/** Returns a row from a measurement, or from the reason for having none. */
export function benchRow(
  problem: Problem,
  strategy: StrategyName,
  { name: device, webgpu }: Pick<DeviceProfile, "name" | "webgpu">,
  outcome: Measurement | string,
  inputs: InputKind = "flat",
  gradientDtype: Dtype = ACCUMULATED,
): BenchRow {
  const measured = typeof outcome === "string" ? undefined : outcome;
  const schedule = measured?.plan.schedule;
  const { tokens, gradientFilter, pass } = problem;
  const { hidden, vocab, dtype } = headOf(problem);
  return {
    device,
    webgpu: webgpu ?? null,
    strategy,
    pass,
    tokens,
    hidden,
    vocab,
    dtype,
    inputs,
    gradientFilter,
    gradientDtype,
    ms: measured?.ms ?? null,
    fastest: measured?.fastest ?? null,
    slowest: measured?.slowest ?? null,
    estimatedMs: measured?.plan.cost.measuredRates ? measured.plan.cost.seconds * 1000 : null,
    tflops: measured?.tflops ?? null,
    flops: measured?.plan.cost.flops ?? null,
    bytesMoved: measured?.plan.cost.bytesMoved ?? null,
    extraPeakBytes: measured?.plan.memory.extraPeakBytes ?? null,
    tier: schedule ? tierOf(schedule.tile) : null,
    tile: schedule ? formatTile(schedule.tile) : null,
    window: schedule?.window.vocab ?? null,
    block: schedule?.block.tokens ?? null,
    splits: schedule?.splits ?? null,
    compileMs: measured?.compileMs ?? null,
    clock: measured?.clock ?? null,
    kernels: Object.fromEntries(measured?.byKernel ?? []),
    peakFlopsPerSecond: null,
    peakBytesPerSecond: null,
    missing: measured ? null : String(outcome),
    date: new Date().toISOString().slice(0, 10),
  };
}

/**
 * What a published method allocates, as data: the phases of its passes in the
 * order of its source code, each with the arrays that are alive at once. Peak
 * memory is one fold over them.
 *
 * What counts, everywhere: every byte that the method allocates beyond its inputs
 * (hidden states, weight, bias, targets), as an allocator sees it. Gradients that
 * it returns count from the moment they are allocated; gradients that the caller
 * holds from an earlier step, the parameters' `.grad`, do not. No token is taken
 * to be ignored. Figures are for one device, without tensor parallelism.
 *
 * @module
 */
import type { Problem } from "../problem.ts";
import type { PeerLimits } from "./limits.ts";
import { bytesOf, formula, type Size } from "./sizes.ts";

/** A moment between two allocations or releases. */
export interface Phase {
  /** What is being done. */
  readonly step: string;
  /** Arrays alive, by name; those that the problem does not need are undefined. */
  readonly live: Readonly<Record<string, Size | undefined>>;
}

/** What a published method is called, and where its model comes from. */
export interface PeerAbout {
  /** Name, in kebab-case. */
  readonly method: string;
  /** Name, for people. */
  readonly title: string;
  /** Where the order of allocations was read: URL, commit or version, and place. */
  readonly source: string;
  /** What to know when comparing. */
  readonly note?: string;
}

/** A published method of the output layer. */
export interface Peer extends PeerAbout {
  /** Problems that it cannot do, or is not modelled for. */
  readonly limits: PeerLimits;
  /**
   * Phases of a forward pass. The last is what is alive when it returns: where
   * `recording`, what it keeps for the backward pass.
   */
  forward(problem: Problem, recording: boolean): readonly Phase[];
  /** Returns the phases of the backward pass that follows a recording forward pass. */
  backward(problem: Problem): readonly Phase[];
}

/**
 * Parts of a step whose memory people publish: a forward pass without gradients,
 * one that records for a backward pass, the backward pass over what it finds kept,
 * and both passes.
 */
export const SPANS = ["forward", "recording forward", "backward", "train"] as const;
/** Part of a step. */
export type Span = typeof SPANS[number];

/** Returns the arrays alive in a phase. */
export function alive({ live }: Phase): Size[] {
  return Object.values(live).filter((size) => size !== undefined);
}

/** Returns the bytes alive in a phase. */
export function phaseBytes(phase: Phase): number {
  return alive(phase).reduce((sum, size) => sum + bytesOf(size), 0);
}

/** Returns the phases of a part of a step. */
function phasesOf(peer: Peer, problem: Problem, span: Span): readonly Phase[] {
  switch (span) {
    case "forward":
      return peer.forward(problem, false);
    case "recording forward":
      return peer.forward(problem, true);
    case "backward":
      return peer.backward(problem);
    case "train":
      return [...peer.forward(problem, true), ...peer.backward(problem)];
  }
}

/** Returns the phase of a part of a step with most bytes alive, the first of them. */
export function peakPhase(peer: Peer, problem: Problem, span: Span): Phase {
  return phasesOf(peer, problem, span).reduce((peak, phase) =>
    phaseBytes(phase) > phaseBytes(peak) ? phase : peak
  );
}

/** Returns the most bytes that a part of a step allocates beyond what it finds. */
export function extraBytes(peer: Peer, problem: Problem, span: Span): number {
  const peak = phaseBytes(peakPhase(peer, problem, span));
  return span === "backward" ? peak - phaseBytes(peer.forward(problem, true).at(-1)!) : peak;
}

/**
 * Returns the bytes of the peak of a part of a step in symbols, for the problem's storage type and
 * options.
 */
export function peakFormula(peer: Peer, problem: Problem, span: Span): string {
  return formula(alive(peakPhase(peer, problem, span)));
}

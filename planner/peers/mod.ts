/**
 * What published methods of the output layer would need for a problem, before
 * anyone allocates anything. A new method is an entry in a module of this folder
 * and a line here.
 *
 * @module
 */
import type { Problem } from "../problem.ts";
import { CUT, CUT_EXACT, CUT_KAHAN } from "./cut_cross_entropy.ts";
import { EXECUTORCH_WEBGPU } from "./executorch.ts";
import {
  DUAL_HEAD,
  LIGER_JSD,
  SWIFT_CHUNKS,
  TRL_CHUNKS,
  TRL_GKD,
  TWO_HEADS,
} from "./distilling.ts";
import { LIGER, LIGER_0_4, LIGER_F32 } from "./liger.ts";
import { unsuited } from "./limits.ts";
import { extraBytes, type Peer, type PeerAbout } from "./peer.ts";
import { COMPILED, NO_UPCAST, TWO_STAGE, TWO_STAGE_NAMED } from "./pytorch.ts";
import { FUSED_ACCURATE, FUSED_COMPACT } from "./pytorch_fused.ts";
import { MEGATRON, VERL_FUSED, VERL_SEPARATE, VERL_SPLIT } from "./split_kernels.ts";
import { UNSLOTH } from "./unsloth.ts";

/** Every method, in the order in which they are listed. */
export const PEERS: readonly Peer[] = [
  TWO_STAGE,
  TWO_STAGE_NAMED,
  NO_UPCAST,
  COMPILED,
  FUSED_ACCURATE,
  FUSED_COMPACT,
  LIGER,
  LIGER_F32,
  CUT,
  CUT_KAHAN,
  CUT_EXACT,
  MEGATRON,
  VERL_SPLIT,
  VERL_SEPARATE,
  VERL_FUSED,
  UNSLOTH,
  EXECUTORCH_WEBGPU,
];

/** Every method of distillation from a teacher's head. */
export const DISTILLING_PEERS: readonly Peer[] = [
  TWO_HEADS,
  LIGER_JSD,
  TRL_GKD,
  TRL_CHUNKS,
  SWIFT_CHUNKS,
  DUAL_HEAD,
];

/** Methods as they no longer are, kept because published figures are of them. */
export const FORMER_PEERS: readonly Peer[] = [LIGER_0_4];

/**
 * Returns the methods that do what a problem asks for: none is known that fuses heads, and none is
 * modelled that learns from lists.
 */
function peersFor({ distill, fusion }: Problem): readonly Peer[] {
  if (fusion || distill?.listed !== undefined) return [];
  return distill ? DISTILLING_PEERS : PEERS;
}

/** What a method needs for a problem, or why it cannot do it. */
export interface PeerMemory extends PeerAbout {
  /** Why the method cannot do the problem; then it has no numbers. */
  readonly unsuited: string | undefined;
  /** Bytes beyond inputs at the peak of a forward pass without gradients. */
  readonly forwardExtraBytes: number | undefined;
  /** Bytes beyond inputs, returned gradients included, at the peak of a forward and a backward pass. */
  readonly trainExtraBytes: number | undefined;
}

/**
 * Returns what every method that does it needs for a problem, whichever pass it asks for. What counts
 * is said in `peer.ts`.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { parseProblem } from "../problem_schema.ts";
 * const problem = parseProblem({ tokens: 8192, hidden: 2304, vocab: 256000, dtype: "bf16" });
 * const [twoStage] = peersOf(problem);
 * assert.equal(twoStage!.trainExtraBytes, 24000 * 2 ** 20);
 * ```
 */
export function peersOf(problem: Problem): readonly PeerMemory[] {
  return peersFor(problem).map((peer) => {
    const { method, title, source, note, limits } = peer;
    const reason = unsuited(limits, problem);
    return {
      method,
      title,
      source,
      ...(note === undefined ? {} : { note }),
      unsuited: reason,
      forwardExtraBytes: reason ? undefined : extraBytes(peer, problem, "forward"),
      trainExtraBytes: reason ? undefined : extraBytes(peer, problem, "train"),
    };
  });
}

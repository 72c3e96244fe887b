/**
 * A candidate: what the search weighs.
 *
 * @module
 */
import type { Cost } from "../schedule/cost.ts";
import type { MemoryPrediction } from "../schedule/memory.ts";
import type { Shape } from "../schedule/shape.ts";

/** A shape that a strategy may take, with what its schedule would need and cost. */
export interface Candidate {
  /** Strategy, tile, block, window. */
  readonly shape: Shape;
  /** Bytes of GPU buffers that the schedule keeps alive. */
  readonly memory: MemoryPrediction;
  /** FLOPs, traffic and estimated seconds of one run. */
  readonly cost: Cost;
}

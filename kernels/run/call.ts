/**
 * What a call of the public API is asked for: which part of a plan, on which of the caller's
 * buffers, and of how many tokens.
 *
 * @module
 */
import type {
  GradientBufferName,
  GradientBuffers,
  HeadsGradientBuffers,
  HeadsInputBuffers,
  InputBuffers,
} from "./callers_buffers.ts";
import type { BufferRange } from "./buffer_range.ts";

/**
 * A part of a plan: loss and results per token, the gradients of what a forward pass left on the
 * device, or both in one go.
 */
export type Part = "forward" | "backward" | "both";

/** How a step differs from the one that was planned. */
export interface StepOptions {
  /**
   * Tokens of this step, from 1 to the planned ones: the first rows of `hidden` and of its gradient,
   * the first entries of `targets`. Buffers need not hold more. A backward pass has those of its
   * forward pass.
   */
  readonly tokens?: number;
  /**
   * Gradients that are added to what their buffers hold, in place of overwriting it: those of the
   * weight and the bias, say, over the micro-batches of a step.
   */
  readonly add?: readonly GradientBufferName[];
}

/** What is computed, and on which buffers. */
export interface StepBuffers extends StepOptions {
  /** The head's tensors, or those of several heads. */
  readonly inputs: InputBuffers | HeadsInputBuffers;
  /** Where gradients go. */
  readonly gradients?: GradientBuffers | HeadsGradientBuffers;
  /**
   * `[rows, stride]` in f32 as `packUpstream()` lays it out, where the problem's objective is
   * `statistics` or its reduction `none`.
   */
  readonly upstream?: BufferRange | undefined;
  /** `both` where gradients are given, else `forward`. */
  readonly part?: Part;
}

/**
 * Linear cross-entropy without logits, on any WebGPU device: plan it, run it,
 * verify it.
 *
 * @module
 */
export * from "./planner/device.ts";
export * from "./planner/plan.ts";
export * from "./planner/problem.ts";
export * from "./planner/schedule.ts";

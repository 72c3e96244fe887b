/**
 * What a kernel generator knows.
 *
 * @module
 */
import type { Dispatch, Schedule } from "../../planner/schedule/schedule.ts";
import type { BodyMaker } from "./product.ts";

/** The dispatch that a generator writes for, and the schedule around it. */
export interface KernelContext {
  readonly schedule: Schedule;
  readonly dispatch: Dispatch;
  /** Writes the products of matrix kernels; by default what the tile is for. */
  readonly body?: BodyMaker;
}

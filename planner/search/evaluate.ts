/**
 * The second of a search's generators: what shapes would need and cost.
 *
 * @module
 */
import { predictCost } from "../schedule/cost.ts";
import { type Detail, ScheduleDraft } from "../schedule/draft.ts";
import { withHostIo } from "../schedule/host_io.ts";
import type { Schedule } from "../schedule/schedule.ts";
import { attempt, Infeasible, type Shape } from "../schedule/shape.ts";
import { strategyNamed } from "../strategies/mod.ts";
import type { Candidate } from "./candidate.ts";
import type { Question } from "./question.ts";

/** What came of a shape: a candidate, or why there is none. */
export type Outcome = Candidate | Infeasible;

/** Returns whether a shape became a candidate. */
export function isCandidate(outcome: Outcome): outcome is Candidate {
  return !(outcome instanceof Infeasible);
}

/** Yields what comes of each of some shapes. */
export function* evaluated(
  question: Question,
  shapes: Iterable<Shape | Infeasible>,
): Generator<Outcome> {
  for (const shape of shapes) {
    yield shape instanceof Infeasible ? shape : attempt(() => evaluate(question, shape));
  }
}

/**
 * Returns what a shape would need and cost, by a sketch of its schedule.
 *
 * @throws {Infeasible} when it cannot be cut to the device's limits.
 */
export function evaluate(question: Question, shape: Shape): Candidate {
  const { memory, ...work } = drafted(question, shape, "sketch").total();
  const cost = predictCost({ ...work, residency: shape.residency }, question.device);
  return { shape, memory, cost };
}

/**
 * Returns the schedule of a shape, with every step, or a sketch of it.
 *
 * @throws {Infeasible} when the shape cannot be cut to the device's limits.
 */
export function emit(question: Question, shape: Shape, detail: Detail): Schedule {
  const schedule = drafted(question, shape, detail).finish();
  return shape.residency === "caller" ? schedule : withHostIo(schedule);
}

function drafted(
  { problem, device, products, options: { share } }: Question,
  shape: Shape,
  detail: Detail,
): ScheduleDraft {
  const draft = new ScheduleDraft(problem, device, shape, products, detail, share);
  strategyNamed(shape.strategy).emit(draft);
  return draft;
}

/**
 * What a head may do next: a backward pass has its forward pass before it, of as many tokens, and
 * the scratch that this left.
 *
 * @module
 */
import type { Schedule, Step } from "../../planner/schedule/schedule.ts";
import { keptInScratch } from "../../planner/schedule/scratch.ts";
import type { Part } from "./call.ts";
import type { Scratch } from "./scratch.ts";

/** The methods that run a part by itself, as messages have them. */
const CALLS: Readonly<Record<Part, string>> = {
  forward: "forward()",
  backward: "backward()",
  both: "lossAndGradients()",
};

/** The parts of a schedule in the order in which they are run, step after step. */
export class Turns {
  readonly #schedule: Schedule;
  /** What is shared with others, who take turns too. */
  readonly #scratch: Scratch | undefined;
  /** Whether the statistics on the device are those of a forward pass that no backward pass has used. */
  #forwarded = false;
  #tokens: number;

  constructor(schedule: Schedule, scratch: Scratch | undefined) {
    this.#schedule = schedule;
    this.#scratch = scratch;
    this.#tokens = schedule.problem.tokens;
  }

  /** Returns tokens of the step that was taken last. */
  get tokens(): number {
    return this.#tokens;
  }

  /**
   * Returns tokens of a step, by default those of a backward pass's forward pass, or the planned
   * ones.
   *
   * @throws {RangeError} where the plan cannot have so many or so few.
   */
  checkedTokens(part: Part, asked?: number): number {
    const { tokens: planned } = this.#schedule.problem;
    const tokens = asked ?? (part === "backward" ? this.#tokens : planned);
    if (!Number.isInteger(tokens) || tokens < 1 || tokens > planned) {
      throw new RangeError(
        `Cannot run a step of ${tokens} tokens: the plan is of ${planned}. Give a whole number from 1 to ${planned}, or plan a problem of more`,
      );
    }
    if (part === "backward" && this.#forwarded && tokens !== this.#tokens) {
      throw new RangeError(
        `Cannot run backward() for ${tokens} tokens: its forward() was of ${this.#tokens}. Leave them out, or give as many`,
      );
    }
    return tokens;
  }

  /**
   * Returns the steps of a part.
   *
   * @throws {TypeError} when the plan does not have it, or it cannot come now.
   */
  stepsOf(part: Part): readonly Step[] {
    const { steps, backwardStart, strategy, problem } = this.#schedule;
    const call = CALLS[part];
    if (problem.pass === "forward") {
      if (part === "forward") return steps;
      throw new TypeError(
        `Cannot run ${call}: the plan is of a forward pass, which has no gradients. Plan a problem with pass: "train"`,
      );
    }
    if (part === "both") return steps;
    if (backwardStart === undefined) {
      throw new TypeError(
        `Cannot run ${call} alone: a ${strategy} plan computes gradients along with the loss. Call lossAndGradients(), or plan with another strategy`,
      );
    }
    if (part === "forward") return steps.slice(0, backwardStart);
    if (!this.#forwarded) {
      throw new TypeError(
        "Cannot run backward() before forward(): call forward() first, each time",
      );
    }
    return steps.slice(backwardStart);
  }

  /**
   * Begins a part, after which what the forward pass before it left is used up.
   *
   * @throws {TypeError} where another head has used what a backward pass needs.
   */
  begin(part: Part, tokens: number): void {
    this.#forwarded = false;
    this.#takeScratch(part);
    this.#tokens = tokens;
  }

  /** Notes that all of a part is recorded. */
  end(part: Part): void {
    this.#forwarded = part === "forward";
  }

  #takeScratch(part: Part): void {
    if (!this.#scratch || this.#scratch.use(this) || part !== "backward") return;
    const kept = keptInScratch(this.#schedule);
    if (kept === undefined) return;
    throw new TypeError(
      `Cannot run backward(): another head has used the shared scratch since forward(), which left ${kept} there. Let nothing come between, call lossAndGradients(), or give the head a scratch of its own`,
    );
  }
}

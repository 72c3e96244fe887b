/**
 * The search: every shape that every strategy may take on a device, with what its
 * schedule would need and cost.
 *
 * Three generators make it up: shapes worth a look (`shapes.ts`), what each would need and
 * cost (`evaluate.ts`), by a sketch of its schedule, and shapes like those that did well
 * (`refine.ts`), or, under a budget, the smallest of all (`least.ts`). One rule ends it: what
 * is slower, or further from where the caller wants buffers, is looked at only where nothing
 * before it fits.
 *
 * @module
 */
import type { DeviceProfile } from "../device.ts";
import { logitsPerId, type Problem } from "../problem.ts";
import type { Residency } from "../schedule/schedule.ts";
import { Infeasible } from "../schedule/shape.ts";
import { formatTile } from "../schedule/tile.ts";
import { ALL_STRATEGIES } from "../strategies/mod.ts";
import { type Strategy, unsuited } from "../strategies/strategy.ts";
import type { Candidate } from "./candidate.ts";
import { staysWithin } from "./choice.ts";
import { evaluated, isCandidate, type Outcome } from "./evaluate.ts";
import { leastCandidates } from "./least.ts";
import { ask, type Branch, type PlanOptions, rounding } from "./question.ts";
import { refined } from "./refine.ts";
import { shapesOf } from "./shapes.ts";
import { tilesBySpeed } from "./tiles.ts";

/** The candidates of one strategy, or the reason for there being none. */
export interface StrategyCandidates {
  /** Whose candidates they are. */
  readonly strategy: Strategy;
  /** Every shape that fits the device's limits. */
  readonly candidates: readonly Candidate[];
  /** Why some shape, or every one, is none of them. */
  readonly reason: string;
}

/** Returns every strategy's candidates; none where the device can run no tile. */
export function search(
  problem: Problem,
  device: DeviceProfile,
  options: PlanOptions,
): StrategyCandidates[] {
  const question = ask(problem, device, options);
  const strategies = strategiesOf(options);
  const reasons = new Map<Strategy, string>();
  const found = untilOneFits(
    options,
    residenciesOf(options),
    (residencies) =>
      strategies.flatMap((strategy) =>
        residencies.flatMap((residency) => {
          const outcomes = [...explore({ question, strategy, residency })];
          // The reason of the smallest shape comes last, and tells most.
          const reason = outcomes.findLast((outcome) => outcome instanceof Infeasible)?.message;
          if (reason !== undefined && !reasons.has(strategy)) reasons.set(strategy, reason);
          return outcomes.filter(isCandidate);
        })
      ),
  );
  return strategies.map((strategy) => ({
    strategy,
    candidates: found.filter(({ shape }) => shape.strategy === strategy.name),
    reason: reasons.get(strategy) ?? "has no sizes that the device and the choices allow",
  }));
}

/** Returns whether some schedule fits the device and the budget: the first that does ends the search. */
export function fits(problem: Problem, device: DeviceProfile, options: PlanOptions): boolean {
  const question = ask(problem, device, options);
  return residenciesOf(options).flat().some((residency) =>
    strategiesOf(options).some((strategy) => {
      const branch = { question, strategy, residency };
      return refusal(branch) === undefined &&
        leastCandidates(branch).some((candidate) => staysWithin(candidate, options.budget));
    })
  );
}

/**
 * Returns what steps yield, up to the first step with something that fits: the rule that ends a
 * search.
 */
function untilOneFits<Step, Found extends Outcome>(
  { budget }: PlanOptions,
  steps: Iterable<Step>,
  take: (step: Step) => Iterable<Found>,
): Found[] {
  const found: Found[] = [];
  for (const step of steps) {
    found.push(...take(step));
    if (found.some((each) => isCandidate(each) && staysWithin(each, budget))) break;
  }
  return found;
}

function strategiesOf({ strategy }: PlanOptions): Strategy[] {
  return ALL_STRATEGIES.filter(({ name }) => strategy === undefined || name === strategy);
}

/**
 * Returns where buffers may be, as far as the caller leaves it open: those of a later group are
 * looked at where nothing fits in those before.
 */
function residenciesOf({ weights, hostIo = false, share }: PlanOptions): Residency[][] {
  const whole: Residency = hostIo ? "host" : "caller";
  switch (weights) {
    case "streamed":
      return [["windows"]];
    case "auto":
      return [share ? [whole] : [whole, "windows"]];
    case "resident":
      return [[whole]];
    case undefined:
      return share ? [[whole]] : [[whole], ["windows"]];
  }
}

/** Returns why a branch has no candidates at all, if so. */
function refusal(
  { strategy, residency, question }: Branch,
): string | undefined {
  const { problem, device, options, tiles } = question;
  const reason = unsuited(strategy, problem);
  if (reason !== undefined) return reason;
  if (residency === "windows" && !strategy.streams) return "needs the whole weight at hand";
  if (residency === "windows" && options.share) return "has a share of the weight, which stays";
  const { gradientDtype } = rounding(question);
  if (gradientDtype !== undefined) {
    if (residency !== "caller" || options.share) {
      return `keeps the weight's gradient in f32: in ${gradientDtype} it is for a caller's buffers on one device`;
    }
    if (!strategy.finishesWindows || logitsPerId(problem) > 1) {
      return `adds to the weight's gradient block after block, which ${gradientDtype} would round each time`;
    }
  }
  if (tiles.length === 0) {
    return `finds no tile: the smallest needs more workgroup memory or invocations than ${device.name} has`;
  }
}

/** Yields the candidates of a branch, and why other shapes are none. */
function* explore(branch: Branch): Generator<Outcome> {
  const refused = refusal(branch);
  if (refused !== undefined) return yield new Infeasible(refused);
  const { question } = branch;
  const { budget, ...fixed } = question.options;
  const outcomes = untilOneFits(
    { budget },
    tilesBySpeed(question),
    (tile) => evaluated(question, shapesOf(branch, tile, fixed)),
  );
  yield* outcomes;
  const found = outcomes.filter(isCandidate);
  yield* evaluated(question, refined(branch, found));
  if (budget === undefined) return;
  const known = new Set(found.map(keyOf));
  for (const candidate of leastCandidates(branch)) {
    if (!known.has(keyOf(candidate))) yield candidate;
  }
}

/** Returns what tells the candidates of a branch apart. */
function keyOf({ shape: { tile, block, window, oneSum = false } }: Candidate): string {
  return `${formatTile(tile)} ${block} ${window} ${oneSum}`;
}

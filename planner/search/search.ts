/**
 * The search: every shape that every strategy may take on a device, with what
 * its schedule would need and cost. Shapes are compared by sketches of their
 * schedules; only the chosen one is written out.
 *
 * @module
 */
import type { Candidate } from "./candidate.ts";
import { paretoFront, withinBudget } from "./choice.ts";
import { productSeconds } from "../schedule/cost.ts";
import type { DeviceProfile } from "../device.ts";
import { leastSizes } from "./least.ts";
import { headOf, type Problem } from "../problem.ts";
import type { Residency } from "../schedule/schedule.ts";
import { ask, evaluate, type PlanOptions, type Question, unlessInfeasible } from "./question.ts";
import { ALL_STRATEGIES } from "../strategies/mod.ts";
import { PROMISING_TILE } from "../tuning.ts";
import type { Sizes } from "../schedule/shape.ts";
import { sizesToTry, type Strategy, unsuited } from "../strategies/strategy.ts";
import { formatTile, sameTile, type Tile } from "../schedule/tile.ts";

/** The candidates of one strategy, or the reason for there being none. */
export interface StrategyCandidates {
  /** Whose candidates they are. */
  readonly strategy: Strategy;
  /** Every shape that fits the device's limits. */
  readonly candidates: readonly Candidate[];
  /** Why some shape, or every one, cannot be. */
  readonly reason: string;
}

/** Every strategy's candidates; none where the device can run no tile. */
export function search(
  problem: Problem,
  device: DeviceProfile,
  options: PlanOptions,
): StrategyCandidates[] {
  const question = ask(problem, device, options);
  let found = strategiesOf(options).map((strategy): StrategyCandidates => ({
    strategy,
    candidates: [],
    reason: "",
  }));
  for (const residencies of residenciesOf(options)) {
    found = found.map(({ strategy, candidates, reason }) => {
      const more = candidatesFor(strategy, question, residencies);
      return {
        strategy,
        candidates: [...candidates, ...more.candidates],
        reason: reason || more.reason,
      };
    });
    const all = found.flatMap(({ candidates }) => candidates);
    if (withinBudget(all, options.budget).length > 0) break;
  }
  return found;
}

/** Whether some schedule fits the device and the budget: the search for the smallest, up to the first that does. */
export function fits(problem: Problem, device: DeviceProfile, options: PlanOptions): boolean {
  const question = ask(problem, device, options);
  return residenciesOf(options).flat().some((residency) =>
    strategiesOf(options).some((strategy) => {
      if (refusal(strategy, question, residency) !== undefined) return false;
      const fitting = (candidate: Candidate) =>
        withinBudget([candidate], options.budget).length > 0;
      return smallest(strategy, question, residency).some(fitting);
    })
  );
}

function strategiesOf({ strategy }: PlanOptions): Strategy[] {
  return ALL_STRATEGIES.filter(({ name }) => strategy === undefined || name === strategy);
}

/**
 * Where buffers may be, as far as the caller leaves it open: those of a later
 * group are looked at where nothing fits in those before.
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

/** Returns why a strategy has no candidates at all, if so. */
function refusal(
  strategy: Strategy,
  { problem, device, options, tiles }: Question,
  residency: Residency,
): string | undefined {
  const reason = unsuited(strategy, problem);
  if (reason !== undefined) return reason;
  if (residency === "windows" && !strategy.streams) return "needs the whole weight at hand";
  if (residency === "windows" && options.share) return "has a share of the weight, which stays";
  if (tiles.length === 0) {
    return `finds no tile: the smallest needs more workgroup memory or invocations than ${device.name} has`;
  }
}

function candidatesFor(
  strategy: Strategy,
  question: Question,
  residencies: readonly Residency[],
): StrategyCandidates {
  const candidates: Candidate[] = [];
  let why = "";
  for (const residency of residencies) {
    const refused = refusal(strategy, question, residency);
    why ||= refused ?? "";
    if (refused !== undefined) continue;
    const reasons: string[] = [];
    candidates.push(...explore(strategy, question, residency, reasons));
    why ||= reasons.at(-1) ?? "";
  }
  return {
    strategy,
    candidates,
    reason: why || "has no sizes that the device and the choices allow",
  };
}

/** The candidates of a strategy. `reasons` takes why some cannot be, that of the smallest last. */
function* explore(
  strategy: Strategy,
  question: Question,
  residency: Residency,
  reasons: string[],
): Generator<Candidate> {
  const { options: { budget, ...fixed } } = question;
  const { sorted, promising } = tilesBySpeed(question);
  const tried = (tile: Tile, sizes = fixed) =>
    candidatesOf(strategy, question, residency, tile, sizes, reasons);
  const found: Candidate[] = [];
  for (const tile of sorted) {
    // A slower tile matters only where faster ones leave nothing that fits.
    if (withinBudget(found, budget).length > 0) break;
    found.push(...tried(tile));
  }
  yield* found;
  // Another tile is tried where the first choice did well.
  for (const { shape: { tile, block, window } } of paretoFront(found)) {
    for (const other of promising) {
      if (sameTile(other, tile)) continue;
      yield* tried(other, strategy.streams ? { block, window } : { block });
    }
  }
  if (budget !== undefined) yield* smallest(strategy, question, residency, found);
}

/** The candidates of sizes with a tile, within what is fixed. */
function* candidatesOf(
  strategy: Strategy,
  question: Question,
  residency: Residency,
  tile: Tile,
  fixed: PlanOptions,
  reasons: string[],
): Generator<Candidate> {
  const { problem, device } = question;
  const sizes = sizesToTry(strategy, problem, device, tile, fixed, residency === "windows");
  const refuse = (reason: string) => void reasons.push(reason);
  for (;;) {
    const next = unlessInfeasible(() => sizes.next(), refuse);
    if (next === undefined || next.done) return;
    const candidate = unlessInfeasible(
      () => evaluate(question, strategy, next.value, { residency }),
      refuse,
    );
    if (candidate) yield candidate;
  }
}

/** What a strategy can do in little memory: the last is the smallest that was found. */
function* smallest(
  strategy: Strategy,
  question: Question,
  residency: Residency,
  found: readonly Candidate[] = [],
): Generator<Candidate> {
  const known = new Set(found.map(({ shape }) => keyOf(shape)));
  for (const candidate of leastSizes(strategy, question, residency)) {
    if (!known.has(keyOf(candidate.shape))) yield candidate;
  }
}

function keyOf({ tile, block, window, oneSum = false }: Sizes & { readonly oneSum?: boolean }) {
  return `${formatTile(tile)} ${block} ${window} ${oneSum}`;
}

/** Tiles by the estimate for one pass over all logits, the fastest first, and how many are worth trying. */
function tilesBySpeed({ problem, device, tiles }: Question) {
  const { tokens } = problem;
  const { hidden, vocab } = headOf(problem);
  const seconds = new Map(tiles.map((tile) => [
    tile,
    productSeconds(
      tile,
      Math.ceil(tokens / tile.rows) * Math.ceil(vocab / tile.cols),
      2 * tile.rows * tile.cols * hidden,
      device.rates,
    ),
  ]));
  const fastest = Math.min(...seconds.values());
  const sorted = [...tiles].sort((a, b) => seconds.get(a)! - seconds.get(b)!);
  const promising = sorted.filter((tile) => seconds.get(tile)! <= PROMISING_TILE * fastest);
  return { sorted, promising };
}

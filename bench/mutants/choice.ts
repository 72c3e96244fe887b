/**
 * Errors in what the planner promises: memory, limits, the choice, the largest.
 *
 * @module
 */
import type { Killer, Mutant } from "./mutant.ts";

const plans = (filter: string): Killer => ({ test: "planner/plan_test.ts", filter });
const searches = (filter: string): Killer => ({ test: "planner/search/search_test.ts", filter });
const largest = (filter: string): Killer => ({ test: "planner/largest_test.ts", filter });

const REFUSED = plans("no plan is made that the device refuses");

/** Errors in the choice of a schedule. */
export const CHOICE: readonly Mutant[] = [
  {
    name: "a budget is for what comes beside inputs and outputs",
    file: "planner/search/choice.ts",
    find: "memory.peakBytes <= budget;",
    replace: "memory.extraPeakBytes <= budget;",
    why: "plans would be said to fit a card that cannot hold the weight",
    killers: [plans("under a budget a plan fits")],
  },
  {
    name: "logits are stored wherever that is faster",
    file: "planner/search/choice.ts",
    find: "memory.peakBytes <= chosen.memory.peakBytes + worthwhile(chosen.memory.peakBytes) &&",
    replace: "memory.peakBytes > 0 &&",
    why: "the planner would recommend what it exists to avoid",
    killers: [plans("logits are not recommended for their speed")],
  },
  {
    name: "the front keeps candidates that are larger and slower",
    file: "planner/search/choice.ts",
    find: "if (!last || candidate.cost.seconds < last.cost.seconds) front.push(candidate);",
    replace: "front.push(candidate);",
    why: "pictures and reasons would offer choices that are none",
    killers: [searches("the front holds what nothing beats")],
  },
  {
    name: "a caller's gradients take no memory",
    file: "planner/schedule/memory.ts",
    find: "peakBytes: extraPeakBytes + input + output,",
    replace: "peakBytes: extraPeakBytes + input,",
    why: "training would be promised a peak that no trainer can have",
    killers: [plans("a plan is of buffers that the caller owns")],
  },
  {
    name: "flags of tiles are the caller's",
    file: "planner/schedule/tensors.ts",
    find: '  record: "state",',
    replace: '  record: "output",',
    why: 'memory that lce takes for itself would be in no "extra peak"',
    killers: [plans("flags of tiles are ours")],
  },
  {
    name: "a sketch counts the params of one dispatch for all that are like it",
    file: "planner/schedule/draft.ts",
    find: "      if (!this.#sketched.has(key)) this.#paramsCount += times;",
    replace: "      if (!this.#sketched.has(key)) this.#paramsCount += 1;",
    why: "candidates would be compared by less than they take",
    killers: [searches("a sketch needs and costs")],
  },
  {
    name: "bindings may be of any size",
    file: "planner/schedule/draft.ts",
    find: "if (slice.bytes > maxStorageBufferBindingSize) {",
    replace: "if (slice.bytes > Infinity) {",
    why: "a plan would fail where it is run",
    killers: [REFUSED],
  },
  {
    name: "kernels may bind any number of buffers",
    file: "planner/schedule/draft.ts",
    find: "if (bindings.length > maxStorageBuffersPerShaderStage) {",
    replace: "if (bindings.length > Infinity) {",
    why: "the same",
    killers: [REFUSED],
  },
  {
    name: "tiles may have any number of invocations",
    file: "planner/schedule/tile.ts",
    find: "if (invocations > allowed) {",
    replace: "if (invocations > Infinity) {",
    why: "the same",
    killers: [REFUSED],
  },
  {
    name: "the largest hidden size is a multiple of 128",
    file: "planner/largest.ts",
    find: "factor >= 1; factor /= 2",
    replace: "factor >= ALIGNED_WIDTH; factor /= 2",
    why: "the same, for every width between",
    killers: [largest("no larger value fits, by trying them")],
  },
];

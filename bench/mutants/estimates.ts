/**
 * Errors in what a schedule is estimated to take: the bytes that dispatches move, the model of
 * their time and its constants, and the choices that go by them.
 *
 * @module
 */
import type { Killer, Mutant } from "./mutant.ts";

const counted = (filter: string): Killer => ({ test: "planner/schedule/traffic_test.ts", filter });
const costs = (filter: string): Killer => ({ test: "planner/schedule/cost_test.ts", filter });
const products = (filter: string): Killer => ({
  test: "planner/schedule/products_test.ts",
  filter,
});
const chosen = (filter: string): Killer => ({ test: "planner/search/choice_test.ts", filter });

const STORED = counted("a window of stored logits");
const SUMS = counted("added up from several sums");
const STATISTICS = counted("of statistics that are bound whole");
const MEASURED: Killer = { test: "planner/estimates_test.ts" };
const WAVES = costs("a product takes its waves");
const MATRICES = costs("in subgroup matrices");
const PARTS = products("a depth is cut into as few parts");

const TRAFFIC = "planner/schedule/traffic.ts";
const COST = "planner/schedule/cost.ts";
const TUNING = "planner/tuning.ts";

/** Errors in estimates. */
export const ESTIMATES: readonly Mutant[] = [
  {
    name: "operands that a kernel may not be seen to leave alone count as written",
    file: TRAFFIC,
    find: 'if (access === "read" || onlyRead) {',
    replace: 'if (access === "read") {',
    why: "products in matrices would be said to move their operands with every sum",
    killers: [SUMS],
  },
  {
    name: "what begins afresh is said to be read before",
    file: TRAFFIC,
    find: 'read === "later" && !at.first',
    replace: 'read === "later"',
    why: "single blocks and windows would seem slower than they are",
    killers: [STORED, STATISTICS],
  },
  {
    name: "what is added to is not said to be read",
    file: TRAFFIC,
    find: "part * (before + 2 * sums - 1)",
    replace: "part * (2 * sums - 1)",
    why: "many small windows would seem as cheap as one",
    killers: [STORED, STATISTICS],
  },
  {
    name: "sums that are added up are not read",
    file: TRAFFIC,
    find: "part * (before + 2 * sums - 1)",
    replace: "part * (before + sums)",
    why: "long sums in split operands would seem faster than they are",
    killers: [SUMS],
  },
  {
    name: "of a part of the job a dispatch moves all that it binds",
    file: TRAFFIC,
    find: "workspace.reached(binding, at)",
    replace: "binding.slice.bytes",
    why: "chunked training would be estimated a tenth too slow",
    killers: [STORED, STATISTICS],
  },
  {
    name: "a hidden gradient is one sum, however long",
    file: TRAFFIC,
    find: ' || kernel === "hidden-gradient"',
    replace: "",
    why: "one over a long window would seem faster than it is",
    killers: [SUMS],
  },
  {
    name: "the last, shorter sum is not counted",
    file: TRAFFIC,
    find: "Math.ceil(depth / longest)",
    replace: "Math.max(1, Math.floor(depth / longest))",
    why: "the same",
    killers: [SUMS],
  },
  {
    name: "moments are read before there are any",
    file: TRAFFIC,
    find: '"fusion-moments": { moments: "later" }',
    replace: '"fusion-moments": { moments: "always" }',
    why: "heads fused in one window would seem slower than they are",
    killers: [counted("moments of what is fused")],
  },
  {
    name: "statistics beside a teacher's are read before there are any",
    file: TRAFFIC,
    find: '"distill-statistics": { partials: "later" }',
    replace: '"distill-statistics": { partials: "always" }',
    why: "the same, of a student and its teacher",
    killers: [counted("statistics beside a teacher's")],
  },
  {
    name: "a gradient that is rounded adds to what lies there",
    file: TRAFFIC,
    find: '"round-gradient": { grad_weight: "later" }',
    replace: '"round-gradient": { grad_weight: "always" }',
    why: "gradients in 16 bits would seem slower than they are",
    killers: [counted("a gradient that is rounded")],
  },
  {
    name: "a shorter last window has as many sums to round as the others",
    file: "planner/schedule/backward.ts",
    find: "reached: window.count * columns",
    replace: "reached: cuts.windows[0]!.count * columns",
    why: "the same",
    killers: [counted("a gradient that is rounded")],
  },
  {
    name: "a shorter last block has as many parts' sums as the others",
    file: "planner/schedule/backward.ts",
    find: "reached: parts * block.count * hidden",
    replace: "reached: parts * cuts.blocks[0]!.count * hidden",
    why: "blocks that do not divide the tokens would seem slower than they are",
    killers: [counted("a block half as long")],
  },
  {
    name: "what the last wave leaves idle takes no time",
    file: TUNING,
    find: "unfilled: 0.5",
    replace: "unfilled: 0",
    why: "windows of a wave and a bit would seem as good as those of whole waves",
    killers: [WAVES, MEASURED],
  },
  {
    name: "waves end together",
    file: TUNING,
    find: "drain: 0.75",
    replace: "drain: 0",
    why: "many short dispatches would seem as fast as few long ones",
    killers: [WAVES, MEASURED],
  },
  {
    name: "a workgroup begins and ends in no time",
    file: TUNING,
    find: "ENDS_DEPTH = 440",
    replace: "ENDS_DEPTH = 44",
    why: "products over short depths would seem faster than they are",
    killers: [WAVES, MEASURED],
  },
  {
    name: "so it does in subgroup matrices",
    file: TUNING,
    find: "MATRIX_ENDS_DEPTH = 130",
    replace: "MATRIX_ENDS_DEPTH = 13",
    why: "the same",
    killers: [MATRICES, MEASURED],
  },
  {
    name: "only one workgroup's ends count in matrices",
    file: COST,
    find: "waves * (workgroupFlops + ends)",
    replace: "waves * workgroupFlops + ends",
    why: "the same",
    killers: [MATRICES, MEASURED],
  },
  {
    name: "values in bf16 become halves in no time",
    file: TUNING,
    find: "HALVING = 0.06",
    replace: "HALVING = 0.006",
    why: "bf16 would be promised the times of f16",
    killers: [MATRICES, MEASURED],
  },
  {
    name: "products in matrices hide what they read",
    file: COST,
    find: "arithmetic + traffic",
    replace: "Math.max(arithmetic, traffic)",
    why: "small tiles, which read more, would seem as good as large ones",
    killers: [MATRICES, MEASURED],
  },
  {
    name: "every tile is as fast as the preferred one",
    file: COST,
    find: "flopsPerSecond * relativeRate(tile, tiles)",
    replace: "flopsPerSecond",
    why: "plans would take tiles that a GPU is half as fast in",
    killers: [WAVES, MEASURED],
  },
  {
    name: "a guess is that matrices are slower than registers",
    file: TUNING,
    find: "MATRIX_GUESS = { gain: 4,",
    replace: "MATRIX_GUESS = { gain: 0.4,",
    why: "nobody would be planned products in matrices before they are measured",
    killers: [MATRICES],
  },
  {
    name: "three products of halves are guessed to take no longer than one",
    file: TUNING,
    find: "SPLIT_GUESS = 1 / 3",
    replace: "SPLIT_GUESS = 1",
    why: "products in split operands would be preferred where those in registers are faster",
    killers: [MATRICES],
  },
  {
    name: "a workgroup takes any number of tiles, one after the other",
    file: TUNING,
    find: "longest: 64, waves: 16",
    replace: "longest: 6400, waves: 16",
    why: "workgroups would drift apart, and share no caches",
    killers: [products("a workgroup in matrices takes")],
  },
  {
    name: "a depth has stretches of any length",
    file: TUNING,
    find: "longest: 32768",
    replace: "longest: 3276800",
    why: "the same, of hidden gradients over long windows",
    killers: [PARTS],
  },
  {
    name: "parts' sums take as much memory as logits and more",
    file: TUNING,
    find: "share: 0.5",
    replace: "share: 50",
    why: "a busy device would be paid for with the memory that lce exists to save",
    killers: [PARTS],
  },
  {
    name: "a depth is cut into few parts, be they slow",
    file: TUNING,
    find: "slack: 1.02",
    replace: "slack: 2",
    why: "small batches would leave most of a GPU idle",
    killers: [PARTS],
  },
  {
    name: "windows are as long as can be bound",
    file: TUNING,
    find: "BUSY_WAVES = 40",
    replace: "BUSY_WAVES = 4000",
    why: "a hundredth of the time would be paid for with three times the memory, and more",
    killers: [{ test: "planner/strategies/limits_test.ts" }],
  },
  {
    name: "half as fast is as fast",
    file: TUNING,
    find: "AS_FAST = 1.02",
    replace: "AS_FAST = 2",
    why: "a little memory would be bought with twice the time",
    killers: [chosen("of what is as fast")],
  },
  {
    name: "half of the memory is not worth saving",
    file: TUNING,
    find: "share: 0.01, bytes: 64 * 2 ** 20",
    replace: "share: 0.5, bytes: 64 * 2 ** 30",
    why: "logits would be stored that need not be",
    killers: [chosen("of what is as fast"), chosen("logits are stored")],
  },
  {
    name: "of a large job a hundredth is not worth saving, be it gigabytes",
    file: TUNING,
    find: "share: 0.01, bytes: 64 * 2 ** 20",
    replace: "share: 0.01, bytes: 64 * 2 ** 30",
    why: "the same, where logits take a hundredth",
    killers: [chosen("of what is as fast")],
  },
  {
    name: "dispatches may take as long as a watchdog waits",
    file: TUNING,
    find: "DISPATCH_SECONDS = 0.1",
    replace: "DISPATCH_SECONDS = 3",
    why: "Windows would reset the GPU, and browsers take the page's away",
    killers: [chosen("a tenth of a second"), { test: "planner/timely_test.ts" }],
  },
];

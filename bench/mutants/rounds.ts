/**
 * Errors in long runs: rounds, what is kept of them, and how long a dispatch takes.
 *
 * @module
 */
import { CLASS_ROUNDS, INTERRUPTED, JOURNAL, RESUMED, TIMELY } from "./killers.ts";
import type { Mutant } from "./mutant.ts";

/** Errors in rounds and their journal. */
export const ROUNDS: readonly Mutant[] = [
  {
    name: "a mean with class weights is cut into rounds",
    file: "fixtures/verify/rounds.ts",
    find: "if (problem.classWeight && hasReducedLoss(problem)) {",
    replace: "if (problem.classWeight && !hasReducedLoss(problem)) {",
    why: "it would be divided by how many tokens there are, and not by their weights",
    killers: [CLASS_ROUNDS],
  },
  {
    name: "a last round is filled up with tokens that count",
    file: "fixtures/verify/rounds.ts",
    find: "new Int32Array(rounds.tokens).fill(problem.ignoreIndex)",
    replace: "new Int32Array(rounds.tokens)",
    why: "losses would have targets in them that nobody gave",
    killers: [RESUMED],
  },
  {
    name: "every round has the hidden states of the first",
    file: "fixtures/verify/rounds.ts",
    find: "rangeOf(tensors.hidden, rowBytes * start,",
    replace: "rangeOf(tensors.hidden, 0 * start,",
    why: "losses would be of other tokens",
    killers: [RESUMED],
  },
  {
    name: "a run whose rounds are all kept runs none",
    file: "fixtures/verify/rounds.ts",
    find: "index < journal.finished && index < count - 1",
    replace: "index < journal.finished",
    why: "nothing would have been measured",
    killers: [RESUMED],
  },
  {
    name: "a damaged record of a journal is taken for good",
    file: "fixtures/files/journal.ts",
    find: "found.every((byte, at) => byte === bytes[this.#record + at])",
    replace: "found.length > 0",
    why: "a run would end with other bytes after a crash",
    killers: [JOURNAL],
  },
  {
    name: "a journal of another run is gone on with",
    file: "fixtures/files/journal.ts",
    find: "there.identity[name] !== identity[name]",
    replace: "name === undefined",
    why: "results of two inputs would be mixed",
    killers: [JOURNAL],
  },
  {
    name: "temporary files stay where a run is interrupted",
    file: "fixtures/files/write.ts",
    find: "  onInterrupt(() => Deno.removeSync(name, { recursive: true }));\n",
    replace: "  onInterrupt(() => undefined);\n",
    why: "every Ctrl-C would leave a file behind",
    killers: [INTERRUPTED],
  },
  {
    name: "windows are as long as they can be bound, however slow the device",
    file: "planner/strategies/limits.ts",
    find: "const most = DISPATCH_SHARE * DISPATCH_SECONDS;",
    replace: "const most = 1e9 * DISPATCH_SHARE * DISPATCH_SECONDS;",
    why: "a watchdog would end a dispatch",
    killers: [TIMELY],
  },
];

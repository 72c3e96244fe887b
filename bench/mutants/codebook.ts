/**
 * Errors in codebook heads.
 *
 * @module
 */
import { CODE_MAP, CODEBOOK, ORACLE } from "./killers.ts";
import type { Mutant } from "./mutant.ts";

const FILE = "planner/heads/codebook.ts";

/** Errors in what makes a problem over ids one over codes, and its results those over ids again. */
export const CODES: readonly Mutant[] = [
  {
    name: "the loss of an id is that of its code",
    file: FILE,
    find: "shared[token] = Math.log(this.counts[code]!);",
    replace: "shared[token] = 0;",
    why: "a codebook would seem to lose less than it does, by log n",
    killers: [CODE_MAP, CODEBOOK, ORACLE],
  },
  {
    name: "each code counts as one id",
    file: FILE,
    find: "count === 0 ? LOWEST : Math.log(count)",
    replace: "count === 0 ? LOWEST : 0",
    why: "codes of many ids would be as likely as those of one",
    killers: [CODEBOOK, ORACLE],
  },
  {
    name: "a code without ids counts as one id",
    file: FILE,
    find: "count === 0 ? LOWEST : Math.log(count)",
    replace: "Math.log(Math.max(1, count))",
    why: "a dead code would take probability from words, and be trained",
    killers: [CODEBOOK],
  },
  {
    name: "the ignored id is ignored among codes",
    file: FILE,
    find: "ignoreIndex: NO_CODE,",
    replace: "",
    why: "tokens whose code has the number of the ignored id would be left out",
    killers: [CODE_MAP],
  },
  {
    name: "under a mean the sum of log n is added",
    file: FILE,
    find: '(reduction === "mean" ? total / kept : total)',
    replace: "total",
    why: "the loss would grow with the batch",
    killers: [CODE_MAP, CODEBOOK, ORACLE],
  },
  {
    name: "a row of the weight that codes stand for begins where the last one did",
    file: "fixtures/codebook.ts",
    find: "const within = at % rowBytes;",
    replace: "const within = offset % rowBytes;",
    why: "a weight made of codes would be another one than the codes'",
    killers: [CODEBOOK],
  },
];

/**
 * Errors in codebook heads.
 *
 * @module
 */
import { CODE_MAP, CODEBOOK, K_MEANS, MADE_CODEBOOK, ORACLE } from "./killers.ts";
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
    find: "count === 0 ? -LARGEST_F32 : Math.log(count)",
    replace: "count === 0 ? -LARGEST_F32 : 0",
    why: "codes of many ids would be as likely as those of one",
    killers: [CODEBOOK, ORACLE],
  },
  {
    name: "a code without ids counts as one id",
    file: FILE,
    find: "count === 0 ? -LARGEST_F32 : Math.log(count)",
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
  {
    name: "codes are compared without their norms",
    file: "kernels/codebook/nearest.ts",
    find: "return -square / 2;",
    replace: "return -0 * square;",
    why: "long codes would take rows that are nearer to others",
    killers: [K_MEANS],
  },
  {
    name: "codes without rows stay where they are",
    file: "kernels/codebook/k_means.ts",
    find: "worst(rows, given.distances, dead.length)",
    replace: "worst(rows, given.distances, 0)",
    why: "a part of the codebook would stand for nothing",
    killers: [K_MEANS, MADE_CODEBOOK],
  },
  {
    name: "the last codes are not those that are stored",
    file: "kernels/codebook/k_means.ts",
    find: "reseeded++;\n      }\n      codes = new Float32Array(stored(codes));",
    replace: "reseeded++;\n      }",
    why: "rows would go by codes that the file does not have",
    killers: [K_MEANS],
  },
  {
    name: "the codes of a file may be of another head",
    file: "fixtures/files/codebook_file.ts",
    find: "codebook.hidden !== hidden || codebook.codes.length !== vocab",
    replace: "codebook.hidden !== hidden",
    why: "ids past those of the codebook would be refused one by one, or not at all",
    killers: [MADE_CODEBOOK],
  },
];

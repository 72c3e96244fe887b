/**
 * Errors in low-rank adapters.
 *
 * @module
 */
import { ADAPTER, ADAPTER_FILES } from "./killers.ts";
import type { Mutant } from "./mutant.ts";

/** Errors in what of a head has gradients. */
export const ADAPTERS: readonly Mutant[] = [
  {
    name: "gradients are as wide as the head",
    file: "planner/heads/head.ts",
    find:
      "export function trainedColumns({ hidden, adapter = hidden }: Head): number {\n  return adapter;",
    replace:
      "export function trainedColumns({ hidden, adapter = hidden }: Head): number {\n  return adapter && hidden;",
    why: "training an adapter would take the memory of training the whole head",
    killers: [ADAPTER],
  },
  {
    name: "rows of a gradient lie as far apart as those of the head",
    file: "kernels/wgsl/gradients.ts",
    find: "columns: trainedColumns(headOf(problem)),",
    replace: "columns: headOf(problem).hidden,",
    why: "one row's gradient would lie over the next one's",
    killers: [ADAPTER],
  },
  {
    name: "parts of a hidden gradient are summed as wide as the head",
    file: "kernels/wgsl/gradients.ts",
    find: "  const hidden = trainedColumns(headOf(problem));",
    replace: "  const { hidden } = headOf(problem);",
    why: "sums would be of other tokens' parts",
    killers: [ADAPTER],
  },
  {
    name: "an adapter of any rank is taken in matrices",
    file: "planner/schedule/matrix_tiles.ts",
    find: "adapter % VECTOR !== 0",
    replace: "adapter % VECTOR === -1",
    why: "rows of a gradient would begin within a vector of four",
    killers: [ADAPTER],
  },
  {
    name: "the gradient of A is by the other rows",
    file: "planner/heads/adapter.ts",
    find: "byProducts[token * rank + row]!",
    replace: "byProducts[token * rank + (rank - 1 - row)]!",
    why: "an adapter would be trained in the wrong directions",
    killers: [ADAPTER],
  },
  {
    name: "an adapter's scale is left out of the gradient of A",
    file: "cli/files/run_output.ts",
    find: "(value) => scale * value",
    replace: "(value) => value",
    why: "a trainer would step by another length than its optimiser asks for",
    killers: [ADAPTER_FILES],
  },
  {
    name: "an adapter is added by its rank, whatever rank a layer has of its own",
    file: "fixtures/files/adapter_file.ts",
    find: "const rank = ofLayer(rank_pattern) ?? r;",
    replace: "const rank = r;",
    why: "PEFT's folders with ranks by layer would be refused, or scaled wrongly",
    killers: [ADAPTER_FILES],
  },
];

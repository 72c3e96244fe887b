/**
 * What a dispatch reads and writes: of each buffer that it binds, the bytes of the part of the
 * job that it works on, each once. What it reads again, caches are taken to hold.
 *
 * @module
 */
import { flopsOver } from "./cost.ts";
import { kindOf } from "./tile.ts";
import type { Binding, Dispatch, KernelName } from "./schedule.ts";
import type { Region } from "./shape.ts";
import type { Workspace } from "./workspace.ts";

/**
 * What kernels read of that which they write: always, or from the second block or window on, when
 * they add to what is there. All else they only write.
 */
export const ALSO_READ: {
  readonly [Kernel in KernelName]?: Readonly<Record<string, "always" | "later">>;
} = {
  "operand-bound": { operand_bounds: "always" },
  "row-scales": { halves: "always" },
  "forward": { partials: "later" },
  "distill-statistics": { partials: "later" },
  "distill-mixture": { partials: "always" },
  "fusion-moments": { moments: "later" },
  "fold-partials": { statistics: "always" },
  "coefficients": { gradient_bound: "always" },
  "stored-logit-gradient": { logits: "always" },
  "distill-gradient": { logits: "always", teacher_logits: "always" },
  "weight-gradient": { grad_weight: "later" },
  "hidden-gradient": { grad_hidden: "always" },
  "hidden-sum": { grad_hidden: "always" },
  "bias-gradient": { grad_bias: "always" },
  "round-gradient": { grad_weight: "later" },
};

/** Returns the bytes that a kernel reads and writes on a part of the job. */
export function trafficOf(
  workspace: Workspace,
  kernel: KernelName,
  bindings: readonly Binding[],
  at: Region,
  work: Partial<Dispatch>,
): number {
  const sums = sumsOf(kernel, work);
  let bytes = 0;
  for (const binding of bindings) {
    const { slot, access, onlyRead } = binding;
    const part = workspace.reached(binding, at);
    if (access === "read" || onlyRead) {
      bytes += part;
      continue;
    }
    const read = ALSO_READ[kernel]?.[slot];
    const before = read === "always" || read === "later" && !at.first ? 1 : 0;
    bytes += part * (before + 2 * sums - 1);
  }
  return bytes;
}

/** Returns how many sums a gradient is added up from, where one must not be long: all but the first read the others. */
function sumsOf(kernel: KernelName, { tile, workgroupFlops = 0 }: Partial<Dispatch>): number {
  const longest = tile && kindOf(tile).longestSum;
  if (!longest || !(kernel === "weight-gradient" || kernel === "hidden-gradient")) return 1;
  const depth = workgroupFlops / flopsOver(tile, 1);
  return Math.ceil(depth / longest);
}

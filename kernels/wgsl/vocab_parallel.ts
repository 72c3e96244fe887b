/**
 * Kernels between the statistics of a rank's own rows and those of the whole
 * vocabulary. The max comes first: once every rank knows that of all, the others
 * are relative to it on every rank, and are sums.
 *
 * @module
 */
import { LINEAR_WORKGROUP } from "../../planner/schedule/combining.ts";
import type { KernelContext } from "./context.ts";
import { inBlocks, KEPT_COUNT } from "./logit.ts";
import { OnlineStatistics } from "./statistics.ts";
import { block, kernel, LOWEST } from "./text.ts";

/**
 * Returns a kernel with an invocation for each kept token of a block, `token` its place among those
 * of all.
 */
function perToken(
  { dispatch }: KernelContext,
  title: string,
  body: readonly string[],
  functions: readonly string[] = [],
): string {
  return kernel(dispatch, {
    title,
    functions,
    workgroup: LINEAR_WORKGROUP,
    builtins: ["invocation"],
    body: [
      block([`return;`], `if (invocation.x >= ${KEPT_COUNT})`),
      `let token = ${inBlocks("invocation.x")};`,
      ...body,
    ],
  });
}

/** Returns the largest logit among the rank's own: all that the other ranks need at first. */
export function localMax(context: KernelContext): string {
  const { problem, splits } = context.schedule;
  const online = new OnlineStatistics(problem);
  return perToken(context, "the largest logit of a token among the rank's rows.", [
    `var top = ${LOWEST};`,
    block(
      [`top = max(top, bitcast<f32>(${online.slot("max", "split", "token")}));`],
      `for (var split = 0u; split < ${splits}u; split++)`,
    ),
    `${online.slot("max", 0, "token", "statistics")} = bitcast<u32>(top);`,
  ]);
}

/**
 * Returns the rank's splits folded into a set that holds nothing but the max of all ranks. What it
 * lacks are the other ranks' terms, which now only have to be added.
 */
export function foldPartials(context: KernelContext): string {
  const { problem, splits } = context.schedule;
  const online = new OnlineStatistics(problem);
  return perToken(context, "the rank's splits in one set, relative to all ranks' max.", [
    `// A set that has the max of all ranks takes in the rank's own.`,
    ...online.declare("0"),
    `max0 = bitcast<f32>(${online.slot("max", 0, "token", "statistics")});`,
    ...online.foldSplits("0", splits, "token"),
    ...online.write("0", 0, "token", "statistics"),
  ], online.listFunctions);
}

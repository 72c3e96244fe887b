/**
 * Kernels between the statistics of a rank's own rows and those of the whole
 * vocabulary. The max comes first: once every rank knows that of all, the others
 * are relative to it on every rank, and are sums.
 *
 * @module
 */
import { LINEAR_WORKGROUP } from "../planner/strategies/draft.ts";
import { KEPT_COUNT } from "./logit.ts";
import { OnlineStatistics } from "./online.ts";
import { declarations, indent, type KernelContext, LOWEST } from "./wgsl.ts";

/** A kernel with an invocation for each kept token of a block, `token` its place among them. */
function perToken(context: KernelContext, title: string, body: readonly string[]): string {
  return `// ${title}

${declarations(context.dispatch, { kept: "u32", partials: "u32", statistics: "u32" })}

@compute @workgroup_size(${LINEAR_WORKGROUP})
fn main(@builtin(global_invocation_id) invocation: vec3<u32>) {
  if (invocation.x >= ${KEPT_COUNT}) {
    return;
  }
  let token = params.token_start + invocation.x;
${indent(body)}
}
`;
}

/** The largest logit among the rank's own: all that the other ranks need at first. */
export function localMax(context: KernelContext): string {
  const { problem, splits } = context.schedule;
  const online = new OnlineStatistics(problem);
  return perToken(context, "local-max: the largest logit of a token among the rank's rows.", [
    `var top = ${LOWEST};`,
    `for (var split = 0u; split < ${splits}u; split++) {`,
    `  top = max(top, bitcast<f32>(${online.slot("max", "split", "token")}));`,
    `}`,
    `${online.slot("max", "0u", "token", "statistics")} = bitcast<u32>(top);`,
  ]);
}

/**
 * The rank's splits folded into a set that holds nothing but the max of all
 * ranks. What it lacks are the other ranks' terms, which now only have to be added.
 */
export function foldPartials(context: KernelContext): string {
  const { problem, splits } = context.schedule;
  const online = new OnlineStatistics(problem);
  return perToken(
    context,
    "fold-partials: the rank's splits in one set, relative to all ranks' max.",
    [
      online.declare("0").replaceAll("; ", ";\n"),
      `max0 = bitcast<f32>(${online.slot("max", "0u", "token", "statistics")});`,
      `for (var split = 0u; split < ${splits}u; split++) {`,
      indent([online.read("_next", "split", "token"), online.fold("0", "_next")]),
      `}`,
      online.write("0", "0u", "token", "statistics"),
    ],
  );
}

/**
 * What of each sub-token of a hidden state lies along the direction that a weight gradient of
 * rank one is taken along.
 *
 * @module
 */
import { headOf } from "../../planner/problem.ts";
import { LINEAR_WORKGROUP } from "../../planner/schedule/combining.ts";
import type { KernelContext } from "./context.ts";
import { KEPT_COUNT, keptRow } from "./logit.ts";
import { loadVector, storedType } from "./stored.ts";
import { block, kernel, literal, plus, scaled } from "./text.ts";

/** `z = s <h, v>` for each sub-token of each kept token of a block, an invocation for each. */
export function subTokens(context: KernelContext): string {
  const { dispatch, schedule: { problem, tile } } = context;
  const { subTokenScale = 1 } = problem;
  const count = problem.subTokens!;
  const head = headOf(problem);
  const length = head.hidden / count;
  const times = subTokenScale === 1 ? "" : `${literal(subTokenScale)} * `;
  return kernel(dispatch, {
    title: "what of each sub-token lies along the direction, times the scale.",
    types: { hidden: storedType(head, tile) },
    functions: [loadVector("hidden", head, tile, head.hidden)],
    workgroup: LINEAR_WORKGROUP,
    builtins: ["group", "lane"],
    body: [
      `let position = group.y;`,
      `let sub_token = group.x * ${LINEAR_WORKGROUP}u + lane;`,
      block([`return;`], `if (sub_token >= ${count}u || position >= ${KEPT_COUNT})`),
      `let row = ${keptRow(context, "position")};`,
      `var sum = 0f;`,
      block([
        `let column = ${plus(scaled("sub_token", length), "i")};`,
        `sum += load_hidden(row, column / 4u)[column % 4u] * direction[i];`,
      ], `for (var i = 0u; i < ${length}u; i++)`),
      `projections[${plus(scaled("row", count), "sub_token")}] = ${times}sum;`,
    ],
  });
}

/**
 * A teacher that is known by a list: a window of its logits, as if it had a head.
 *
 * @module
 */
import type { KernelContext } from "./context.ts";
import { KEPT_COUNT, keptRow } from "./logit.ts";
import { block, kernel, LOWEST, plus } from "./text.ts";

/** Invocations that share a row. */
const LANES = 64;

/** Returns the kernel that writes a window of a teacher's logits: those listed, and else the lowest there is. */
export function listLogits(context: KernelContext): string {
  const { dispatch, schedule: { problem, logitStride } } = context;
  const { listed = 0 } = problem.distill!;
  return kernel(dispatch, {
    title: "a window of the logits of a teacher that is listed, a workgroup for each token.",
    workgroup: LANES,
    builtins: ["group", "lane"],
    body: [
      `let position = group.x;`,
      block([`return;`], `if (position >= ${KEPT_COUNT})`),
      `let token = ${plus("params.token_start", keptRow(context, "position"))};`,
      `let row = position * ${logitStride}u + params.column;`,
      `// Nothing at first, whatever was there.`,
      block(
        [`teacher_logits[row + column] = ${LOWEST};`],
        `for (var column = lane; column < params.vocab; column += ${LANES}u)`,
      ),
      `storageBarrier();`,
      `// An id of another window is past this one's end, and so is what is no id.`,
      block(
        [
          `let column = u32(teacher_ids[at]) - params.vocab_start;`,
          block(
            [`teacher_logits[row + column] = max(teacher_logprobs[at], ${LOWEST});`],
            `if (column < params.vocab)`,
          ),
        ],
        `for (var at = token * ${listed}u + lane; at < (token + 1u) * ${listed}u; at += ${LANES}u)`,
      ),
    ],
  });
}

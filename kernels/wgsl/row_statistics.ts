/**
 * Online statistics of stored logits: of one head's whole rows, or of a window of a student's
 * beside its teacher's.
 *
 * @module
 */
import { headOf } from "../../planner/problem.ts";
import type { KernelContext } from "./context.ts";
import { inBlocks, KEPT_COUNT, keptTarget, namesSeed, smoothingWeightOf } from "./logit.ts";
import { scratchOf } from "./product.ts";
import { foldIntoFirst } from "./sharing.ts";
import { NO_ID } from "./statistic_text.ts";
import { OnlineStatistics } from "./statistics.ts";
import { block, COMPONENTS, index, kernel, LOWEST, minus, over, plus, times } from "./text.ts";

/** Invocations that share a row. */
const LANES = 64;

/** A window of the vocabulary that lies in stored rows. */
const WINDOW = { column: "params.column", ids: "params.vocab", id: "params.vocab_start" };

/**
 * Returns the kernel that makes one set of statistics of each row. Beside a teacher it takes a
 * window of both heads' logits, and what the windows before left; else whole rows.
 */
export function rowStatistics(context: KernelContext): string {
  const { dispatch, schedule: { problem, logitStride, share } } = context;
  const taught = problem.distill !== undefined;
  // What names of logits begin with, for each head.
  const heads = taught ? ["", "teacher_"] : [""];
  // A rank's columns are counted from its first id.
  const whole = { column: 0, ids: headOf(problem).vocab, id: share?.vocabStart ? WINDOW.id : 0 };
  const stored = taught ? WINDOW : whole;
  const online = new OnlineStatistics(problem);
  const entries = times(4, (i) => ({
    logit: `z${i}`,
    id: `id${i}`,
    weight: `weight${i}`,
    teacher: `teacher_z${i}`,
  }));
  const known = times(4, (i) => {
    const column = plus("first", i);
    const within = plus(stored.id, `min(${column}, ${minus(stored.ids, 1)})`);
    return [
      `let exists${i} = ${column} < ${index(stored.ids)};`,
      ...heads.map((head) => {
        const logit = `${head}quad_of_row.${COMPONENTS[i]}`;
        // What masks an id may be lower than the lowest: differences of it stay finite.
        const entered = taught ? `max(${logit}, ${LOWEST})` : logit;
        return `let ${head}z${i} = select(${LOWEST}, ${entered}, exists${i});`;
      }),
      `let id${i} = select(${NO_ID}, ${plus(stored.id, column)}, exists${i});`,
      ...(problem.labelSmoothing > 0
        ? [`let weight${i} = select(0f, ${smoothingWeightOf(context, within)}, exists${i});`]
        : []),
    ];
  });
  // One row's sets, of half of the invocations at a time.
  const height = (LANES / 2) * online.quads;
  const token = inBlocks("position");
  const before = [
    `// What the windows before left goes in too.`,
    block(
      [...online.read("_before", 0, token), ...online.fold("0", "_before")],
      `if (params.first == 0u)`,
    ),
  ];
  return kernel(dispatch, {
    title: taught
      ? "online statistics of a window of both heads' logits, a workgroup for each token."
      : "online statistics of stored logits, a workgroup for each token.",
    types: Object.fromEntries(heads.map((head) => [`${head}logits`, "vec4<f32>"])),
    functions: online.takingFunctions,
    memory: [`var<workgroup> sets: array<vec4<f32>, ${height}>;`],
    workgroup: LANES,
    builtins: ["group", "lane"],
    body: [
      `let position = group.x;`,
      block([`return;`], `if (position >= ${KEPT_COUNT})`),
      `let id_of_target = ${keptTarget(context, "position")};`,
      ...namesSeed(context, "position"),
      ...online.declare("0"),
      `// Each invocation takes four logits of a head at a time, in strides of all.`,
      block([
        `let at = ${plus(`position * ${logitStride / 4}u`, over(stored.column, 4), "quad")};`,
        ...heads.map((head) => `let ${head}quad_of_row = ${head}logits[at];`),
        `let first = quad * 4u;`,
        ...known.flat(),
        ...online.update("0", entries, "id_of_target"),
      ], `for (var quad = lane; quad < ${over(plus(stored.ids, 3), 4)}; quad += ${LANES}u)`),
      `// Half of the invocations hand their sets to the others, until one is left.`,
      ...foldIntoFirst(online, {
        sets: [{ set: "0", row: 0 }],
        sharers: { count: LANES, index: "lane" },
        rows: 1,
        scratch: [scratchOf(height, 1, (line) => `sets[${line}]`)],
      }),
      block([...(taught ? before : []), ...online.write("0", 0, token)], `if (lane == 0u)`),
    ],
  });
}

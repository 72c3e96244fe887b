/**
 * Kernels around the projection `H Wᵀ`: `forward` folds the logits of a tile
 * into online statistics, `project` stores them, `logit-gradient` stores the
 * gradient with respect to them. They differ in their last lines only.
 *
 * @module
 */
import { product } from "./bodies.ts";
import type { KernelContext } from "./context.ts";
import {
  AGREEMENT_MEMORY,
  agreeOnTile,
  biasOf,
  coefficientsFunction,
  DEVIATION_FUNCTION,
  gradientFunction,
  gradientText,
  inBlocks,
  KEPT_COUNT,
  keptRow,
  keptTarget,
  logitFunction,
  logitText,
  smoothingWeightOf,
  tileFlag,
} from "./logit.ts";
import { keepsHalves, packed, SCALE_FUNCTION } from "./halves.ts";
import { type Body, eachRound, type Round } from "./product.ts";
import { foldByRow } from "./sharing.ts";
import { NO_ID, OnlineStatistics } from "./statistics.ts";
import { loadVector, storedType } from "./stored.ts";
import { block, comment, COMPONENTS, kernel, literal, LOWEST, over, plus, times } from "./text.ts";
import { filterThreshold, headOf } from "../../planner/problem.ts";
import { VECTOR, workgroupSize } from "../../planner/schedule/tile.ts";

/** Returns the product of a block's kept hidden states with a window of the weight. */
function projection(context: KernelContext): Body {
  // Rows past the end are clamped to the last one: their results are never used.
  return product(context, {
    layout: "inner",
    row: (local) => keptRow(context, `min(${plus("first_row", local)}, kept_count - 1u)`),
    load: (row, quad) => `load_hidden(${row}, ${quad})`,
  }, {
    layout: "inner",
    row: (local) => `min(${plus("first_column", local)}, params.vocab - 1u)`,
    load: (row, quad) => `load_weight(${row}, ${quad})`,
  });
}

/** Returns names the first row and column of a workgroup's tile. */
function tileStart({ dispatch: { tile, order } }: KernelContext): string[] {
  const { rows } = tile!;
  const { band, run = 1 } = order ?? {};
  const cols = run * tile!.cols;
  const first = run === 1 ? "first_column" : "first_of_run";
  if (band === undefined) {
    return [`let first_row = group.x * ${rows}u;`, `let ${first} = group.y * ${cols}u;`];
  }
  return [
    comment(
      `Tiles in bands of ${band} token tiles, each from the first vocabulary tile to the last: workgroups that run together then share operands. The last band may be lower.`,
    ),
    `let row_tiles = (params.tokens + ${rows - 1}u) / ${rows}u;`,
    `let column_tiles = (params.vocab + ${cols - 1}u) / ${cols}u;`,
    `let number = group.y * row_tiles + group.x;`,
    `let first_of_band = number / (${band}u * column_tiles) * ${band}u;`,
    `let height = min(${band}u, row_tiles - first_of_band);`,
    `let in_band = number - first_of_band * column_tiles;`,
    `let first_row = (first_of_band + in_band % height) * ${rows}u;`,
    `let ${first} = in_band / height * ${cols}u;`,
  ];
}

/** What one of the kernels adds to the projection. */
interface Ending {
  readonly title: string;
  /** What slots are read as, where it is not what the others have. */
  readonly types?: Readonly<Record<string, string>>;
  readonly memory?: readonly string[];
  readonly functions?: readonly string[];
  /** What comes before the results of a first tile. */
  readonly before?: (body: Body) => readonly string[];
  /** What becomes of a tile's results. */
  readonly body: (body: Body) => readonly string[];
  /** What comes after those of a last one. */
  readonly after?: (body: Body) => readonly string[];
}

/** Returns the kernel that computes one tile of logits and ends in what is given. */
function tileKernel(context: KernelContext, ending: Ending): string {
  const { dispatch, schedule: { problem } } = context;
  const tile = dispatch.tile!;
  const body = projection(context);
  const sum = body.sum({ from: "0u", to: `${headOf(problem).hidden}u` });
  const [before, each, after] = [ending.before, ending.body, ending.after]
    .map((text) => text?.(body) ?? []) as [string[], string[], string[]];
  const { run = 1 } = dispatch.order ?? {};
  return kernel(dispatch, {
    title: ending.title,
    ...body.needs,
    types: {
      hidden: storedType(problem, tile),
      weight: storedType(problem, tile),
      ...ending.types,
    },
    memory: [...body.memory, ...(ending.memory ?? [])],
    functions: [
      loadVector("hidden", problem, tile, tile.depth),
      loadVector("weight", problem, tile, tile.depth),
      ...body.functions,
      logitFunction(headOf(problem)),
      ...(ending.functions ?? []),
    ],
    workgroup: workgroupSize(tile),
    builtins: ["group", "lane", ...body.needs.builtins],
    body: [
      `let kept_count = ${KEPT_COUNT};`,
      ...tileStart(context),
      block([`return;`], `if (first_row >= kept_count)`),
      ...body.names,
      ...(run === 1 ? [...sum, ...before, ...each] : [
        ...before,
        comment(`${run} vocabulary tiles, one after the other.`),
        `let end_of_run = min(first_of_run + ${run * tile.cols}u, params.vocab);`,
        block(
          [...sum, ...each],
          `for (var first_column = first_of_run; first_column < end_of_run; first_column += ${tile.cols}u)`,
        ),
      ]),
      ...after,
    ],
  });
}

/**
 * Projection, then online statistics per token; logits never leave the
 * registers. A workgroup takes one tile and folds it into what the same place
 * in the last window left: in registers a loop over tiles would keep its counters
 * alive through the product, and on an H100 those few registers halve the workgroups
 * that fit on a multiprocessor (30 instead of 40 TFLOP/s). In subgroup matrices it
 * takes a run of tiles: what it does before and after them, no other workgroup hides.
 */
export function forward(context: KernelContext): string {
  const { dispatch, schedule: { problem } } = context;
  const tile = dispatch.tile!;
  const online = new OnlineStatistics(problem);
  const token = inBlocks("position");
  const { run = 1 } = dispatch.order ?? {};
  const split = run === 1 ? over("first_column", tile.cols) : over("first_of_run", run * tile.cols);
  return tileKernel(context, {
    title: "logits of a token tile and a vocabulary tile, folded into online statistics.",
    before: (body) => [
      `// Online statistics of the invocation's logits: a set for each of its rows.`,
      ...body.rows.flatMap((_, row) => online.declare(`${row}`)),
    ],
    body: (body) =>
      eachRound(body, (round) => [
        ...columnsOfRound(context, round),
        ...round.rows.map((row, i) => takeRow(context, online, body, round, { row, i })),
      ]),
    after: (body) => [
      comment(
        `Each row is shared by ${body.sharers.count} invocations: their sets become one.`,
      ),
      ...foldByRow(online, {
        sets: body.rows.map((row, i) => ({ set: `${i}`, row })),
        sharers: body.sharers,
        rows: tile.rows,
        scratch: body.scratch,
      }, {
        workgroup: workgroupSize(tile),
        into: "_row",
        names: (row) => [`let position = ${plus("first_row", row)};`],
        wanted: "position < kept_count",
        then: [
          `// What the windows before left in this set goes in too.`,
          block(
            [...online.read("_before", split, token), ...online.fold("_row", "_before")],
            `if (params.first == 0u)`,
          ),
          ...online.write("_row", split, token),
        ],
      }),
    ],
  });
}

/**
 * Names what is known of each column of a round: whether it exists, its id, bias
 * and smoothing weight. A column past the window has an id that is no target's,
 * and no weight: it may lie in the next window.
 */
function columnsOfRound(context: KernelContext, round: Round): string[] {
  const { schedule: { problem } } = context;
  return [
    `// The columns: those past the window have no id, and their logits do not count.`,
    ...round.columns.flatMap((column, j) => {
      const known = `known${j}`;
      const bias = biasOf(context, known);
      const smooth = problem.labelSmoothing > 0;
      return [
        `let column${j} = ${plus("first_column", column)};`,
        `let exists${j} = column${j} < params.vocab;`,
        `let id${j} = select(${NO_ID}, params.vocab_start + column${j}, exists${j});`,
        ...(bias || smooth
          ? [`let known${j} = params.vocab_start + min(column${j}, params.vocab - 1u);`]
          : []),
        ...(bias ? [`let bias${j} = ${bias};`] : []),
        ...(smooth
          ? [`let weight${j} = select(0f, ${smoothingWeightOf(context, known)}, exists${j});`]
          : []),
      ];
    }),
  ];
}

/** Takes a round's logits of one row, the `i`-th of the round, into the row's set. */
function takeRow(
  context: KernelContext,
  online: OnlineStatistics,
  body: Body,
  round: Round,
  { row, i }: { row: number; i: number },
): string {
  const { problem } = context.schedule;
  const position = `min(${plus("first_row", body.rows[row]!)}, kept_count - 1u)`;
  const entries = round.columns.map((_, j) => ({
    logit: `z${j}`,
    id: `id${j}`,
    weight: `weight${j}`,
  }));
  return block([
    `let id_of_target = ${keptTarget(context, position)};`,
    ...entries.map(({ logit }, j) => {
      const z = logitText(round.value(i, j), headOf(problem).bias ? `bias${j}` : undefined);
      return `let ${logit} = select(${LOWEST}, ${z}, exists${j});`;
    }),
    ...online.update(`${row}`, entries, "id_of_target"),
  ]);
}

/**
 * Returns statements for each result of a product that is a logit of a kept token and of an id of
 * the window. `position` and `column` are in scope, and so is what `row` names; `id` and its logit
 * `z` are too.
 */
function forEachLogit(
  context: KernelContext,
  body: Body,
  statements: { readonly row: readonly string[]; readonly logit: readonly string[] },
): string[] {
  return eachRound(body, (round) =>
    round.rows.map((row, i) =>
      block([
        `let position = ${plus("first_row", body.rows[row]!)};`,
        block([
          ...statements.row,
          ...round.columns.map((column, j) =>
            block([
              `let column = ${plus("first_column", column)};`,
              block([
                `let id = params.vocab_start + column;`,
                `let z = ${logitText(round.value(i, j), biasOf(context, "id"))};`,
                ...statements.logit,
              ], `if (column < params.vocab)`),
            ])
          ),
        ], `if (position < kept_count)`),
      ])
    ));
}

/**
 * Returns statements for each four results of a product that follow each other in a row of a kept
 * token, past the window too: `column` is the first of them.
 */
function forEachQuad(
  body: Body,
  statements: { readonly row: readonly string[]; readonly quad: QuadText },
): string[] {
  return eachRound(body, (round) =>
    round.rows.map((row, i) =>
      block([
        `let position = ${plus("first_row", body.rows[row]!)};`,
        block([
          ...statements.row,
          ...times(round.columns.length / 4, (q) =>
            block([
              `let column = ${plus("first_column", round.columns[4 * q]!)};`,
              ...statements.quad((c) => round.value(i, 4 * q + c)),
            ])),
        ], `if (position < kept_count)`),
      ])
    ));
}

/** Statements about four results, given the text of each. */
type QuadText = (value: (index: number) => string) => readonly string[];

/** Returns where a logit, or its gradient, is stored in f32. */
function stored(stride: number): string {
  return `logits[position * ${stride}u + params.column + column]`;
}

/** Projection, logits stored: the first of two stages. */
export function project(context: KernelContext): string {
  const { schedule } = context;
  return tileKernel(context, {
    title: "logits of a token tile and a vocabulary tile, stored.",
    body: (body) => [
      `// Store the logits of tokens and ids that exist.`,
      ...forEachLogit(context, body, { row: [], logit: [`${stored(schedule.logitStride)} = z;`] }),
    ],
  });
}

/**
 * Projection again, the gradient by the logits stored. With a filter, a tile
 * whose every deviation is below the threshold is flagged, and what it stored is
 * read by nobody.
 */
export function logitGradient(context: KernelContext): string {
  const { schedule } = context;
  const { problem, gradientStride } = schedule;
  const threshold = filterThreshold(problem);
  const halves = keepsHalves(schedule);
  const gradient = gradientText(context);
  const row = [`let token = coefficients_of(${inBlocks("position")});`];
  const isBusy = (exists?: string) => {
    const deviates = `deviation_of(z, id, token) >= ${literal(threshold)}`;
    const counts = exists === undefined ? deviates : `(${exists} && ${deviates})`;
    return threshold > 0 ? [`busy = busy || ${counts};`] : [];
  };
  // Past the window come zeros, up to a whole vector of those who read it.
  const quad: QuadText = (value) => [
    `var gradients = vec4<f32>();`,
    ...times(4, (c) =>
      block([
        `let exists = ${plus("column", c)} < params.vocab;`,
        `let id = params.vocab_start + min(${plus("column", c)}, params.vocab - 1u);`,
        `let z = ${logitText(value(c), biasOf(context, "id"))};`,
        ...isBusy("exists"),
        `gradients.${COMPONENTS[c]} = select(0f, ${gradient} * scale, exists);`,
      ])),
    block(
      [`logits[${over(`(position * ${gradientStride}u + params.column + column)`, 4)}] = ${
        packed("gradients")
      };`],
      `if (column < (params.vocab + ${VECTOR - 1}u) / ${VECTOR}u * ${VECTOR}u)`,
    ),
  ];
  return tileKernel(context, {
    title: "logits of a tile recomputed, and the gradient with respect to them stored.",
    types: halves ? { logits: "vec2<u32>" } : {},
    memory: threshold > 0 ? [AGREEMENT_MEMORY] : [],
    functions: [
      coefficientsFunction(problem),
      gradientFunction(problem),
      ...(threshold > 0 ? [DEVIATION_FUNCTION] : []),
      ...(halves ? [SCALE_FUNCTION] : []),
    ],
    body: (body) => [
      ...(threshold > 0 ? [`var busy = false;`] : []),
      `// From each logit to its gradient, where token and id exist.`,
      ...(halves
        ? [`let scale = gradient_scale();`, ...forEachQuad(body, { row, quad })]
        : forEachLogit(context, body, {
          row,
          logit: [...isBusy(), `${stored(gradientStride)} = ${gradient};`],
        })),
      ...(threshold > 0 ? agreeOnTile(tileFlag(context, "first_row", "first_column")) : []),
    ],
  });
}

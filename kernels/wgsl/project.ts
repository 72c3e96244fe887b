/**
 * Kernels around the projection `H Wᵀ`: `forward` folds the logits of a tile
 * into online statistics, `project` stores them, `logit-gradient` stores the
 * gradient with respect to them. They differ in their last lines only.
 *
 * @module
 */
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
  keptTarget,
  logitText,
  namesSeed,
  noteBusy,
  smoothingWeightOf,
  tileFlag,
} from "./logit.ts";
import { keepsHalves, packed, SCALE_FUNCTION } from "./halves.ts";
import { forEachLogit, forEachQuad, type QuadText, tileKernel } from "./logit_tile.ts";
import { type Body, eachRound, type Round } from "./product.ts";
import { foldByRow } from "./sharing.ts";
import { NO_ID } from "./statistic_text.ts";
import { OnlineStatistics } from "./statistics.ts";
import { block, comment, COMPONENTS, LOWEST, over, plus, times } from "./text.ts";
import { filterThreshold, headOf } from "../../planner/problem.ts";
import { inSubgroups, kindOf, workgroupSize } from "../../planner/schedule/tile.ts";

/**
 * Projection, then online statistics per token; logits never leave the
 * registers. A workgroup takes one tile and folds it into what the
 * last window left in the same set: in registers a loop over tiles would keep its counters
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
    functions: online.takingFunctions,
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
    ...namesSeed(context, position),
    ...entries.map(({ logit }, j) => {
      const z = logitText(round.value(i, j), headOf(problem).bias ? `bias${j}` : undefined);
      return `let ${logit} = select(${LOWEST}, ${z}, exists${j});`;
    }),
    ...online.update(`${row}`, entries, "id_of_target"),
  ]);
}

/** Returns where a logit, or its gradient, is stored in f32. */
function stored(stride: number): string {
  return `logits[position * ${stride}u + params.column + column]`;
}

/** Projection, logits stored: the first of two stages. */
export function project(context: KernelContext): string {
  const { schedule: { logitStride }, dispatch } = context;
  const title = "logits of a token tile and a vocabulary tile, stored.";
  if (!inSubgroups(dispatch.tile!)) {
    return tileKernel(context, {
      title,
      body: (body) => [
        `// Store the logits of tokens and ids that exist.`,
        ...forEachLogit(context, body, { row: [], logit: [`${stored(logitStride)} = z;`] }),
      ],
    });
  }
  return tileKernel(context, {
    title,
    types: { logits: "vec4<f32>" },
    body: (body) => [
      `// Store the logits of tokens that exist, four at a time; past the last id come zeros.`,
      ...forEachQuad(body, {
        row: [],
        quad: (value) => [
          block([
            ...times(4, (c) => {
              const id = `params.vocab_start + min(${plus("column", c)}, params.vocab - 1u)`;
              const z = logitText(value(c), biasOf(context, id));
              return `let z${c} = select(0f, ${z}, ${plus("column", c)} < params.vocab);`;
            }),
            `logits[${
              over(`(position * ${logitStride}u + params.column + column)`, 4)
            }] = vec4<f32>(z0, z1, z2, z3);`,
          ], `if (column < params.vocab)`),
        ],
      }),
    ],
  });
}

/**
 * Projection again, the gradient by the logits stored. With a filter, a tile
 * whose every deviation is below the threshold is flagged, and what it stored is
 * read by nobody.
 */
export function logitGradient(context: KernelContext): string {
  const { schedule, dispatch } = context;
  const { problem, gradientStride } = schedule;
  const filters = filterThreshold(problem) > 0;
  const quads = inSubgroups(dispatch.tile!);
  const halves = keepsHalves(schedule);
  const [type, words, scale] = halves
    ? ["vec2<u32>", packed("gradients"), " * scale"]
    : ["vec4<f32>", "gradients", ""];
  const gradient = gradientText(context);
  const { vector } = kindOf(dispatch.tile!);
  const row = [`let token = coefficients_of(${inBlocks("position")});`];
  // Past the window come zeros, up to a whole vector of those who read it.
  const quad: QuadText = (value) => [
    `var gradients = vec4<f32>();`,
    ...times(4, (c) =>
      block([
        `let exists = ${plus("column", c)} < params.vocab;`,
        `let id = params.vocab_start + min(${plus("column", c)}, params.vocab - 1u);`,
        `let z = ${logitText(value(c), biasOf(context, "id"))};`,
        ...noteBusy(context, "exists"),
        `gradients.${COMPONENTS[c]} = select(0f, ${gradient}${scale}, exists);`,
      ])),
    block(
      [`logits[${
        over(`(position * ${gradientStride}u + params.column + column)`, 4)
      }] = ${words};`],
      `if (column < (params.vocab + ${vector - 1}u) / ${vector}u * ${vector}u)`,
    ),
  ];
  return tileKernel(context, {
    title: "logits of a tile recomputed, and the gradient with respect to them stored.",
    types: quads ? { logits: type } : {},
    memory: filters ? [AGREEMENT_MEMORY] : [],
    functions: [
      coefficientsFunction(problem),
      gradientFunction(problem),
      ...(filters ? [DEVIATION_FUNCTION] : []),
      ...(halves ? [SCALE_FUNCTION] : []),
    ],
    body: (body) => [
      ...(filters ? [`var busy = false;`] : []),
      `// From each logit to its gradient, where token and id exist.`,
      ...(halves ? [`let scale = gradient_scale();`] : []),
      ...(quads ? forEachQuad(body, { row, quad }) : forEachLogit(context, body, {
        row,
        logit: [...noteBusy(context), `${stored(gradientStride)} = ${gradient};`],
      })),
      ...(filters ? agreeOnTile(tileFlag(context, "first_row", "first_column")) : []),
    ],
  });
}

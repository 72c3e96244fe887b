/**
 * The most likely ids of whole rows of stored logits, where there are more than statistics keep in
 * registers: a sorted list in workgroup memory, which a row's logits go by. Few get past its last
 * place once it is full: of random ones about k ln(n / k) in n.
 *
 * @module
 */
import { headOf } from "../../planner/problem.ts";
import type { KernelContext } from "./context.ts";
import { inBlocks, KEPT_COUNT, keptRow } from "./logit.ts";
import { NO_ID } from "./statistic_text.ts";
import { OnlineStatistics } from "./statistics.ts";
import { block, COMPONENTS, kernel, LOWEST, plus, scaled, times } from "./text.ts";
import { tokenResult } from "./tokens.ts";

/** Invocations that share a row. */
const LANES = 64;

/** Logits that are looked at before those which get past the last place take theirs. */
const AT_ONCE = 4 * LANES;

/** Returns the kernel that lists the most likely ids of each token, with their log-probabilities. */
export function topList(context: KernelContext): string {
  const { dispatch, schedule: { problem, logitStride } } = context;
  const { topK } = problem;
  const { vocab } = headOf(problem);
  const online = new OnlineStatistics(problem);
  const statistic = (name: "max" | "sum") =>
    `bitcast<f32>(${online.slot(name, 0, inBlocks("position"))})`;
  const store = (id: string, logprob: string) => [
    `${tokenResult(problem, "topk_ids", plus(scaled("token", topK), "place"))} = ${id};`,
    `${tokenResult(problem, "topk_logprobs", plus(scaled("token", topK), "place"))} = ${logprob};`,
  ];
  const eachPlace = `for (var place = lane; place < ${topK}u; place += ${LANES}u)`;
  return kernel(dispatch, {
    title: "the most likely ids of stored rows, a workgroup for each token.",
    types: { logits: "vec4<f32>", tokens: "u32" },
    functions: [
      block(
        [
          `// In falling order, and the smaller id first among equals: no two are alike.`,
          `return logit > other || (logit == other && id < other_id);`,
        ],
        `fn comes_before(logit: f32, id: u32, other: f32, other_id: u32) -> bool`,
      ),
    ],
    memory: [
      `// The list, sorted, and behind it what may belong there.`,
      `var<workgroup> held: array<f32, ${topK + AT_ONCE}>;`,
      `var<workgroup> held_ids: array<u32, ${topK + AT_ONCE}>;`,
      `var<workgroup> sorted: array<f32, ${topK}>;`,
      `var<workgroup> sorted_ids: array<u32, ${topK}>;`,
      `var<workgroup> candidates: atomic<u32>;`,
      `var<workgroup> found: u32;`,
    ],
    workgroup: LANES,
    builtins: ["group", "lane"],
    body: [
      `let position = group.x;`,
      `let token = ${plus("params.token_start", keptRow(context, "position"))};`,
      block([
        `// Tokens that do not count come after those that do.`,
        block(store("0u", "0u"), eachPlace),
        `return;`,
      ], `if (position >= ${KEPT_COUNT})`),
      `// Nothing at first: places that differ, after all ids.`,
      block([
        `held[place] = ${LOWEST};`,
        `held_ids[place] = ${NO_ID} - ${topK - 1}u + place;`,
      ], eachPlace),
      `if (lane == 0u) { atomicStore(&candidates, 0u); }`,
      `workgroupBarrier();`,
      block([
        `let quad = first / 4u + lane;`,
        `let last = held[${topK - 1}];`,
        `let last_id = held_ids[${topK - 1}];`,
        `let quad_of_row = logits[${
          plus(`position * ${logitStride / 4}u`, `min(quad, ${Math.ceil(vocab / 4) - 1}u)`)
        }];`,
        ...times(4, (i) =>
          block([
            `let id = ${plus("quad * 4u", i)};`,
            `// What masks an id may be lower than the lowest.`,
            `let logit = max(quad_of_row.${COMPONENTS[i]}, ${LOWEST});`,
            block([
              `let at = ${topK}u + atomicAdd(&candidates, 1u);`,
              `held[at] = logit;`,
              `held_ids[at] = id;`,
            ], `if (id < ${vocab}u && comes_before(logit, id, last, last_id))`),
          ])),
        `workgroupBarrier();`,
        `if (lane == 0u) { found = atomicLoad(&candidates); }`,
        `let more = workgroupUniformLoad(&found);`,
        block([
          `// Each takes the place after all that come before it, if there is such a place: those of`,
          `// the list come after one another already, and what is new before some of them.`,
          block([
            `let listed = at < ${topK}u;`,
            `var place = select(0u, at, listed);`,
            block([
              `place += select(0u, 1u, comes_before(held[other], held_ids[other], held[at], held_ids[at]));`,
            ], `for (var other = select(0u, ${topK}u, listed); other < ${topK}u + more; other++)`),
            block([
              `sorted[place] = held[at];`,
              `sorted_ids[place] = held_ids[at];`,
            ], `if (place < ${topK}u)`),
          ], `for (var at = lane; at < ${topK}u + more; at += ${LANES}u)`),
          `workgroupBarrier();`,
          block([
            `held[place] = sorted[place];`,
            `held_ids[place] = sorted_ids[place];`,
          ], eachPlace),
          `if (lane == 0u) { atomicStore(&candidates, 0u); }`,
          `workgroupBarrier();`,
        ], `if (more > 0u)`),
      ], `for (var first = 0u; first < ${vocab}u; first += ${AT_ONCE}u)`),
      `let log_of_sum = log(${statistic("sum")});`,
      `let max = ${statistic("max")};`,
      block(
        store("held_ids[place]", `bitcast<u32>((held[place] - max) - log_of_sum)`),
        eachPlace,
      ),
    ],
  });
}

/**
 * The statistics of one head's logits as text: online (Milakov and Gimelshein, arXiv 1805.02867),
 * so that logits are seen once, in any order.
 *
 * @module
 */
import type { StatisticName } from "../../planner/schedule/statistics.ts";
import type { DrawStatistic } from "./draw_statistics.ts";
import { LOG_OF_ONE_AND } from "./logarithm.ts";
import { type At, NO_ID, type StatisticText } from "./statistic_text.ts";
import type { TeacherStatistic } from "./teacher_statistics.ts";
import { block, LOWEST, times } from "./text.ts";

/** Statements that take a candidate into a set's list. */
function takenIn(at: At, logit: string, id: string): string {
  return `take_candidate(${logit}, ${id}, &${at("topLogit")}, &${at("topId")});`;
}

/**
 * Takes a candidate into a list that is sorted: it stays at each place that it is before, and what
 * was there goes on down, so the list of several depends on which they are, and not on their order.
 * One branch in all, however long the list: drivers take minutes over one for each place.
 */
function takeCandidate(width: number): string {
  return [
    `// A list is in falling order, and the smaller id comes first among equals.`,
    `fn take_candidate(`,
    `  logit: f32,`,
    `  id: u32,`,
    `  logits: ptr<function, array<f32, ${width}>>,`,
    `  ids: ptr<function, array<u32, ${width}>>,`,
    `) {`,
    `  let last = (*logits)[${width - 1}];`,
    `  if (logit > last || (logit == last && id < (*ids)[${width - 1}])) {`,
    `    var moving = logit;`,
    `    var moving_id = id;`,
    ...times(width, (place) =>
      block([
        `let held = (*logits)[${place}];`,
        `let held_id = (*ids)[${place}];`,
        `let before = moving > held || (moving == held && moving_id < held_id);`,
        `(*logits)[${place}] = select(held, moving, before);`,
        `(*ids)[${place}] = select(held_id, moving_id, before);`,
        ...(place === width - 1 ? [] : [
          `moving = select(moving, held, before);`,
          `moving_id = select(moving_id, held_id, before);`,
        ]),
      ])),
    `  }`,
    `}`,
  ].join("\n");
}

const added = (name: StatisticName) => (at: At, other: At) => [`${at(name)} += ${other(name)};`];

/** The texts of what is kept of one head's logits. */
export const LOGIT_STATISTICS: Readonly<
  Record<Exclude<StatisticName, TeacherStatistic | DrawStatistic>, StatisticText>
> = {
  max: {
    empty: LOWEST,
    rescale: (at) => [`${at("max")} = top;`],
    fold: (at) => [`${at("max")} = top;`],
  },
  sum: {
    empty: "0f",
    rescale: (at) => [`${at("sum")} = ${at("sum")} * rescale;`],
    take: (at, _, share) => `${at("sum")} += ${share};`,
    fold: (at, other) => [`${at("sum")} = ${at("sum")} * mine + ${other("sum")} * theirs;`],
    finish: (at) => [
      `let log_of_sum = log(${at("sum")});`,
      `let lse = ${at("max")} + log_of_sum;`,
    ],
  },
  target: {
    empty: "0f",
    take: (at, { logit, id }, _, target) =>
      `${at("target")} = select(${at("target")}, ${logit}, ${id} == ${target});`,
    fold: added("target"),
    finish: (at) => [
      `// Both differences are small where the logits themselves may be large.`,
      `let logprob = (${at("target")} - ${at("max")}) - log_of_sum;`,
    ],
  },
  smoothed: {
    empty: "0f",
    take: (at, { logit, weight }) => `${at("smoothed")} += ${logit} * ${weight};`,
    fold: added("smoothed"),
    finish: (at) => [`let smoothed = ${at("smoothed")} - total_weight * lse;`],
  },
  rest: {
    empty: "0f",
    // Where the max changes, what it was the max of are terms like the others.
    rescale: (at) => [
      `${at("rest")} = select(${at("rest")}, ${at("sum")}, ${at("max")} < top) * rescale;`,
    ],
    take: (at, { logit }, share) => `${at("rest")} += select(${share}, 0f, ${logit} == top);`,
    fold: (at, other) => {
      const below = (of: At) => `select(${of("rest")}, ${of("sum")}, ${of("max")} < top)`;
      return [`${at("rest")} = ${below(at)} * mine + ${below(other)} * theirs;`];
    },
    finish: (at) => [
      `// A sum below 2 holds one largest term, a 1: beside it the others would be rounded away.`,
      `let exact_log = select(log_of_sum, log_of_one_and(${at("rest")}), ${at("sum")} < 2f);`,
    ],
    finishing: [LOG_OF_ONE_AND],
  },
  weighted: {
    empty: "0f",
    rescale: (at) => [
      `${at("weighted")} = (${at("weighted")} + ${at("sum")} * (${at("max")} - top)) * rescale;`,
    ],
    take: (at, { logit }, share) => `${at("weighted")} += ${share} * (${logit} - top);`,
    fold: (at, other) => {
      const moved = (of: At) => `(${of("weighted")} + ${of("sum")} * (${of("max")} - top))`;
      return [`${at("weighted")} = ${moved(at)} * mine + ${moved(other)} * theirs;`];
    },
    finish: (at) => [`let entropy = exact_log - ${at("weighted")} / ${at("sum")};`],
  },
  squares: {
    empty: "0f",
    rescale: (at) => [`${at("squares")} *= rescale * rescale;`],
    take: (at, _, share) => `${at("squares")} += ${share} * ${share};`,
    fold: (at, other) => [
      `${at("squares")} = ${at("squares")} * (mine * mine) + ${
        other("squares")
      } * (theirs * theirs);`,
    ],
    finish: (at) => [`let collision = ${at("squares")} / (${at("sum")} * ${at("sum")});`],
  },
  argmax: {
    empty: NO_ID,
    rescale: (at, entries) => [
      `if (top > ${at("max")} || ${at("argmax")} == ${NO_ID}) {`,
      // Backwards, so that among equals the smallest id stays.
      ...[...entries].reverse().map(({ logit, id }) =>
        `  ${at("argmax")} = select(${at("argmax")}, ${id}, ${logit} == top);`
      ),
      `}`,
    ],
    fold: (at, other) => [
      `if (${other("max")} > ${at("max")} || (${other("max")} == ${at("max")} && ${
        other("argmax")
      } < ${at("argmax")})) {`,
      `  ${at("argmax")} = ${other("argmax")};`,
      `}`,
    ],
    finish: (at) => [`let predicted = ${at("argmax")};`],
  },
  // Found for the whole of a row: one set has it, and it is never negative.
  strength: {
    empty: "0f",
    fold: (at, other) => [`${at("strength")} = max(${at("strength")}, ${other("strength")});`],
    finish: (at) => [`let strength = ${at("strength")};`],
  },
  topLogit: {
    empty: LOWEST,
    take: (at, { logit, id }) => takenIn(at, logit, id),
    functions: (width) => [takeCandidate(width)],
    fold: (at, other, count) =>
      times(count, (word) => takenIn(at, other("topLogit", word), other("topId", word))),
    finish: (at, width) =>
      times(
        width,
        (word) =>
          `let topk_logprobs_${word} = (${at("topLogit", word)} - ${at("max")}) - log_of_sum;`,
      ),
  },
  topId: {
    empty: NO_ID,
    // They come and go with the logits.
    fold: () => [],
    finish: (at, width) => times(width, (word) => `let topk_ids_${word} = ${at("topId", word)};`),
  },
};

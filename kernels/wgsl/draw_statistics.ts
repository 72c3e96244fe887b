/**
 * What is kept of an id that is drawn from a row's softmax, as text: the largest key so far, and
 * whose it is. What keys are is in `planner/sampling.ts`.
 *
 * @module
 */
import { SALT } from "../../planner/sampling.ts";
import type { StatisticName } from "../../planner/schedule/statistics.ts";
import { LOG_OF_ONE_AND } from "./logarithm.ts";
import { type At, NO_ID, type StatisticText } from "./statistic_text.ts";
import { literal, LOWEST } from "./text.ts";

/** A statistic that drawing alone asks for. */
export type DrawStatistic = Extract<StatisticName, `drawn${string}`>;

/** The variable in scope where logits are taken in. */
export const SEED_OF_TOKEN = "seed_of_token";

const MIXED = `// A word mixed: a permutation of all of them.
fn mixed(word: u32) -> u32 {
  var x = word;
  x = (x ^ (x >> 16u)) * 0x85ebca6bu;
  x = (x ^ (x >> 13u)) * 0xc2b2ae35u;
  return x ^ (x >> 16u);
}`;

const GUMBEL =
  `// The Gumbel number of an id under a seed: -log(-log(1 - v)), v uniform and fine near 0.
fn gumbel_of(seed: u32, id: u32) -> f32 {
  let v = (f32(mixed(seed ^ mixed(id + ${SALT.id}u))) + 0.5f) * ${literal(2 ** -32)};
  // What rounds to 1 is the largest f32 below it.
  let rest = max(1f - v, ${literal(2 ** -24)});
  return -log(-select(log(rest), log_of_one_and(-v), v < 0.5f));
}`;

function takeDraw(temperature: number): string {
  return `// Takes an id in: the one with the largest key is drawn, the smaller among equals.
fn take_draw(
  logit: f32,
  id: u32,
  seed: u32,
  drawn_key: ptr<function, f32>,
  drawn_id: ptr<function, u32>,
  drawn_logit: ptr<function, f32>,
) {
  let key = logit * ${literal(1 / temperature)} + gumbel_of(seed, id);
  let wins = key > *drawn_key || (key == *drawn_key && id < *drawn_id);
  *drawn_key = select(*drawn_key, key, wins);
  *drawn_id = select(*drawn_id, id, wins);
  *drawn_logit = select(*drawn_logit, logit, wins);
}`;
}

/** Returns the texts of what is drawn at a temperature. */
export function drawStatistics(
  temperature = 1,
): Readonly<Record<DrawStatistic, StatisticText>> {
  const wins = (at: At, other: At) =>
    `${other("drawnKey")} > ${at("drawnKey")} || (${other("drawnKey")} == ${at("drawnKey")} && ${
      other("drawnId")
    } < ${at("drawnId")})`;
  const factor = literal(Math.LOG2E / temperature);
  return {
    drawnKey: {
      empty: LOWEST,
      take: (at, { logit, id }) =>
        `take_draw(${logit}, ${id}, ${SEED_OF_TOKEN}, &${at("drawnKey")}, &${at("drawnId")}, &${
          at("drawnLogit")
        });`,
      taking: [LOG_OF_ONE_AND, MIXED, GUMBEL, takeDraw(temperature)],
      fold: (at, other) => [`${at("drawnKey")} = max(${at("drawnKey")}, ${other("drawnKey")});`],
    },
    drawnId: {
      empty: NO_ID,
      fold: (at, other) => [
        `${at("drawnId")} = select(${at("drawnId")}, ${other("drawnId")}, ${wins(at, other)});`,
      ],
      finish: (at) => [`let sampled = ${at("drawnId")};`],
    },
    drawnLogit: {
      empty: LOWEST,
      fold: (at, other) => [
        `${at("drawnLogit")} = select(${at("drawnLogit")}, ${other("drawnLogit")}, ${
          wins(at, other)
        });`,
      ],
      finish: (at) => [`let sampled_logprob = (${at("drawnLogit")} - ${at("max")}) - log_of_sum;`],
    },
    drawnSum: {
      empty: "0f",
      top: (at) => [`let drawn_rescale = exp2((${at("max")} - top) * ${factor});`],
      rescale: (at) => [`${at("drawnSum")} = ${at("drawnSum")} * drawn_rescale;`],
      take: (at, { logit }) => `${at("drawnSum")} += exp2((${logit} - top) * ${factor});`,
      factors: (at, other) => [
        `let drawn_mine = exp2((${at("max")} - top) * ${factor});`,
        `let drawn_theirs = exp2((${other("max")} - top) * ${factor});`,
      ],
      fold: (at, other) => [
        `${at("drawnSum")} = ${at("drawnSum")} * drawn_mine + ${other("drawnSum")} * drawn_theirs;`,
      ],
      finish: (at) => [
        `let sampling_logprob = (${at("drawnLogit")} - ${at("max")}) * ${
          literal(1 / temperature)
        } - log(${at("drawnSum")});`,
      ],
    },
  };
}

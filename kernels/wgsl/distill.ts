/**
 * What a teacher adds to the gradient with respect to a student's logits, and what a student asks
 * of its teacher's, as text.
 *
 * @module
 */
import { type Distill, type Divergence, mirrored } from "../../planner/heads/distill.ts";
import { LOG_OF_ONE_AND } from "./logarithm.ts";
import { literal, LOG2E, LOWEST } from "./text.ts";

/** What a derivative is in terms of: whose it is decides. */
interface View {
  /** The fields of a token that hold the log-sum-exps of the head itself and of the other. */
  readonly lse: string;
  readonly otherLse: string;
  /** What of a divergence its distance from a mixture is, in which the other head counts `beta`. */
  readonly part: string;
  readonly beta: number;
}

/** The derivative of a divergence by a logit over the temperature, `x`, beside the other head's, `y`. */
interface Derivative {
  /** Statements that it is in terms of. */
  readonly names: (view: View) => readonly string[];
  readonly derivative: string;
  /** Functions that these call. */
  readonly functions?: readonly string[];
}

/** The probabilities `p` of one head and `q` of the other, and their logarithms. */
const softmaxes = ({ lse, otherLse }: View) => [
  `let log_p = x - token.${lse};`,
  `let log_q = y - token.${otherLse};`,
  `let p = exp2(log_p * ${LOG2E});`,
  `let q = exp2(log_q * ${LOG2E});`,
];

/** `mixed_of(log_p, log_q, beta)`: the logarithms of `p / m` and of `q / m`; and what it calls. */
export const MIXTURE = [
  LOG_OF_ONE_AND,
  `// log(p / m) and log(q / m) of the mixture m = (1 - beta) p + beta q, from how far the smaller of
// both is below the larger: m is the larger times 1 - w (1 - exp(-d)).
fn mixed_of(log_p: f32, log_q: f32, beta: f32) -> vec2<f32> {
  let d = abs(log_p - log_q);
  let shrunk = exp2(-d * ${LOG2E});
  // 1 - exp(-d), of a small d by its series, which loses nothing to the 1.
  let e = min(d, 0.05f);
  let fallen = select(1f - shrunk, e * (1f - e * (0.5f - e * (1f / 6f - e / 24f))), d < 0.05f);
  let w = select(1f - beta, beta, log_p > log_q);
  let near = -select(
    log(1f - w + w * shrunk),
    log_of_one_and(-min(w * fallen, 0.5f)),
    w * fallen < 0.5f
  );
  return select(vec2<f32>(near - d, near), vec2<f32>(near, near - d), log_p > log_q);
}`,
];

const CHANCE = `// A sigmoid, made of what only ever shrinks.
fn chance_of(x: f32) -> f32 {
  let shrunk = exp2(-abs(x) * ${LOG2E});
  return select(shrunk, 1f, x >= 0f) / (1f + shrunk);
}`;

/** The chances `p` and `q` of an id to be what the other head calls unlikely: they differ where both are near 1. */
const chances = () => [
  `let side = select(1f, -1f, y > 0f);`,
  `let p = chance_of(x * side);`,
  `let q = chance_of(y * side);`,
];

/** Half the tanh of half the difference of both: a sigmoid of it less 1/2. */
const difference = () => [
  `let shrunk = exp2(-abs(x - y) * ${LOG2E});`,
  `let off = 0.5f * sign(x - y) * (1f - shrunk) / (1f + shrunk);`,
];

/** By the student's logit. */
const DERIVATIVES: Readonly<Record<Divergence, Derivative>> = {
  "forward-kl": { names: softmaxes, derivative: "p - q" },
  "reverse-kl": { names: softmaxes, derivative: "p * (log_p - log_q - token.divergence)" },
  jsd: {
    names: (view) => [
      ...softmaxes(view),
      `let apart = ${literal(1 - view.beta)} * mixed_of(log_p, log_q, ${literal(view.beta)}).x;`,
      `let part = ${view.part};`,
    ],
    derivative: "p * (apart - part)",
    functions: MIXTURE,
  },
  "binary-kl": { names: chances, derivative: "side * (p - q)", functions: [CHANCE] },
  "reverse-binary-kl": {
    names: () => [],
    derivative: "chance_of(x) * chance_of(-x) * (x - y)",
    functions: [CHANCE],
  },
  "binary-kl-norm": { names: difference, derivative: "off" },
};

/**
 * Returns `pull_of(z, teacher_z, token)`, of the struct that the coefficients are, and, of a
 * teacher that learns, `teacher_pull_of`; and what they call.
 */
export function pullFunctions(
  distill: Distill,
  learns: boolean,
): string[] {
  const { divergence, temperature, beta = 0 } = distill;
  const over = (z: string) =>
    temperature === 1
      ? `max(${z}, ${LOWEST})`
      : `max(${z}, ${LOWEST}) * ${literal(1 / temperature)}`;
  const [own, others] = [DERIVATIVES[divergence], DERIVATIVES[mirrored(distill).divergence]];
  const pull = (
    [name, whose, x, y]: readonly [string, string, string, string],
    { derivative }: Derivative,
    names: readonly string[],
  ) =>
    `// The part of a logit's gradient that pulls it to ${whose}, without cap and scale.
fn ${name}(z: f32, teacher_z: f32, token: Coefficients) -> f32 {
  ${[`let x = ${over(x)};`, `let y = ${over(y)};`, ...names].join("\n  ")}
  return token.pull * (${derivative});
}`;
  const called = [own, ...(learns ? [others] : [])].flatMap(({ functions = [] }) => functions);
  const students = {
    ...{ lse: "soft_lse", otherLse: "teacher_lse", part: "token.student_part", beta },
  };
  const teachers = {
    ...{ lse: "teacher_lse", otherLse: "soft_lse", beta: 1 - beta },
    part: "token.divergence - token.student_part",
  };
  return [
    ...new Set(called),
    pull(["pull_of", "the teacher's", "z", "teacher_z"], own, own.names(students)),
    ...(learns
      ? [pull(
        ["teacher_pull_of", "the student's", "teacher_z", "z"],
        others,
        others.names(teachers),
      )]
      : []),
  ];
}

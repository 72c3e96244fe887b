/**
 * What a teacher adds to the gradient with respect to a student's logits, and what a student asks
 * of its teacher's, as text.
 *
 * @module
 */
import { type Distill, type Divergence, mirrored } from "../../planner/heads/distill.ts";
import { literal, LOG2E, LOWEST } from "./text.ts";

/** The derivative of a divergence by a logit over the temperature, `x`, beside the other head's, `y`. */
interface Derivative {
  /** Statements, given the fields of `token` that hold the log-sum-exps of both. */
  readonly names: (lse: string, otherLse: string) => readonly string[];
  readonly derivative: string;
  /** Functions that these call. */
  readonly functions?: readonly string[];
}

/** The probabilities `p` of one head and `q` of the other, and their logarithms. */
const softmaxes = (lse: string, otherLse: string) => [
  `let log_p = x - token.${lse};`,
  `let log_q = y - token.${otherLse};`,
  `let p = exp2(log_p * ${LOG2E});`,
  `let q = exp2(log_q * ${LOG2E});`,
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
  { divergence, temperature }: Distill,
  learns: boolean,
): string[] {
  const over = (z: string) =>
    temperature === 1
      ? `max(${z}, ${LOWEST})`
      : `max(${z}, ${LOWEST}) * ${literal(1 / temperature)}`;
  const [own, others] = [DERIVATIVES[divergence], DERIVATIVES[mirrored(divergence)]];
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
  return [
    ...new Set(called),
    pull(["pull_of", "the teacher's", "z", "teacher_z"], own, own.names("soft_lse", "teacher_lse")),
    ...(learns
      ? [pull(
        ["teacher_pull_of", "the student's", "teacher_z", "z"],
        others,
        others.names("teacher_lse", "soft_lse"),
      )]
      : []),
  ];
}

/**
 * What a teacher adds to the gradient with respect to a student's logits, as text.
 *
 * @module
 */
import type { Distill, Divergence } from "../../planner/heads/distill.ts";
import { literal, LOG2E, LOWEST } from "./text.ts";

/** A divergence of a token, as its derivatives see it. */
interface DivergenceText {
  /** Names of logits `x` over the temperature, of the student, and `y`, of the teacher. */
  readonly names: readonly string[];
  /** The derivative by `x`. */
  readonly byStudent: string;
  /** Functions that these call. */
  readonly functions?: readonly string[];
}

/** The probabilities `p` of the student and `q` of the teacher, and their logarithms. */
const SOFTMAXES = [
  `let log_p = x - token.soft_lse;`,
  `let log_q = y - token.teacher_lse;`,
  `let p = exp2(log_p * ${LOG2E});`,
  `let q = exp2(log_q * ${LOG2E});`,
];

const CHANCE = `// A sigmoid, made of what only ever shrinks.
fn chance_of(x: f32) -> f32 {
  let shrunk = exp2(-abs(x) * ${LOG2E});
  return select(shrunk, 1f, x >= 0f) / (1f + shrunk);
}`;

/** The chances `p` and `q` of an id to be what the teacher calls unlikely: they differ where both are near 1. */
const CHANCES = [
  `let side = select(1f, -1f, y > 0f);`,
  `let p = chance_of(x * side);`,
  `let q = chance_of(y * side);`,
];

/** Half the tanh of half the difference of both: a sigmoid of it less 1/2. */
const DIFFERENCE = [
  `let shrunk = exp2(-abs(x - y) * ${LOG2E});`,
  `let off = 0.5f * sign(x - y) * (1f - shrunk) / (1f + shrunk);`,
];

const TEXTS: Readonly<Record<Divergence, DivergenceText>> = {
  "forward-kl": { names: SOFTMAXES, byStudent: "p - q" },
  "reverse-kl": { names: SOFTMAXES, byStudent: "p * (log_p - log_q - token.divergence)" },
  "binary-kl": { names: CHANCES, byStudent: "side * (p - q)", functions: [CHANCE] },
  "binary-kl-norm": { names: DIFFERENCE, byStudent: "off" },
};

/** Returns `pull_of(z, teacher_z, token)`, of the struct that the coefficients are, and what it calls. */
export function pullFunctions({ divergence, temperature }: Distill): string[] {
  const { names, byStudent, functions = [] } = TEXTS[divergence];
  const over = (z: string) =>
    temperature === 1
      ? `max(${z}, ${LOWEST})`
      : `max(${z}, ${LOWEST}) * ${literal(1 / temperature)}`;
  return [
    ...functions,
    `// The part of a logit's gradient that pulls it to the teacher's, without cap and scale.
fn pull_of(z: f32, teacher_z: f32, token: Coefficients) -> f32 {
  let x = ${over("z")};
  let y = ${over("teacher_z")};
  ${names.join("\n  ")}
  return token.pull * (${byStudent});
}`,
  ];
}

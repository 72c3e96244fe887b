/**
 * The statistics of a student's logits beside its teacher's, as text.
 *
 * @module
 */
import type { Distill, Divergence } from "../../planner/heads/distill.ts";
import { LOG_OF_ONE_AND } from "./logarithm.ts";
import type { At, StatisticText } from "./statistic_text.ts";
import { literal, LOG2E, LOWEST } from "./text.ts";

/** A statistic that only a teacher asks for. */
export type TeacherStatistic =
  | "soft_sum"
  | "teacher_max"
  | "teacher_sum"
  | "gap"
  | "student_part";

/** What a divergence is found from, at a temperature. */
type Gap = (temperature: number) => StatisticText;

/** What the divergence of each kind is found from. */
const GAPS: Readonly<Record<Divergence, Gap>> = {
  "forward-kl": (temperature) => gapUnder("teacher", temperature),
  "reverse-kl": (temperature) => gapUnder("student", temperature),
  jsd: () => sumOfMixture("gap", "divergence"),
  "binary-kl": (temperature) => sumOf(binaryTerm(temperature)),
  "reverse-binary-kl": (temperature) => sumOf(binaryTerm(temperature), ["teacher", "logit"]),
  "binary-kl-norm": (temperature) => sumOf(differenceTerm(temperature)),
};

/** Returns a sum that a pass of its own adds to, once both softmaxes are known. */
function sumOfMixture(name: "gap" | "student_part", result: string): StatisticText {
  return {
    empty: "0f",
    fold: (at, other) => [`${at(name)} = ${at(name)} + ${other(name)};`],
    finish: (at) => [`let ${result} = ${at(name)};`],
  };
}

/** Returns a sum of what each id adds by itself: `apart_of` of some of its logits, the last of functions. */
function sumOf(
  functions: readonly string[],
  given: readonly ("logit" | "teacher")[] = ["logit", "teacher"],
): StatisticText {
  return {
    empty: "0f",
    take: (at, entry) => `${at("gap")} += apart_of(${given.map((of) => entry[of]!).join(", ")});`,
    taking: functions,
    fold: (at, other) => [`${at("gap")} = ${at("gap")} + ${other("gap")};`],
    finish: (at) => [`let divergence = ${at("gap")};`],
  };
}

/** Returns the functions of what an id adds that is likely or not, by a sigmoid of either head. */
function binaryTerm(temperature: number): string[] {
  return [
    LOG_OF_ONE_AND,
    `// How far an id's chance is from the teacher's, both by sigmoids: s_t (y - x) - softplus(y) +
// softplus(x), seen from the side that the teacher calls unlikely, where no term is large that
// another takes away.
fn apart_of(z: f32, teacher_z: f32) -> f32 {
  let side = select(1f, -1f, teacher_z > 0f) * ${literal(1 / temperature)};
  let x = z * side;
  let y = teacher_z * side;
  let odds = exp2(y * ${LOG2E});
  let of_student = max(x, 0f) + log_of_one_and(exp2(-abs(x) * ${LOG2E}));
  return odds / (1f + odds) * (y - x) - log_of_one_and(odds) + of_student;
}`,
  ];
}

/** Names in the text of the student's softmax: where the temperature is 1 those of its cross-entropy. */
function studentsNames(temperature: number) {
  const plain = temperature === 1;
  const soft = plain ? "" : "soft_";
  return {
    sum: plain ? "sum" : "soft_sum",
    rescale: `${soft}rescale`,
    share: `${soft}share`,
    mine: `${soft}mine`,
    theirs: `${soft}theirs`,
    log: plain ? "log_of_sum" : "soft_log",
  } as const;
}

/** Names in the text of the teacher's. */
const TEACHERS_NAMES = {
  sum: "teacher_sum",
  rescale: "teacher_rescale",
  share: "teacher_share",
  mine: "teacher_mine",
  theirs: "teacher_theirs",
  log: "teacher_log",
} as const;

/** Returns what a divergence of Kullback and Leibler is found from: a mean under one of the softmaxes. */
function gapUnder(under: "student" | "teacher", temperature: number): StatisticText {
  const students = studentsNames(temperature);
  const [own, other] = under === "teacher"
    ? [TEACHERS_NAMES, students] as const
    : [students, TEACHERS_NAMES] as const;
  // How much nearer the logit of the softmax that is averaged over is to its max than the other.
  const nearer = (student: string, teacher: string) => {
    const [first, second] = under === "teacher" ? [teacher, student] : [student, teacher];
    return `((${first}) - (${second})) * ${literal(1 / temperature)}`;
  };
  const moved = (at: At) =>
    `(${at("gap")} + ${at(own.sum)} * ${
      nearer(`${at("max")} - top`, `${at("teacher_max")} - teacher_top`)
    })`;
  return {
    empty: "0f",
    rescale: (at) => [`${at("gap")} = ${moved(at)} * ${own.rescale};`],
    take: (at, { logit, teacher }, share) => {
      const index = share.slice("share".length);
      return `${at("gap")} += ${own.share}${index} * ${
        nearer(`${logit} - top`, `${teacher!} - teacher_top`)
      };`;
    },
    fold: (at, from) => [
      `${at("gap")} = ${moved(at)} * ${own.mine} + ${moved(from)} * ${own.theirs};`,
    ],
    finish: (at) => [`let divergence = ${at("gap")} / ${at(own.sum)} + ${other.log} - ${own.log};`],
  };
}

/** Returns those of what an id adds by the difference of its logits. */
function differenceTerm(temperature: number): string[] {
  return [
    LOG_OF_ONE_AND,
    `// How far a sigmoid of the logits' difference d is from 1/2: log cosh(d / 2), where that is small
// by the square of its tanh.
fn apart_of(z: f32, teacher_z: f32) -> f32 {
  let d = abs(z - teacher_z) * ${literal(1 / temperature)};
  let shrunk = exp2(-d * ${LOG2E});
  let ratio = (1f - shrunk) / (1f + shrunk);
  let square = min(ratio * ratio, 0.5f);
  let near = -0.5f * log_of_one_and(-square);
  let far = 0.5f * d + log_of_one_and(shrunk) - ${literal(Math.LN2)};
  return select(far, near, square < 0.5f);
}`,
  ];
}

/**
 * Returns the texts of what a teacher asks for, at the temperature of a distillation. Sums are
 * relative to the max of their own head; the gap is relative to both, so that the log-sum-exps,
 * which may be large, never enter a divergence.
 */
export function teacherStatistics(
  { divergence, temperature }: Distill = {
    divergence: "forward-kl",
    temperature: 1,
    weight: 1,
    ceWeight: 0,
  },
): Readonly<Record<TeacherStatistic, StatisticText>> {
  const factor = literal(Math.LOG2E / temperature);
  const inverse = literal(1 / temperature);
  return {
    soft_sum: {
      empty: "0f",
      top: (at) => [`let soft_rescale = exp2((${at("max")} - top) * ${factor});`],
      rescale: (at) => [`${at("soft_sum")} = ${at("soft_sum")} * soft_rescale;`],
      share: ({ logit }, index) => [`let soft_share${index} = exp2((${logit} - top) * ${factor});`],
      take: (at, _, share) => `${at("soft_sum")} += soft_${share};`,
      factors: (at, other) => [
        `let soft_mine = exp2((${at("max")} - top) * ${factor});`,
        `let soft_theirs = exp2((${other("max")} - top) * ${factor});`,
      ],
      fold: (at, other) => [
        `${at("soft_sum")} = ${at("soft_sum")} * soft_mine + ${other("soft_sum")} * soft_theirs;`,
      ],
      finish: (at) => [
        `let soft_log = log(${at("soft_sum")});`,
        `let soft_lse = ${at("max")} * ${inverse} + soft_log;`,
      ],
    },
    teacher_max: {
      empty: LOWEST,
      top: (at, entries) => [
        `var teacher_top = ${at("teacher_max")};`,
        ...entries.map(({ teacher }) => `teacher_top = max(teacher_top, ${teacher!});`),
        `let teacher_rescale = exp2((${at("teacher_max")} - teacher_top) * ${factor});`,
      ],
      rescale: (at) => [`${at("teacher_max")} = teacher_top;`],
      share: ({ teacher }, index) => [
        `let teacher_share${index} = exp2((${teacher!} - teacher_top) * ${factor});`,
      ],
      factors: (at, other) => [
        `let teacher_top = max(${at("teacher_max")}, ${other("teacher_max")});`,
        `let teacher_mine = exp2((${at("teacher_max")} - teacher_top) * ${factor});`,
        `let teacher_theirs = exp2((${other("teacher_max")} - teacher_top) * ${factor});`,
      ],
      fold: (at) => [`${at("teacher_max")} = teacher_top;`],
    },
    teacher_sum: {
      empty: "0f",
      rescale: (at) => [`${at("teacher_sum")} = ${at("teacher_sum")} * teacher_rescale;`],
      take: (at, _, share) => `${at("teacher_sum")} += teacher_${share};`,
      fold: (at, other) => [
        `${at("teacher_sum")} = ${at("teacher_sum")} * teacher_mine + ${
          other("teacher_sum")
        } * teacher_theirs;`,
      ],
      finish: (at) => [
        `let teacher_log = log(${at("teacher_sum")});`,
        `let teacher_lse = ${at("teacher_max")} * ${inverse} + teacher_log;`,
      ],
    },
    gap: GAPS[divergence](temperature),
    student_part: sumOfMixture("student_part", "student_part"),
  };
}

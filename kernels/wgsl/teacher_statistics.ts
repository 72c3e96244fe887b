/**
 * The statistics of a student's logits beside its teacher's, as text.
 *
 * @module
 */
import type { Distill } from "../../planner/heads/distill.ts";
import type { At, StatisticText } from "./statistic_text.ts";
import { literal, LOWEST } from "./text.ts";

/** A statistic that only a teacher asks for. */
export type TeacherStatistic = "soft_sum" | "teacher_max" | "teacher_sum" | "gap";

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
  const forward = divergence === "forward-kl";
  const plain = temperature === 1;
  const soft = {
    sum: (at: At) => at(plain ? "sum" : "soft_sum"),
    rescale: plain ? "rescale" : "soft_rescale",
    share: (index: number) => `${plain ? "" : "soft_"}share${index}`,
    mine: plain ? "mine" : "soft_mine",
    theirs: plain ? "theirs" : "soft_theirs",
    log: plain ? "log_of_sum" : "soft_log",
  };
  const ours = {
    rescale: forward ? "teacher_rescale" : soft.rescale,
    mine: forward ? "teacher_mine" : soft.mine,
    theirs: forward ? "teacher_theirs" : soft.theirs,
  };
  const total = (at: At) => forward ? at("teacher_sum") : soft.sum(at);
  // How much nearer the logit of the softmax that is averaged over is to its max than the other.
  const nearer = (student: string, teacher: string) =>
    `((${forward ? teacher : student}) - (${forward ? student : teacher})) * ${inverse}`;
  const moved = (at: At) =>
    `(${at("gap")} + ${total(at)} * ${
      nearer(`${at("max")} - top`, `${at("teacher_max")} - teacher_top`)
    })`;
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
    gap: {
      empty: "0f",
      rescale: (at) => [`${at("gap")} = ${moved(at)} * ${ours.rescale};`],
      take: (at, { logit, teacher }, share) => {
        const index = Number(share.slice("share".length));
        const ofSoftmax = forward ? `teacher_${share}` : soft.share(index);
        return `${at("gap")} += ${ofSoftmax} * ${
          nearer(`${logit} - top`, `${teacher!} - teacher_top`)
        };`;
      },
      fold: (at, other) => [
        `${at("gap")} = ${moved(at)} * ${ours.mine} + ${moved(other)} * ${ours.theirs};`,
      ],
      finish: (at) => [
        `let divergence = ${at("gap")} / ${total(at)} + ${
          forward ? `${soft.log} - teacher_log` : `teacher_log - ${soft.log}`
        };`,
      ],
    },
  };
}

/**
 * Online statistics of a row of logits (Milakov and Gimelshein, arXiv
 * 1805.02867): for each statistic of the planner's table, how it takes in
 * logits and how two of it become one, as text over named scalars.
 *
 * @module
 */
import {
  type PlacedStatistic,
  type StatisticName,
  statisticsOf,
} from "../../planner/schedule/statistics.ts";
import { tokenStride } from "../../planner/schedule/layout.ts";
import type { Distill } from "../../planner/heads/distill.ts";
import type { Problem } from "../../planner/problem.ts";
import { SPLITS_AT_ONCE } from "../../planner/tuning.ts";
import {
  block,
  COMPONENTS,
  type Index,
  literal,
  LOG2E,
  LOWEST,
  plus,
  scaled,
  times,
} from "./text.ts";

/** The id of a logit that does not exist: no target's. */
export const NO_ID = "0xffffffffu";

/**
 * A logit that enters the statistics: its value, its id, its smoothing weight.
 * One that does not exist is {@linkcode LOWEST}, with {@linkcode NO_ID} and no
 * weight: it adds nothing to a set that holds one that does.
 */
export interface Entry {
  readonly logit: string;
  readonly id: string;
  readonly weight: string;
  /** The teacher's logit of the same id, where there is a teacher. */
  readonly teacher?: string;
}

/**
 * The text of one statistic. `at(name)` is a statistic of the set that changes;
 * those further up in the table still are what they were.
 */
interface StatisticText {
  /** What an empty set holds. */
  readonly empty: string;
  /** Before logits are taken in: the max will be `top`, and what was relative to it is rescaled. */
  readonly rescale?: (at: At, entries: readonly Entry[]) => string[];
  /** Takes in a logit, of which `share` is the exponential relative to `top`. */
  readonly take?: (at: At, entry: Entry, share: string, target: string, width: number) => string;
  /** Functions that it calls. */
  readonly functions?: (width: number) => readonly string[];
  /** Folds in another set; `mine` and `theirs` rescale, and `top` is the max of both. */
  readonly fold: (at: At, other: At, words: readonly number[], width: number) => string[];
  /** Before that: names the largest and what rescales, where it is a max of its own. */
  readonly top?: (at: At, entries: readonly Entry[]) => string[];
  /** Names the exponential of a logit that others take in. */
  readonly share?: (entry: Entry, index: number) => string[];
  /** Names what rescales both sets that are folded, where others go by it. */
  readonly meet?: (at: At, other: At) => string[];
  /** Statements that name the results that follow, and may use those of statistics further up. */
  readonly finish?: (at: At, width: number) => string[];
}

/** The variable of a statistic in some set, or of one word of a list. */
type At = (name: StatisticName, word?: number) => string;

/** Statements that take a logit into a set's list. */
function takenIn(at: At, logit: string, id: string, width: number): string {
  const all = (name: StatisticName) => times(width, (word) => `&${at(name, word)}`);
  return `take_candidate(${[logit, id, ...all("topLogit"), ...all("topId")].join(", ")});`;
}

/**
 * Takes a candidate into a list that is sorted: it goes up past each that it is before, so the
 * list of several depends on which they are, and not on their order.
 */
function takeCandidate(width: number): string {
  const args = [
    "logit: f32",
    "id: u32",
    ...times(width, (word) => `logit${word}: ptr<function, f32>`),
    ...times(width, (word) => `id${word}: ptr<function, u32>`),
  ];
  const before = (word: number) =>
    `logit > *logit${word} || (logit == *logit${word} && id < *id${word})`;
  return [
    `// A list is in falling order, and the smaller id comes first among equals.`,
    `fn take_candidate(${args.join(", ")}) {`,
    `  if (!(${before(width - 1)})) { return; }`,
    ...times(width - 1, (step) => {
      const [word, above] = [width - 1 - step, width - 2 - step];
      return [
        `  if (!(${before(above)})) {`,
        `    *logit${word} = logit;`,
        `    *id${word} = id;`,
        `    return;`,
        `  }`,
        `  *logit${word} = *logit${above};`,
        `  *id${word} = *id${above};`,
      ];
    }).flat(),
    `  *logit0 = logit;`,
    `  *id0 = id;`,
    `}`,
  ].join("\n");
}

const added = (name: StatisticName) => (at: At, other: At) => [`${at(name)} += ${other(name)};`];

const TEXTS: Readonly<Record<Exclude<StatisticName, DistillStatistic>, StatisticText>> = {
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
    take: (at, { logit, id }, _, __, width) => takenIn(at, logit, id, width),
    functions: (width) => [takeCandidate(width)],
    fold: (at, other, words, width) =>
      words.map((word) => takenIn(at, other("topLogit", word), other("topId", word), width)),
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

/** A statistic that only a teacher asks for. */
type DistillStatistic = "soft_sum" | "teacher_max" | "teacher_sum" | "gap";

/**
 * Returns the texts of what a teacher asks for, at the temperature of a distillation. Sums are
 * relative to the max of their own head; the gap is relative to both, so that the log-sum-exps,
 * which may be large, never enter a divergence.
 */
function distillTexts(
  { divergence, temperature }: Distill = {
    divergence: "forward-kl",
    temperature: 1,
    weight: 1,
    ceWeight: 0,
  },
): Readonly<Record<DistillStatistic, StatisticText>> {
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
      meet: (at, other) => [
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
      meet: (at, other) => [
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

/** `log(1 + x)` for `x` from 0 to 1, where the sum would drop most of a small `x`. */
export const LOG_OF_ONE_AND =
  `// log(1 + x) for x from 0 to 1, as 2 artanh(x / (2 + x)): eight terms are exact to f32.
fn log_of_one_and(x: f32) -> f32 {
  let s = x / (2f + x);
  let q = s * s;
  return 2f * s * ${
    [3, 5, 7, 9, 11, 13].reduceRight((inner, n) => `(1f / ${n}f + q * ${inner})`, "(1f / 15f)")
      .replace(/^/, "(1f + q * ")
  });
}`;

/** Where the vec4s of a set lie in workgroup memory. */
export interface Quads {
  /** The expression for one of them. */
  readonly read: (quad: number) => string;
  /** The statement that stores it. */
  readonly write: (quad: number, value: string) => string;
}

/** Words of a list that are handed over at a time: with their ids two vec4s, as what else a set holds. */
const LIST_PART = 4;

/** A word of a set. */
interface Word {
  readonly statistic: StatisticName;
  /** Its place in a list; undefined for a statistic of one word. */
  readonly at: number | undefined;
  readonly type: "f32" | "u32";
  readonly row: number;
}

/** Text for the online statistics of a problem. Sets are told apart by a suffix to their names. */
export class OnlineStatistics {
  readonly statistics: readonly PlacedStatistic[];
  /**
   * A set in parts that go through workgroup memory one after the other: lists, of which it
   * has no room for a whole one, some candidates at a time.
   */
  readonly parts: readonly (readonly Word[])[];
  /** Vec4s that the largest part of a set takes in workgroup memory. */
  readonly quads: number;
  /** Functions that taking in, folding and {@linkcode finish} call. */
  readonly functions: readonly string[];
  /** Those that taking in and folding alone call. */
  readonly listFunctions: readonly string[];
  readonly #stride: number;
  readonly #words: readonly Word[];
  readonly #texts: Readonly<Record<StatisticName, StatisticText>>;

  /** Chooses the statistics that the problem needs. */
  constructor(problem: Problem) {
    this.statistics = statisticsOf(problem);
    this.#texts = { ...TEXTS, ...distillTexts(problem.distill) };
    this.#words = this.statistics.flatMap(({ name: statistic, type, row, width, list }) =>
      times(width, (word) => ({
        statistic,
        at: list ? word : undefined,
        type,
        row: row + word,
      }))
    );
    const partOf = ({ at }: Word) => at === undefined ? 0 : 1 + Math.floor(at / LIST_PART);
    const longest = Math.max(...this.statistics.map(({ list, width }) => list ? width : 0));
    this.parts = times(
      1 + Math.ceil(longest / LIST_PART),
      (part) => this.#words.filter((word) => partOf(word) === part),
    );
    this.quads = Math.max(...this.parts.map((words) => Math.ceil(words.length / 4)));
    this.listFunctions = this.statistics.flatMap(({ name, width }) =>
      this.#texts[name].functions?.(width) ?? []
    );
    this.functions = [
      ...this.listFunctions,
      ...(this.statistics.some(({ name }) => name === "rest") ? [LOG_OF_ONE_AND] : []),
    ];
    this.#stride = tokenStride(problem);
  }

  /** From the last of the table to the first: later ones follow from what earlier ones were. */
  #backwards(lines: (text: StatisticText, statistic: PlacedStatistic) => readonly string[]) {
    return this.statistics.toReversed().flatMap((statistic) =>
      lines(this.#texts[statistic.name], statistic)
    );
  }

  /** From the first of the table to the last. */
  #all(lines: (text: StatisticText) => readonly string[]): string[] {
    return this.statistics.flatMap(({ name }) => lines(this.#texts[name]));
  }

  /** Declares an empty set. */
  declare(set: string): string[] {
    return this.#words.map((word) =>
      `var ${named(word, set)} = ${this.#texts[word.statistic].empty};`
    );
  }

  /** Takes some logits into a set. Their names must be plain: they are used more than once. */
  update(set: string, entries: readonly Entry[], target: string): string[] {
    const at = inSet(set);
    return [
      `// The largest logit so far; what is summed relative to the one before is rescaled.`,
      `var top = ${at("max")};`,
      ...entries.map(({ logit }) => `top = max(top, ${logit});`),
      `let rescale = exp2((${at("max")} - top) * ${LOG2E});`,
      ...this.#all(({ top }) => top?.(at, entries) ?? []),
      ...this.#backwards(({ rescale }) => rescale?.(at, entries) ?? []),
      ...entries.flatMap((entry, index) => {
        const share = `share${index}`;
        return [
          `let ${share} = exp2((${entry.logit} - top) * ${LOG2E});`,
          ...this.#all((text) => text.share?.(entry, index) ?? []),
          ...this.statistics.flatMap(({ name, width }) =>
            this.#texts[name].take?.(at, entry, share, target, width) ?? []
          ),
        ];
      }),
    ];
  }

  /** Folds set `from`, or a part of it, into set `into`. */
  fold(into: string, from: string, part: readonly Word[] = this.#words): string[] {
    const [at, other] = [inSet(into), inSet(from)];
    const relative = part.some(({ statistic }) => statistic === "max")
      ? [
        `let top = max(${at("max")}, ${other("max")});`,
        `let mine = exp2((${at("max")} - top) * ${LOG2E});`,
        `let theirs = exp2((${other("max")} - top) * ${LOG2E});`,
        ...this.#all(({ meet }) => meet?.(at, other) ?? []),
      ]
      : [];
    return [
      ...relative,
      ...this.#backwards(({ fold }, { name, width }) => {
        const words = part.filter(({ statistic }) => statistic === name).map(({ at = 0 }) => at);
        return words.length === 0 ? [] : fold(at, other, words, width);
      }),
    ];
  }

  /** Folds all splits of a token in `partials` into a set, in their order, some at a time. */
  foldSplits(into: string, splits: number, token: string): string[] {
    const fold = (first: Index, count: number) => [
      ...times(count, (i) => {
        const split = typeof first === "number" ? first + i : plus(first, i);
        return this.read(`_next${i}`, split, token);
      }).flat(),
      ...times(count, (i) => block(this.fold(into, `_next${i}`))),
    ];
    const rest = splits % SPLITS_AT_ONCE;
    const rounds = splits - rest;
    const loop = `for (var split = 0u; split < ${rounds}u; split += ${SPLITS_AT_ONCE}u)`;
    return [
      ...(rounds > 0 ? [block(fold("split", SPLITS_AT_ONCE), loop)] : []),
      ...(rest > 0 ? [block(fold(rounds, rest))] : []),
    ];
  }

  /**
   * Returns names the results per token that follow from a set: `lse`, `logprob` and what else is
   * wanted. `total_weight` must be in scope where logits are smoothed.
   */
  finish(set: string): string[] {
    return this.statistics.flatMap(({ name, width }) =>
      this.#texts[name].finish?.(inSet(set), width) ?? []
    );
  }

  /** The bits of each result per token, in terms of what {@linkcode finish} names: one, or a list. */
  get results(): Readonly<Record<string, readonly string[]>> {
    return Object.fromEntries(
      this.statistics.flatMap(({ type, width, list, result }) => {
        if (!result) return [];
        const { row } = result;
        return [[row, times(width, (word) => toBits(type, list ? `${row}_${word}` : row))]];
      }),
    );
  }

  /** Returns where a statistic of a split, the first word of it, lies in a buffer of sets. */
  slot(name: StatisticName, split: Index, token: string, buffer = "partials"): string {
    const { row } = this.statistics.find((statistic) => statistic.name === name)!;
    return this.#slot(row, split, token, buffer);
  }

  #slot(row: number, split: Index, token: string, buffer = "partials"): string {
    const stride = this.#words.length * this.#stride;
    const set = typeof split === "number" ? split * stride : scaled(split, stride);
    return `${buffer}[${plus(set, row * this.#stride, token)}]`;
  }

  /** Declares a set and reads it from `partials`. */
  read(set: string, split: Index, token: string): string[] {
    return this.#words.map((word) =>
      `let ${named(word, set)} = ${fromBits(word.type, this.#slot(word.row, split, token))};`
    );
  }

  /** Writes a set to `partials`, or to another buffer of sets. */
  write(set: string, split: Index, token: string, buffer?: string): string[] {
    return [
      `// The set, a row of all tokens each: ${
        this.statistics.map(({ name, width, list }) => list ? `${width} of ${name}` : name)
          .join(", ")
      }.`,
      ...this.#words.map((word) =>
        `${this.#slot(word.row, split, token, buffer)} = ${toBits(word.type, named(word, set))};`
      ),
    ];
  }

  /** Stores a part of a set as vec4s of f32, at the places given. Ids travel as bits. */
  store(set: string, at: Quads, part: readonly Word[]): string[] {
    return times(Math.ceil(part.length / 4), (index) => {
      const parts = times(4, (i) => {
        const word = part[4 * index + i];
        if (!word) return "0f";
        const value = named(word, set);
        return word.type === "u32" ? `bitcast<f32>(${value})` : value;
      });
      return at.write(index, `vec4<f32>(${parts.join(", ")})`);
    });
  }

  /** Declares a part of a set and loads it from where {@linkcode store} put it. */
  load(set: string, at: Quads, part: readonly Word[]): string[] {
    return [
      ...times(Math.ceil(part.length / 4), (index) => `let quad${index} = ${at.read(index)};`),
      ...part.map((word, index) => {
        const component = `quad${index >> 2}.${COMPONENTS[index & 3]}`;
        const value = word.type === "u32" ? `bitcast<u32>(${component})` : component;
        return `let ${named(word, set)} = ${value};`;
      }),
    ];
  }
}

function named({ statistic, at }: Word, set: string): string {
  return inSet(set)(statistic, at);
}

function inSet(set: string): At {
  return (name, word) => `${name}${word === undefined ? "" : `${word}of`}${set}`;
}

function fromBits(type: "f32" | "u32", word: string): string {
  return type === "u32" ? word : `bitcast<f32>(${word})`;
}

function toBits(type: "f32" | "u32", value: string): string {
  return type === "u32" ? value : `bitcast<u32>(${value})`;
}

/**
 * Sets of online statistics of a row of logits, as text over named scalars: how logits are taken
 * in, how sets become one, how they lie in memory and what follows from them. What is said of each
 * statistic is in `logit_statistics.ts` and `teacher_statistics.ts`.
 *
 * @module
 */
import { grouped } from "../../planner/grouped.ts";
import {
  gatheredOf,
  gatheredRows,
  type PlacedStatistic,
  type StatisticName,
  statisticsOf,
} from "../../planner/schedule/statistics.ts";
import { tokenStride } from "../../planner/schedule/layout.ts";
import type { Problem } from "../../planner/problem.ts";
import { SPLITS_AT_ONCE } from "../../planner/tuning.ts";
import { drawStatistics } from "./draw_statistics.ts";
import { LOGIT_STATISTICS } from "./logit_statistics.ts";
import type { At, Entry, StatisticText } from "./statistic_text.ts";
import { teacherStatistics } from "./teacher_statistics.ts";
import { block, COMPONENTS, type Index, LOG2E, plus, scaled, times } from "./text.ts";

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
   * A set in parts that go through workgroup memory one after the other: what goes by no max by
   * itself, and of lists, of which it has no room for a whole one, some candidates at a time.
   */
  readonly parts: readonly (readonly Word[])[];
  /** Vec4s that the largest part of a set takes in workgroup memory. */
  readonly quads: number;
  /** Functions that folding and {@linkcode finish} call. */
  readonly functions: readonly string[];
  /** Those that taking in and folding call. */
  readonly takingFunctions: readonly string[];
  /** Those that folding alone calls. */
  readonly listFunctions: readonly string[];
  readonly #problem: Problem;
  readonly #stride: number;
  readonly #words: readonly Word[];
  readonly #texts: Readonly<Record<StatisticName, StatisticText>>;

  /** Chooses the statistics that the problem needs. */
  constructor(problem: Problem) {
    this.#problem = problem;
    this.statistics = statisticsOf(problem);
    this.#texts = {
      ...LOGIT_STATISTICS,
      ...teacherStatistics(problem.distill),
      ...drawStatistics(problem.sampleTemperature),
    };
    this.#words = this.statistics.flatMap(({ name: statistic, type, row, width, list }) =>
      times(width, (word) => ({
        statistic,
        at: list ? word : undefined,
        type,
        row: row + word,
      }))
    );
    // What is relative to a max goes with it; what ranks gather does not need it.
    const gathered = new Set(gatheredOf(problem).map(({ name }) => name as StatisticName));
    const partOf = ({ statistic, at }: Word) =>
      !gathered.has(statistic) ? 0 : at === undefined ? 1 : 2 + Math.floor(at / LIST_PART);
    this.parts = [...grouped(this.#words, partOf)].sort(([a], [b]) => a - b)
      .map(([, words]) => words);
    this.quads = Math.max(...this.parts.map((words) => Math.ceil(words.length / 4)));
    this.listFunctions = this.statistics.flatMap(({ name, width }) =>
      this.#texts[name].functions?.(width) ?? []
    );
    this.takingFunctions = [
      ...this.statistics.flatMap(({ name }) => this.#texts[name].taking ?? []),
      ...this.listFunctions,
    ];
    this.functions = [
      ...this.listFunctions,
      ...this.statistics.flatMap(({ name }) => this.#texts[name].finishing ?? []),
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
    return this.statistics.map(({ name, type, width, list }) => {
      const { empty } = this.#texts[name];
      return `var ${inSet(set)(name)} = ${list ? listOf(type, times(width, () => empty)) : empty};`;
    });
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
          ...this.statistics.flatMap(({ name }) =>
            this.#texts[name].take?.(at, entry, share, target) ?? []
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
        ...this.#all(({ factors }) => factors?.(at, other) ?? []),
      ]
      : [];
    return [
      ...relative,
      ...this.#backwards(({ fold }, { name }) => {
        const count = part.filter(({ statistic }) => statistic === name).length;
        return count === 0 ? [] : fold(at, other, count);
      }),
    ];
  }

  /**
   * Folds what all ranks have gathered into a set, in the order of ranks, and what they have reduced
   * to one set: that in `partials`.
   */
  foldRanks(into: string, ranks: number, token: string): string[] {
    const gathered = gatheredOf(this.#problem);
    const isGathered = ({ statistic }: Word) => gathered.some(({ name }) => name === statistic);
    const [own, reduced] = [true, false].map((is) =>
      this.#words.filter((word) => isGathered(word) === is)
    ) as [Word[], Word[]];
    const rowOf = ({ statistic, at = 0 }: Word) =>
      gathered.find(({ name }) => name === statistic)!.row + at;
    const stride = gatheredRows(this.#problem) * this.#stride;
    return [
      block([
        ...this.read("_next", 0, token, reduced),
        ...this.fold(into, "_next", reduced),
      ]),
      block(
        [
          ...declared("_next", own, (word) => {
            const at = plus(scaled("rank", stride), rowOf(word) * this.#stride, token);
            return fromBits(word.type, `gathered[${at}]`);
          }),
          ...this.fold(into, "_next", own),
        ],
        `for (var rank = 0u; rank < ${ranks}u; rank++)`,
      ),
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

  /**
   * Returns the bits of each result per token, in terms of what {@linkcode finish} names: one, or a
   * list.
   */
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

  /** Declares a set, or a part of it, and reads it from `partials`. */
  read(set: string, split: Index, token: string, part: readonly Word[] = this.#words): string[] {
    return declared(
      set,
      part,
      (word) => fromBits(word.type, this.#slot(word.row, split, token)),
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
      ...declared(set, part, (word, index) => {
        const component = `quad${index >> 2}.${COMPONENTS[index & 3]}`;
        return word.type === "u32" ? `bitcast<u32>(${component})` : component;
      }),
    ];
  }
}

function named({ statistic, at }: Word, set: string): string {
  return inSet(set)(statistic, at);
}

function inSet(set: string): At {
  return (name, word) => `${name}${set}${word === undefined ? "" : `[${word}]`}`;
}

/** Declares a part of a set, given the value of each word: of a list the words that it has, from 0 on. */
function declared(
  set: string,
  part: readonly Word[],
  value: (word: Word, index: number) => string,
): string[] {
  const values = grouped(
    part.map((word, index) => ({ ...word, value: value(word, index) })),
    ({ statistic }) => statistic,
  );
  return [...values].map(([statistic, words]) => {
    const [{ type, at, value }] = words as [typeof words[number]];
    const name = inSet(set)(statistic);
    return at === undefined
      ? `let ${name} = ${value};`
      : `var ${name} = ${listOf(type, words.map(({ value }) => value))};`;
  });
}

function listOf(type: "f32" | "u32", values: readonly string[]): string {
  return `array<${type}, ${values.length}>(${values.join(", ")})`;
}

function fromBits(type: "f32" | "u32", word: string): string {
  return type === "u32" ? word : `bitcast<f32>(${word})`;
}

function toBits(type: "f32" | "u32", value: string): string {
  return type === "u32" ? value : `bitcast<u32>(${value})`;
}

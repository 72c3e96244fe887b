/**
 * Online statistics of a row of logits (Milakov and Gimelshein, arXiv
 * 1805.02867): running max, sum of exponentials relative to it, target logit
 * and whatever else the problem asks for, in named scalars, with the text that
 * takes in logits and that folds two sets into one.
 *
 * @module
 */
import {
  type PartialStatistic,
  partialStatistics,
  tokenStride,
} from "../planner/strategies/layout.ts";
import type { Problem } from "../planner/problem.ts";
import type { Scratch } from "./gemm.ts";
import { indent, LOG2E, LOWEST, times } from "./wgsl.ts";

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
}

/** Text for the online statistics of a problem. Sets are told apart by a suffix to their names. */
export class OnlineStatistics {
  readonly names: readonly PartialStatistic[];
  /** Vec4s that one set takes in workgroup memory. */
  readonly quads: number;
  readonly #stride: number;

  /** Chooses the statistics that the problem needs. */
  constructor(problem: Problem) {
    this.names = partialStatistics(problem);
    this.quads = Math.ceil(this.names.length / 4);
    this.#stride = tokenStride(problem);
  }

  #has(name: PartialStatistic): boolean {
    return this.names.includes(name);
  }

  /** Declares an empty set. The target logit is a sum of which one term is not zero. */
  declare(set: string): string {
    return this.names.map((name) =>
      name === "argmax"
        ? `var argmax${set} = ${NO_ID};`
        : `var ${name}${set} = ${name === "max" ? LOWEST : "0f"};`
    ).join(" ");
  }

  /** Takes some logits into a set. Their names must be plain: they are used more than once. */
  update(set: string, entries: readonly Entry[], target: string): string {
    const max = `max${set}`;
    const lines = [`var top = ${max};`];
    for (const { logit } of entries) lines.push(`top = max(top, ${logit});`);
    if (this.#has("argmax")) {
      lines.push(`if (top > ${max} || argmax${set} == ${NO_ID}) {`);
      // Backwards, so that among equals the smallest id stays.
      for (const { logit, id } of [...entries].reverse()) {
        lines.push(indent(`argmax${set} = select(argmax${set}, ${id}, ${logit} == top);`));
      }
      lines.push("}");
    }
    lines.push(`let rescale = exp2((${max} - top) * ${LOG2E});`);
    if (this.#has("weighted")) {
      lines.push(`weighted${set} = (weighted${set} + sum${set} * (${max} - top)) * rescale;`);
    }
    lines.push(`sum${set} = sum${set} * rescale;`);
    for (const { logit, id, weight } of entries) {
      const exponential = `exp2((${logit} - top) * ${LOG2E})`;
      if (this.#has("weighted")) {
        lines.push(
          `{`,
          `  let share = ${exponential};`,
          `  weighted${set} += share * (${logit} - top);`,
          `  sum${set} += share;`,
          `}`,
        );
      } else lines.push(`sum${set} += ${exponential};`);
      lines.push(`target${set} = select(target${set}, ${logit}, ${id} == ${target});`);
      if (this.#has("smoothed")) lines.push(`smoothed${set} += ${logit} * ${weight};`);
    }
    lines.push(`${max} = top;`);
    return `{\n${indent(lines)}\n}`;
  }

  /** Folds set `from` into set `into`. */
  fold(into: string, from: string): string {
    const at = (name: PartialStatistic, set: string) => `${name}${set}`;
    const lines = [
      `let top = max(${at("max", into)}, ${at("max", from)});`,
      `let mine = exp2((${at("max", into)} - top) * ${LOG2E});`,
      `let theirs = exp2((${at("max", from)} - top) * ${LOG2E});`,
    ];
    if (this.#has("argmax")) {
      lines.push(
        `if (max${from} > max${into} || (max${from} == max${into} && argmax${from} < argmax${into})) {`,
        `  argmax${into} = argmax${from};`,
        `}`,
      );
    }
    if (this.#has("weighted")) {
      const moved = (set: string) => `(weighted${set} + sum${set} * (max${set} - top))`;
      lines.push(`weighted${into} = ${moved(into)} * mine + ${moved(from)} * theirs;`);
    }
    lines.push(`sum${into} = sum${into} * mine + sum${from} * theirs;`);
    for (const name of ["target", "smoothed"] as const) {
      if (this.#has(name)) lines.push(`${name}${into} += ${name}${from};`);
    }
    lines.push(`max${into} = top;`);
    return lines.join("\n");
  }

  /** Where a statistic of a split lies in a buffer of sets. */
  slot(name: PartialStatistic, split: string, token: string, buffer = "partials"): string {
    const row = this.names.indexOf(name);
    const first = `${split} * ${this.names.length * this.#stride}u`;
    return `${buffer}[${first} + ${row * this.#stride}u + ${token}]`;
  }

  /** Declares a set and reads it from `partials`. */
  read(set: string, split: string, token: string): string {
    return this.names.map((name) => {
      const slot = this.slot(name, split, token);
      return `let ${name}${set} = ${name === "argmax" ? slot : `bitcast<f32>(${slot})`};`;
    }).join("\n");
  }

  /** Writes a set to `partials`, or to another buffer of sets. */
  write(set: string, split: string, token: string, buffer?: string): string {
    return this.names.map((name) => {
      const value = name === "argmax" ? `argmax${set}` : `bitcast<u32>(${name}${set})`;
      return `${this.slot(name, split, token, buffer)} = ${value};`;
    }).join("\n");
  }

  /** Writes a set to workgroup memory. Ids travel as bits. */
  #park(set: string, at: string, scratch: Scratch): string {
    const value = (name: PartialStatistic | undefined) =>
      name === undefined
        ? "0f"
        : name === "argmax"
        ? `bitcast<f32>(argmax${set})`
        : `${name}${set}`;
    return times(this.quads, (quad) => {
      const parts = times(4, (i) => value(this.names[4 * quad + i]));
      return `${scratch.quad(`${at} + ${quad}u`)} = vec4<f32>(${parts.join(", ")});`;
    }).join("\n");
  }

  /** Declares a set and reads it from workgroup memory. */
  #unpark(set: string, at: string, scratch: Scratch): string {
    const quads = times(
      this.quads,
      (quad) => `let ${set}_quad${quad} = ${scratch.quad(`${at} + ${quad}u`)};`,
    );
    const parts = this.names.map((name, index) => {
      const part = `${set}_quad${index >> 2}.${"xyzw"[index & 3]}`;
      return `let ${name}${set} = ${name === "argmax" ? `bitcast<u32>(${part})` : part};`;
    });
    return [...quads, ...parts].join("\n");
  }

  /**
   * Halves the invocations that share rows, from `lanes` of them to `until`:
   * those with the higher `tx` park their sets, one for each of their rows, and
   * the others fold them into theirs. Each batch meets in `scratch`, which must be
   * free; `ty` tells the groups of `lanes` apart, `lanesY` in number.
   */
  halve(
    sets: readonly string[],
    { lanes, until, lanesY }: { lanes: number; until: number; lanesY: number },
    scratch: Scratch,
  ): string {
    const lines: string[] = [];
    for (let half = lanes / 2; half >= until; half /= 2) {
      const together = Math.max(1, Math.floor(scratch.quads / (half * lanesY * this.quads)));
      for (let start = 0; start < sets.length; start += together) {
        const batch = sets.slice(start, start + together);
        const at = (index: number) => `at + ${index * this.quads}u`;
        lines.push(
          `if (tx >= ${half}u && tx < ${2 * half}u) {`,
          `  let at = (ty * ${half}u + tx - ${half}u) * ${batch.length * this.quads}u;`,
          indent(batch.map((set, index) => this.#park(set, at(index), scratch))),
          `}`,
          `workgroupBarrier();`,
          `if (tx < ${half}u) {`,
          `  let at = (ty * ${half}u + tx) * ${batch.length * this.quads}u;`,
          indent(batch.map((set, index) => block(this.#takeIn(set, at(index), scratch)))),
          `}`,
          `workgroupBarrier();`,
        );
      }
    }
    return lines.join("\n");
  }

  /**
   * Parks the sets of `lanes` invocations for each row and folds each row's, by
   * the invocation `lane` of that number, into the set `into`, which it declares.
   * Row `i` of an invocation's sets is row `row(i)` of the tile.
   */
  gather(
    into: string,
    sets: readonly string[],
    row: (i: number) => string,
    { lanes, lanesY }: { lanes: number; lanesY: number },
    scratches: readonly Scratch[],
  ): string {
    // Four rows of each invocation make one stretch of the tile's rows.
    const stretch = 4 * lanesY;
    const groups = times(sets.length / 4, (group) => ({
      sets: sets.slice(4 * group, 4 * group + 4),
      scratch: scratches[group % scratches.length]!,
      // Stretches that share a scratch lie behind one another in it.
      base: Math.floor(group / scratches.length) * stretch * lanes * this.quads,
      first: group * stretch,
    }));
    const place = (group: typeof groups[number], local: string, lane: string | number) =>
      `${group.base}u + (${lane} * ${stretch}u + ${local} - ${group.first}u) * ${this.quads}u`;
    const park = groups.flatMap((group, index) =>
      group.sets.map((set, i) =>
        this.#park(set, place(group, row(4 * index + i), "tx"), group.scratch)
      )
    );
    const fold = groups.map((group) =>
      [
        `if (lane >= ${group.first}u && lane < ${group.first + stretch}u) {`,
        indent(
          times(lanes, (lane) =>
            block(this.#takeIn(into, place(group, "lane", lane), group.scratch))),
        ),
        `}`,
      ].join("\n")
    );
    return [
      `if (tx < ${lanes}u) {`,
      indent(park),
      `}`,
      `workgroupBarrier();`,
      this.declare(into),
      ...fold,
    ].join("\n");
  }

  /** How many of `lanes` invocations {@linkcode gather} finds room for, `count` sets from each. */
  gatherable(
    { lanes, lanesY }: { lanes: number; lanesY: number },
    count: number,
    scratches: readonly Scratch[],
  ): number {
    const stretches = Math.ceil(count / 4 / scratches.length);
    const room = Math.min(...scratches.map(({ quads }) => quads));
    let left = lanes;
    while (left > 1 && left * stretches * 4 * lanesY * this.quads > room) left /= 2;
    return left;
  }

  #takeIn(into: string, at: string, scratch: Scratch): string {
    return `${this.#unpark("_other", at, scratch)}\n${this.fold(into, "_other")}`;
  }
}

function block(text: string): string {
  return `{\n${indent(text)}\n}`;
}

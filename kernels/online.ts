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

/** A logit that enters the statistics: its value, its id, whether it exists, its smoothing weight. */
export interface Entry {
  readonly logit: string;
  readonly id: string;
  readonly exists: string;
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
        ? `var argmax${set} = 0xffffffffu;`
        : `var ${name}${set} = ${name === "max" ? LOWEST : "0f"};`
    ).join(" ");
  }

  /** Takes some logits into a set. Their names must be plain: they are used more than once. */
  update(set: string, entries: readonly Entry[], target: string): string {
    const max = `max${set}`;
    const lines = [`var top = ${max};`];
    for (const { logit, exists } of entries) {
      lines.push(`top = max(top, select(${LOWEST}, ${logit}, ${exists}));`);
    }
    if (this.#has("argmax")) {
      lines.push(`if (top > ${max} || argmax${set} == 0xffffffffu) {`);
      // Backwards, so that among equals the smallest id stays.
      for (const { logit, id, exists } of [...entries].reverse()) {
        lines.push(indent(
          `argmax${set} = select(argmax${set}, ${id}, ${exists} && ${logit} == top);`,
        ));
      }
      lines.push("}");
    }
    lines.push(`let rescale = exp2((${max} - top) * ${LOG2E});`);
    if (this.#has("weighted")) {
      lines.push(`weighted${set} = (weighted${set} + sum${set} * (${max} - top)) * rescale;`);
    }
    lines.push(`sum${set} = sum${set} * rescale;`);
    for (const { logit, id, exists, weight } of entries) {
      const exponential = `select(0f, exp2((${logit} - top) * ${LOG2E}), ${exists})`;
      if (this.#has("weighted")) {
        lines.push(
          `{`,
          `  let share = ${exponential};`,
          `  weighted${set} += select(0f, share * (${logit} - top), ${exists});`,
          `  sum${set} += share;`,
          `}`,
        );
      } else lines.push(`sum${set} += ${exponential};`);
      // Past the end of a window lie ids of the next one.
      lines.push(`target${set} += select(0f, ${logit}, ${exists} && ${id} == ${target});`);
      if (this.#has("smoothed")) {
        lines.push(`smoothed${set} += select(0f, ${logit} * ${weight}, ${exists});`);
      }
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

  /** Where a statistic of a split lies in `partials`. */
  #slot(name: PartialStatistic, split: string, token: string): string {
    const row = this.names.indexOf(name);
    const first = `${split} * ${this.names.length * this.#stride}u`;
    return `partials[${first} + ${row * this.#stride}u + ${token}]`;
  }

  /** Declares a set and reads it from `partials`. */
  read(set: string, split: string, token: string): string {
    return this.names.map((name) => {
      const slot = this.#slot(name, split, token);
      return `let ${name}${set} = ${name === "argmax" ? slot : `bitcast<f32>(${slot})`};`;
    }).join("\n");
  }

  /** Writes a set to `partials`. */
  write(set: string, split: string, token: string): string {
    return this.names.map((name) => {
      const value = name === "argmax" ? `argmax${set}` : `bitcast<u32>(${name}${set})`;
      return `${this.#slot(name, split, token)} = ${value};`;
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
   * Folds the sets of all invocations that share rows into the first of them:
   * `lanesX` invocations, told apart by `tx`, hold `sets.length` rows each, for
   * each of `lanesY` values of `ty`. They meet in `scratch`.
   */
  reduceAcross(
    sets: readonly string[],
    lanesX: number,
    lanesY: number,
    scratch: Scratch,
  ): string {
    const perSet = (lanesX / 2) * lanesY * this.quads;
    const together = Math.max(1, Math.floor(scratch.quads / perSet));
    const lines: string[] = [];
    for (let start = 0; start < sets.length; start += together) {
      const group = sets.slice(start, start + together);
      const stride = group.length * this.quads;
      for (let half = lanesX / 2; half >= 1; half /= 2) {
        const at = (index: number) => `at + ${index * this.quads}u`;
        lines.push(
          `workgroupBarrier();`,
          `if (tx >= ${half}u && tx < ${2 * half}u) {`,
          `  let at = (ty * ${half}u + tx - ${half}u) * ${stride}u;`,
          indent(group.map((set, index) => this.#park(set, at(index), scratch))),
          `}`,
          `workgroupBarrier();`,
          `if (tx < ${half}u) {`,
          `  let at = (ty * ${half}u + tx) * ${stride}u;`,
          indent(
            group.map((set, index) =>
              `{\n${
                indent([this.#unpark("_other", at(index), scratch), this.fold(set, "_other")])
              }\n}`
            ),
          ),
          `}`,
        );
      }
    }
    return lines.join("\n");
  }
}

/**
 * The small vocabulary of WGSL text that every kernel generator shares.
 *
 * @module
 */
import type { Arithmetic } from "../planner/objective.ts";
import type { Dispatch, Params, Schedule } from "../planner/schedule.ts";

/** What a generator knows: the dispatch it writes for, and the schedule around it. */
export interface KernelContext {
  readonly schedule: Schedule;
  readonly dispatch: Dispatch;
}

/** Stands for minus infinity, which WGSL cannot write: no logit comes near, and its multiples stay finite. */
export const LOWEST = "-1e30f";

/** log2(e): hardware has exp2, and exp is made from it. */
export const LOG2E = "1.4426950408889634f";

/** A number as an f32 literal. */
export function literal(value: number): string {
  const rounded = Math.fround(value);
  return rounded < 0 ? `(${rounded}f)` : `${rounded}f`;
}

/** WGSL expressions as an arithmetic, so that an objective's formulas become shader text. */
export const WGSL: Arithmetic<string> = {
  literal,
  add: (a, b) => isZero(a) ? b : isZero(b) ? a : `(${a} + ${b})`,
  sub: (a, b) => isZero(b) ? a : isZero(a) ? `(-${b})` : `(${a} - ${b})`,
  mul: (a, b) =>
    isZero(a) || isZero(b) ? literal(0) : a === "1f" ? b : b === "1f" ? a : `(${a} * ${b})`,
};

function isZero(expression: string): boolean {
  return expression === "0f";
}

/** Shifts every line of a text, or of several, to the right by some levels of two spaces. */
export function indent(text: string | readonly string[], levels = 1): string {
  const lines = typeof text === "string" ? text.split("\n") : text.flatMap((t) => t.split("\n"));
  return lines.map((line) => line === "" ? "" : "  ".repeat(levels) + line).join("\n");
}

/** `[make(0), make(1), ...]`, `count` of them. */
export function times<T>(count: number, make: (index: number) => T): T[] {
  return Array.from({ length: count }, (_, index) => make(index));
}

/** The order of the params in the uniform buffer: one u32 each. */
const PARAM_FIELDS: readonly (keyof Params)[] = [
  "tokenStart",
  "tokens",
  "block",
  "vocabStart",
  "vocab",
  "column",
  "vocabTile",
  "first",
];

/** Params as the words of the uniform buffer; the last is a NaN, which WGSL cannot write either. */
export function packParams(params: Params): Uint32Array {
  const QUIET_NAN = 0x7fc00000;
  return Uint32Array.from([...PARAM_FIELDS.map((field) => params[field]), QUIET_NAN, 0, 0, 0]);
}

const PARAMS_STRUCT = `struct Params {
${PARAM_FIELDS.map((field) => `  ${snake(field)}: u32,`).join("\n")}
  nan: u32,
}
@group(0) @binding(0) var<uniform> params: Params;`;

function snake(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}

/**
 * Declares the uniform and the dispatch's bindings, in their order, with the
 * element type that this kernel reads each as.
 */
export function declarations(dispatch: Dispatch, types: Readonly<Record<string, string>>): string {
  const bindings = dispatch.bindings.map(({ slot, access }, index) => {
    const type = types[slot];
    if (!type) throw new Error(`Kernel ${dispatch.kernel} has no type for its slot ${slot}`);
    return `@group(0) @binding(${index + 1}) var<storage, ${access}> ${slot}: array<${type}>;`;
  });
  return [PARAMS_STRUCT, ...bindings].join("\n");
}

/** Whether a dispatch binds a slot. */
export function binds(dispatch: Dispatch, slot: string): boolean {
  return dispatch.bindings.some((binding) => binding.slot === slot);
}

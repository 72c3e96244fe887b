/**
 * The small vocabulary of WGSL text that every kernel generator shares.
 *
 * @module
 */
import { PARAM_MEANINGS } from "../../planner/schedule/params.ts";
import { snakeCase, type TensorKey, TENSORS } from "../../planner/schedule/tensors.ts";
import type { Dispatch } from "../../planner/schedule/schedule.ts";

/** Stands for minus infinity, which WGSL cannot write: no logit comes near, and its multiples stay finite. */
export const LOWEST = "-1e30f";

/** log2(e): hardware has exp2, and exp is made from it. */
export const LOG2E = "1.4426950408889634f";

/** Returns a number as an f32 literal. */
export function literal(value: number): string {
  const rounded = Math.fround(value);
  return rounded < 0 ? `(${rounded}f)` : `${rounded}f`;
}

/** Returns a number as an i32 literal. */
export function intLiteral(value: number): string {
  return value === -(2 ** 31) ? "i32(-2147483647 - 1)" : `${value}`;
}

/** An index: a constant, or the text of a u32 expression made of names, calls, `+`, `-`, `*`, `/`, `%`. */
export type Index = number | string;

/** Returns the text of an index. */
export function index(value: Index): string {
  return typeof value === "number" ? `${value}u` : value;
}

/** Returns the sum of some indices, constants in one term at the end. */
export function plus(...terms: readonly Index[]): string {
  let constant = 0;
  const texts: string[] = [];
  for (const term of terms) {
    if (typeof term === "number") constant += term;
    else if (/^\d+u$/.test(term)) constant += parseInt(term);
    else texts.push(term);
  }
  if (constant !== 0 || texts.length === 0) texts.push(index(constant));
  return texts.join(" + ");
}

/** Returns an index less a constant. */
export function minus(value: Index, less: number): string {
  if (typeof value === "number") return index(value - less);
  return less === 0 ? value : `${value} - ${index(less)}`;
}

/** Returns an index times a constant. */
export function scaled(value: Index, by: number): string {
  if (typeof value === "number") return index(value * by);
  if (/^\d+u$/.test(value)) return index(parseInt(value) * by);
  return by === 0 ? index(0) : by === 1 ? value : `${atom(value)} * ${index(by)}`;
}

/** Returns an index divided by a constant, rounded down. */
export function over(value: Index, by: number): string {
  if (typeof value === "number") return index(Math.floor(value / by));
  if (/^\d+u$/.test(value)) return index(Math.floor(parseInt(value) / by));
  const multiple = multipleOf(by, value);
  if (multiple) return plus(multiple.times, Math.floor(multiple.more / by));
  return by === 1 ? value : `${atom(value)} / ${index(by)}`;
}

/** Returns what remains of an index divided by a constant. */
export function modulo(value: Index, by: number): string {
  if (typeof value === "number") return index(value % by);
  const multiple = multipleOf(by, value);
  if (multiple) return index(multiple.more % by);
  return by === 1 ? index(0) : `${atom(value)} % ${index(by)}`;
}

/** Returns an index as a multiple of a constant and some more, where its text says so: `8u * ty + 3u`. */
function multipleOf(by: number, value: string): { times: string; more: number } | undefined {
  const parts = value.match(/^(\d+)u \* (\w+)(?: \+ (\d+)u)?$/);
  if (!parts || Number(parts[1]) % by !== 0) return undefined;
  return { times: scaled(parts[2]!, Number(parts[1]) / by), more: Number(parts[3] ?? 0) };
}

/** Returns an expression in parentheses, unless it is a single name, literal, call or element. */
function atom(expression: string): string {
  let depth = 0;
  for (const character of expression) {
    if ("([".includes(character)) depth++;
    else if (")]".includes(character)) depth--;
    else if (character === " " && depth === 0) return `(${expression})`;
  }
  return expression;
}

/** Shifts every line of a text, or of several, to the right by some levels of two spaces. */
export function indent(text: string | readonly string[], levels = 1): string {
  const lines = typeof text === "string" ? text.split("\n") : text.flatMap((t) => t.split("\n"));
  return lines.map((line) => line === "" ? "" : "  ".repeat(levels) + line).join("\n");
}

/** Returns lines in a scope of their own, or under a condition or a loop that is given. */
export function block(lines: readonly string[], head = ""): string {
  return `${head}${head && " "}{\n${indent(lines)}\n}`;
}

/** Returns `[make(0), make(1), ...]`, `count` of them. */
export function times<T>(count: number, make: (index: number) => T): T[] {
  return Array.from({ length: count }, (_, index) => make(index));
}

/** The suffixes of a vec4's components. */
export const COMPONENTS = ["x", "y", "z", "w"] as const;

const PARAMS_STRUCT = `struct Params {
${
  Object.entries(PARAM_MEANINGS).map(([field, meaning]) =>
    `  // ${meaning}\n  ${snakeCase(field)}: u32,`
  ).join("\n")
}
  // Not a number, which cannot be written here.
  nan: u32,
}
@group(0) @binding(0) var<uniform> params: Params;`;

/** Returns whether a dispatch binds a slot. */
export function binds(dispatch: Dispatch, slot: string): boolean {
  return dispatch.bindings.some((binding) => binding.slot === slot);
}

/** What `main` may ask of an invocation: its workgroup, its number in it, its number in the grid; its subgroup, its number in that. */
const BUILTINS = {
  group: "@builtin(workgroup_id) group: vec3<u32>",
  lane: "@builtin(local_invocation_index) lane: u32",
  invocation: "@builtin(global_invocation_id) invocation: vec3<u32>",
  subgroup: "@builtin(subgroup_id) subgroup: u32",
  in_subgroup: "@builtin(subgroup_invocation_id) in_subgroup: u32",
} as const;

/** The parts of a kernel's text. */
export interface KernelParts {
  /** What it does, in one sentence or two. */
  readonly title: string;
  /** Language extensions that it enables. */
  readonly enables?: readonly string[];
  /** Checks of the language that it switches off. */
  readonly diagnosticsOff?: readonly string[];
  /** What slots are read as, where it is not the type of the tensor that has their name. */
  readonly types?: Readonly<Record<string, string>>;
  /** Declarations in workgroup memory. */
  readonly memory?: readonly string[];
  /** Structs and functions. */
  readonly functions?: readonly string[];
  /** Invocations of a workgroup. */
  readonly workgroup: number;
  readonly builtins: readonly (keyof typeof BUILTINS)[];
  /** Statements of `main`. */
  readonly body: readonly string[];
}

/** Returns the whole text of a kernel. Its bindings are the dispatch's, in their order. */
export function kernel(dispatch: Dispatch, parts: KernelParts): string {
  const { title, types = {}, memory = [], functions = [], workgroup, body } = parts;
  const { enables = [], diagnosticsOff = [] } = parts;
  const bindings = dispatch.bindings.map(({ slot, access }, index) => {
    const type = types[slot] ?? (slot in TENSORS ? TENSORS[slot as TensorKey].type : undefined);
    if (!type || type === "stored") {
      throw new Error(`Kernel ${dispatch.kernel} has no type for its slot ${slot}`);
    }
    return `@group(0) @binding(${index + 1}) var<storage, ${access}> ${slot}: array<${type}>;`;
  });
  const builtins = parts.builtins.map((name) => BUILTINS[name]);
  const sections = [
    comment(`${dispatch.kernel}: ${title}`),
    [
      ...enables.map((name) => `enable ${name};`),
      ...diagnosticsOff.map((name) => `diagnostic(off, ${name});`),
    ].join("\n"),
    [PARAMS_STRUCT, ...bindings].join("\n"),
    memory.join("\n"),
    ...functions,
    `@compute @workgroup_size(${workgroup})
fn main(
${indent(builtins.map((builtin) => `${builtin},`))}
) {
${indent(body)}
}`,
  ];
  return sections.filter((section) => section !== "").join("\n\n") + "\n";
}

/** Returns a comment, broken into lines of at most 100 characters. */
export function comment(text: string): string {
  const lines: string[] = [];
  for (const word of text.split(" ")) {
    const last = lines.at(-1);
    if (last !== undefined && last.length + word.length < 100) {
      lines[lines.length - 1] += ` ${word}`;
    } else lines.push(`// ${word}`);
  }
  return lines.join("\n");
}

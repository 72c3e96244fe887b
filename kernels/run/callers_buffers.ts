/**
 * The caller's buffers: which ones a plan asks for, by the names that programs
 * give them, and whether those that are given will do.
 *
 * @module
 */
import { type Problem, wantedGradients } from "../../planner/problem.ts";
import type { Same } from "../../planner/same.ts";
import type { BufferSpec, Schedule } from "../../planner/schedule/schedule.ts";
import {
  type CamelCase,
  camelCase,
  type GradientKey,
  type InputKey,
  isCallers,
  keysOf,
  tensorName,
  tensorsOf,
} from "../../planner/schedule/tensors.ts";
import { usedBytes } from "./call_steps.ts";
import {
  type BufferRange,
  type CheckedRange,
  checkedRange,
  type NamedRanges,
  overlap,
} from "./buffer_range.ts";
import { BufferUsage } from "./provider.ts";

/**
 * One buffer, or the buffers that a matrix spans where the plan cuts it: see
 * {@linkcode LinearCrossEntropy.layout}.
 */
export type MatrixBuffers = BufferRange | readonly BufferRange[];

/** The caller's inputs. All need `STORAGE` usage. */
export interface InputBuffers {
  /** `[tokens, hidden]`, row-major, in the problem's storage type. */
  readonly hidden: MatrixBuffers;
  /** `[vocab, hidden]`, row-major, in the problem's storage type. */
  readonly weight: MatrixBuffers;
  /** `[tokens]` in i32. */
  readonly targets: BufferRange;
  /** `[vocab]` in f32, where the problem has a bias. */
  readonly bias?: BufferRange;
  /** `[vocab]` in f32, where the problem has class weights. */
  readonly classWeight?: BufferRange;
  /** `[tokens]` in u32, as `rowSeeds` makes them, where an id of each is drawn. */
  readonly seeds?: BufferRange;
  /** `[tokens, listed]` in i32, where a teacher is listed: ids of each token, no two alike; what is no id, such as -1, stands for none. */
  readonly teacherIds?: BufferRange;
  /** `[tokens, listed]` in f32: their log-probabilities, or logits. */
  readonly teacherLogprobs?: BufferRange;
  /** `[tokens]` in f32, as `sampleRows` finds them, where the weight's gradient is estimated from some: 0 for the others. A backward pass reads it. */
  readonly tokenWeights?: BufferRange;
  /** `[hidden / subTokens]` in f32, as `subTokenDirection` makes it, where the weight's gradient is of rank one in sub-tokens. */
  readonly direction?: BufferRange;
}

/**
 * The caller's inputs where a problem has several heads: `targets`, and what each head has by the
 * head's name and its own, such as `largeHidden`, `largeWeight` and `largeBias`.
 */
export interface HeadsInputBuffers {
  /** `[tokens]` in i32. */
  readonly targets: BufferRange;
  /** As in {@linkcode InputBuffers}. */
  readonly [tensor: string]: MatrixBuffers;
}

/** Where gradients go, all in f32, unless the weight's is planned in 16 bits: of a student's head where it has a teacher. Needs `STORAGE` and `COPY_DST` usage; what it held is overwritten, unless a step says `add`. */
export interface GradientBuffers {
  /** `[tokens, hidden]`, where the problem asks for it; of an adapter's columns alone, where it has one. */
  readonly hidden?: MatrixBuffers;
  /** `[vocab, hidden]`, likewise; `[vocab, subTokens]` where it is of rank one in sub-tokens. */
  readonly weight?: MatrixBuffers;
  /** `[vocab]`, where the problem asks for it. */
  readonly bias?: BufferRange;
}

/**
 * Where gradients go where a problem has several heads: those of the head that learns by their own
 * names, and of a teacher that learns as well by its name before them, such as `teacherWeight`.
 */
export interface HeadsGradientBuffers extends GradientBuffers {
  /** As in {@linkcode GradientBuffers}. */
  readonly [tensor: string]: MatrixBuffers | undefined;
}

/** The name of a gradient among {@linkcode GradientBuffers}, or of another head's. */
export type GradientBufferName = keyof GradientBuffers | HeadTensorName;

/** One buffer of a tensor that the caller provides: how many bytes, and where in the tensor. */
export interface TensorPart {
  /** The least size that the buffer may have. */
  readonly bytes: number;
  /** Bytes of the tensor in the buffers before this one. */
  readonly offset: number;
}

/** A tensor that the caller provides: an input, a gradient, or the upstream gradient. */
export type TensorName =
  | keyof InputBuffers
  | "grad_hidden"
  | "grad_weight"
  | "grad_bias"
  | "upstream";
/** An input or a gradient of one head of several, by the head's name and its own: `teacherGradWeight`. */
export type HeadTensorName = `${string}${"Hidden" | "Weight" | "Bias"}`;
true satisfies Same<TensorName, keyof InputBuffers | GradientKey | "upstream">;

/** Inputs that are given together; the upstream gradient is given apart. */
const INPUT_KEYS = keysOf("input").filter((key) => key !== "upstream");
true satisfies Same<CamelCase<Exclude<InputKey, "upstream">>, keyof InputBuffers>;

/** Returns the names that programs give a problem's inputs, and what the schedule calls them. */
export function inputsOf(problem: Problem): ReadonlyMap<string, string> {
  const names = INPUT_KEYS.flatMap((key) =>
    problem.heads.map((head) => tensorName(problem, head, key))
  );
  return new Map(names.map((name) => [camelCase(name), name]));
}

/** Names of {@linkcode GradientBuffers} and what the schedule calls them. */
const GRADIENTS = Object.fromEntries(
  keysOf("gradient").map((key) => [key.slice("grad_".length), key]),
) as Record<keyof GradientBuffers, GradientKey>;
true satisfies Same<GradientKey, `grad_${keyof GradientBuffers}`>;

/** Returns the names that programs give gradients, and what the schedule calls them: the first head's without its name. */
function gradientsOf(problem: Problem): ReadonlyMap<string, string> {
  const named = problem.heads.flatMap((head, index) =>
    index > 0 && wantedGradients(problem, head).size === 0 ? [] : Object.entries(GRADIENTS).map(
      ([name, key]) =>
        [
          index === 0 ? name : camelCase(`${head.name}_${name}`),
          tensorName(problem, head, key),
        ] as const,
    )
  );
  return new Map(named);
}

/**
 * Returns what the schedule calls gradients, by their names among {@linkcode HeadsGradientBuffers}.
 *
 * @throws {TypeError} where the plan does not have one.
 */
export function gradientTensors(
  { problem }: Schedule,
  names: readonly GradientBufferName[],
): ReadonlySet<string> {
  const planned = new Map(
    [...gradientsOf(problem)].filter(([, tensor]) => tensorsOf(problem).has(tensor)),
  );
  return new Set(names.map((name) => {
    const tensor = planned.get(name);
    if (tensor !== undefined) return tensor;
    throw new TypeError(
      `Cannot have the gradient "${name}": the plan has ${
        planned.size === 0 ? "none" : [...planned.keys()].join(", ")
      }. Leave it out, or plan a problem that has it`,
    );
  }));
}

/** Returns the names of all tensors that a caller provides, and what the schedule calls them. */
function namesOf(problem: Problem): ReadonlyMap<string, string> {
  return new Map([
    ...inputsOf(problem),
    ...problem.heads.slice(1).flatMap((head) =>
      Object.values(GRADIENTS)
        .map((key) => tensorName(problem, head, key))
        .filter((tensor) => tensorsOf(problem).has(tensor))
        .map((tensor) => [camelCase(tensor), tensor] as const)
    ),
    ...Object.values(GRADIENTS).map((key) =>
      [key, tensorName(problem, problem.heads[0]!, key)] as const
    ),
    ["upstream", "upstream"],
  ]);
}

/** Returns the buffers of a schedule that are its own: neither inputs nor gradients. */
export function ownBuffers({ problem, buffers }: Schedule): BufferSpec[] {
  const tensors = tensorsOf(problem);
  return buffers.filter(({ holds }) => !holds || !isCallers(tensors.get(holds.tensor)!.role));
}

/**
 * Returns the buffers that a tensor takes in a step of so many tokens; none where the plan does not
 * have it.
 *
 * @throws {TypeError} for a name that no tensor has.
 */
export function layoutOf(
  schedule: Schedule,
  tensor: TensorName | HeadTensorName,
  tokens: number,
): TensorPart[] {
  const names = namesOf(schedule.problem);
  const name = names.get(tensor);
  if (name === undefined) {
    throw new TypeError(`Unknown tensor "${tensor}": there are ${[...names.keys()].join(", ")}`);
  }
  return partsOf(schedule, name, tokens)
    .map(({ bytes, holds }) => ({ bytes, offset: holds!.offset }));
}

/** What the caller's buffers are given for. */
export interface Asked {
  readonly schedule: Schedule;
  /** Tokens of the step. */
  readonly tokens: number;
  /** What offsets must be multiples of: the device's `minStorageBufferOffsetAlignment`. */
  readonly alignment: number;
}

/**
 * Returns where the buffers lie that are given for inputs, by their names in a schedule.
 *
 * @throws {TypeError} when one is missing, not planned or lacks a usage, or when WebGPU does not
 *   let two of them share a buffer.
 * @throws {RangeError} when one is too small, or does not begin where it may.
 */
export function assignInputs(
  asked: Asked,
  inputs: InputBuffers | HeadsInputBuffers,
): NamedRanges {
  const names = Object.fromEntries(inputsOf(asked.schedule.problem));
  const named = assignAll<HeadsInputBuffers>(
    asked,
    names,
    inputs as HeadsInputBuffers,
    BufferUsage.STORAGE,
  );
  checkShared(asked.schedule, named);
  return named;
}

/** Refuses inputs in one buffer where a kernel declares one of them to be written, if only for form. */
function checkShared({ steps }: Schedule, named: NamedRanges): void {
  const buffers = new Set(Object.values(named).map(({ buffer }) => buffer));
  if (buffers.size === Object.keys(named).length) return;
  for (const step of steps) {
    if (step.kind !== "dispatch") continue;
    const seen = new Map<GPUBuffer, typeof step.bindings[number]>();
    for (const binding of step.bindings) {
      const range = named[binding.slice.buffer];
      if (!range) continue;
      const other = seen.get(range.buffer);
      if (other && other.access !== binding.access) {
        throw new TypeError(
          `Cannot take ${other.slice.buffer} and ${binding.slice.buffer} from one buffer: the kernel ${step.kernel} binds one as read and the other as read_write, which WebGPU does not allow. Give each a buffer of its own`,
        );
      }
      seen.set(range.buffer, binding);
    }
  }
}

/**
 * Returns the buffers that are given for gradients and the upstream gradient, beside
 * those of inputs.
 *
 * @throws {TypeError} as {@linkcode assignInputs}, and when a buffer is given twice.
 * @throws {RangeError} when one is too small.
 */
export function assignGradients(
  asked: Asked,
  gradients: GradientBuffers | HeadsGradientBuffers,
  upstream: BufferRange | undefined,
  inputs: NamedRanges,
): NamedRanges {
  const usage = BufferUsage.STORAGE | BufferUsage.COPY_DST;
  const names = Object.fromEntries(gradientsOf(asked.schedule.problem));
  const written = assignAll(asked, names, gradients as HeadsGradientBuffers, usage);
  const read = {
    ...inputs,
    ...assignAll(asked, { upstream: "upstream" }, { upstream }, BufferUsage.STORAGE),
  };
  // A kernel may write ranges of one buffer, but not read one and write another.
  const taken = Object.entries(read).map(([name, range]) => ({ name, range, read: true }));
  for (const [name, range] of Object.entries(written)) {
    const other = taken.find((each) =>
      each.read ? each.range.buffer === range.buffer : overlap(each.range, range)
    );
    if (other !== undefined) {
      throw new TypeError(
        `Cannot write ${name} into the buffer that is given for ${other.name}: give it one of its own`,
      );
    }
    taken.push({ name, range, read: false });
  }
  return { ...read, ...written };
}

/** Matches buffers, by the names that callers use, with the parts that the schedule has. */
function assignAll<Given extends object>(
  asked: Asked,
  names: Readonly<Record<keyof Given & string, string>>,
  given: Given,
  usage: number,
): NamedRanges {
  const unknown = Object.keys(given).find((name) => !(name in names));
  if (unknown !== undefined) {
    throw new TypeError(
      `Unknown buffer "${unknown}": there are ${Object.keys(names).join(", ")}`,
    );
  }
  return Object.assign(
    {},
    ...Object.entries<string>(names).map(([name, tensor]) =>
      assign(asked, tensor, (given as Record<string, MatrixBuffers | undefined>)[name], usage)
    ),
  );
}

function assign(
  { schedule, tokens, alignment }: Asked,
  tensor: string,
  given: MatrixBuffers | undefined,
  usage: number,
): NamedRanges {
  const parts = partsOf(schedule, tensor, tokens);
  const ranges = given === undefined ? [] : isList(given) ? given : [given];
  if (parts.length === 0 && ranges.length > 0) {
    throw new TypeError(
      `Cannot use a buffer for ${tensor}: the plan has none. Leave it out, or plan a problem that has it`,
    );
  }
  const planned = partsOf(schedule, tensor, schedule.problem.tokens).length;
  if (ranges.length !== parts.length && ranges.length !== planned) {
    throw new TypeError(
      `Cannot run without ${counted(parts.length, "buffer")} for ${tensor}: ${ranges.length} given`,
    );
  }
  return Object.fromEntries(parts.map(({ name, bytes }, index): [string, CheckedRange] => {
    const which = parts.length === 1 ? `The buffer for ${tensor}` : `Buffer ${index} of ${tensor}`;
    return [name, checkedRange(ranges[index]!, { which, bytes, usage, alignment })];
  }));
}

function isList(given: MatrixBuffers): given is readonly BufferRange[] {
  return Array.isArray(given);
}

function counted(count: number, what: string): string {
  return `${count} ${what}${count === 1 ? "" : "s"}`;
}

/** Returns the buffers of a tensor, in the order of their rows: what a step of so many tokens uses. */
function partsOf(schedule: Schedule, tensor: string, tokens: number): BufferSpec[] {
  return schedule.buffers
    .filter(({ holds }) => holds?.tensor === tensor)
    .sort((a, b) => a.holds!.offset - b.holds!.offset)
    .map((spec) => ({ ...spec, bytes: usedBytes(schedule, spec, tokens) }))
    .filter(({ bytes }) => bytes > 0);
}

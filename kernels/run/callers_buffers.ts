/**
 * The caller's buffers: which ones a plan asks for, by the names that programs
 * give them, and whether those that are given will do.
 *
 * @module
 */
import type { Problem } from "../../planner/problem.ts";
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
import type { NamedBuffers } from "./encoder.ts";
import { BufferUsage } from "./provider.ts";

/**
 * One buffer, or the buffers that a matrix spans where the plan cuts it: see
 * {@linkcode LinearCrossEntropy.layout}.
 */
export type MatrixBuffers = GPUBuffer | readonly GPUBuffer[];

/** The caller's inputs. All need `STORAGE` usage. */
export interface InputBuffers {
  /** `[tokens, hidden]`, row-major, in the problem's storage type. */
  readonly hidden: MatrixBuffers;
  /** `[vocab, hidden]`, row-major, in the problem's storage type. */
  readonly weight: MatrixBuffers;
  /** `[tokens]` in i32. */
  readonly targets: GPUBuffer;
  /** `[vocab]` in f32, where the problem has a bias. */
  readonly bias?: GPUBuffer;
  /** `[vocab]` in f32, where the problem has class weights. */
  readonly classWeight?: GPUBuffer;
}

/**
 * The caller's inputs where a problem has several heads: `targets`, and what each head has by the
 * head's name and its own, such as `largeHidden`, `largeWeight` and `largeBias`.
 */
export interface HeadsInputBuffers {
  /** `[tokens]` in i32. */
  readonly targets: GPUBuffer;
  /** As in {@linkcode InputBuffers}. */
  readonly [tensor: string]: MatrixBuffers;
}

/** Where gradients go, all in f32: of a student's head where it has a teacher. Needs `STORAGE` and `COPY_DST` usage; what it held is overwritten. */
export interface GradientBuffers {
  /** `[tokens, hidden]`, where the problem asks for it; of an adapter's columns alone, where it has one. */
  readonly hidden?: MatrixBuffers;
  /** `[vocab, hidden]`, likewise. */
  readonly weight?: MatrixBuffers;
  /** `[vocab]`, where the problem asks for it. */
  readonly bias?: GPUBuffer;
}

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
/** An input of one head of several, by the head's name and its own. */
export type HeadTensorName = `${string}${"Hidden" | "Weight" | "Bias"}`;
true satisfies Same<TensorName, keyof InputBuffers | GradientKey | "upstream">;

/** Inputs that are given together; the upstream gradient is given apart. */
const INPUT_KEYS = keysOf("input").filter((key) => key !== "upstream");
true satisfies Same<CamelCase<Exclude<InputKey, "upstream">>, keyof InputBuffers>;

/** Returns the names that programs give a problem's inputs, and what the schedule calls them. */
function inputsOf(problem: Problem): ReadonlyMap<string, string> {
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

/** Returns the names of all tensors that a caller provides, and what the schedule calls them. */
function namesOf(problem: Problem): ReadonlyMap<string, string> {
  return new Map([
    ...inputsOf(problem),
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
 * Returns the buffers that a tensor takes; none where the plan does not have it.
 *
 * @throws {TypeError} for a name that no tensor has.
 */
export function layoutOf(schedule: Schedule, tensor: TensorName | HeadTensorName): TensorPart[] {
  const names = namesOf(schedule.problem);
  const name = names.get(tensor);
  if (name === undefined) {
    throw new TypeError(`Unknown tensor "${tensor}": there are ${[...names.keys()].join(", ")}`);
  }
  return partsOf(schedule, name).map(({ bytes, holds }) => ({ bytes, offset: holds!.offset }));
}

/**
 * Returns the buffers that are given for inputs, by their names in a schedule.
 *
 * @throws {TypeError} when one is missing, not planned or lacks a usage.
 * @throws {RangeError} when one is too small.
 */
export function assignInputs(
  schedule: Schedule,
  inputs: InputBuffers | HeadsInputBuffers,
): NamedBuffers {
  const names = Object.fromEntries(inputsOf(schedule.problem));
  return assignAll<HeadsInputBuffers>(
    schedule,
    names,
    inputs as HeadsInputBuffers,
    BufferUsage.STORAGE,
  );
}

/**
 * Returns the buffers that are given for gradients and the upstream gradient, beside
 * those of inputs.
 *
 * @throws {TypeError} as {@linkcode assignInputs}, and when a buffer is given twice.
 * @throws {RangeError} when one is too small.
 */
export function assignGradients(
  schedule: Schedule,
  gradients: GradientBuffers,
  upstream: GPUBuffer | undefined,
  inputs: NamedBuffers,
): NamedBuffers {
  const usage = BufferUsage.STORAGE | BufferUsage.COPY_DST;
  const names = Object.fromEntries(
    Object.entries(GRADIENTS).map(([name, key]) => [name, namesOf(schedule.problem).get(key)!]),
  ) as Record<keyof GradientBuffers, string>;
  const written = assignAll(schedule, names, gradients, usage);
  const read = {
    ...inputs,
    ...assignAll(schedule, { upstream: "upstream" }, { upstream }, BufferUsage.STORAGE),
  };
  const owners = new Map(Object.entries(read).map(([name, buffer]) => [buffer, name]));
  for (const [name, buffer] of Object.entries(written)) {
    const other = owners.get(buffer);
    if (other !== undefined) {
      throw new TypeError(
        `Cannot write ${name} into the buffer that is given for ${other}: give it one of its own`,
      );
    }
    owners.set(buffer, name);
  }
  return { ...read, ...written };
}

/** Matches buffers, by the names that callers use, with the parts that the schedule has. */
function assignAll<Given extends object>(
  schedule: Schedule,
  names: Readonly<Record<keyof Given & string, string>>,
  given: Given,
  usage: number,
): NamedBuffers {
  const unknown = Object.keys(given).find((name) => !(name in names));
  if (unknown !== undefined) {
    throw new TypeError(
      `Unknown buffer "${unknown}": there are ${Object.keys(names).join(", ")}`,
    );
  }
  return Object.assign(
    {},
    ...Object.entries<string>(names).map(([name, tensor]) =>
      assign(schedule, tensor, (given as Record<string, MatrixBuffers | undefined>)[name], usage)
    ),
  );
}

function assign(
  schedule: Schedule,
  tensor: string,
  given: MatrixBuffers | undefined,
  usage: number,
): NamedBuffers {
  const parts = partsOf(schedule, tensor);
  const buffers = given === undefined ? [] : "size" in given ? [given] : given;
  if (parts.length === 0 && buffers.length > 0) {
    throw new TypeError(
      `Cannot use a buffer for ${tensor}: the plan has none. Leave it out, or plan a problem that has it`,
    );
  }
  if (buffers.length !== parts.length) {
    throw new TypeError(
      `Cannot run without ${
        counted(parts.length, "buffer")
      } for ${tensor}: ${buffers.length} given`,
    );
  }
  return Object.fromEntries(parts.map(({ name, bytes }, index) => {
    const buffer = buffers[index]!;
    const which = parts.length === 1 ? `The buffer for ${tensor}` : `Buffer ${index} of ${tensor}`;
    if (buffer.size < bytes) {
      throw new RangeError(
        `${which} is too small: it has ${buffer.size} bytes, ${bytes} are needed`,
      );
    }
    if ((buffer.usage & usage) !== usage) {
      throw new TypeError(`${which} lacks a usage: it needs ${usageNames(usage)}`);
    }
    return [name, buffer];
  }));
}

function counted(count: number, what: string): string {
  return `${count} ${what}${count === 1 ? "" : "s"}`;
}

/** Returns the names of usage flags, as code spells them. */
function usageNames(usage: number): string {
  return (["STORAGE", "COPY_DST"] as const)
    .filter((name) => usage & BufferUsage[name])
    .map((name) => `GPUBufferUsage.${name}`)
    .join(" | ");
}

/** Returns the buffers of a tensor, in the order of their rows. */
function partsOf({ buffers }: Schedule, tensor: string): BufferSpec[] {
  return buffers
    .filter(({ holds }) => holds?.tensor === tensor)
    .sort((a, b) => a.holds!.offset - b.holds!.offset);
}

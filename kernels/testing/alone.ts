/**
 * Kernels alone: one dispatch from a schedule made by hand, with whatever its
 * buffers are to hold. For tests.
 *
 * @module
 */
import assert from "node:assert/strict";
import { readParts } from "../run/readback.ts";
import { packParams, type Params, PARAMS_BYTES } from "../../planner/schedule/params.ts";
import { headOf, type ProblemInput } from "../../planner/problem.ts";
import { parseProblem } from "../../planner/problem_schema.ts";
import type { Binding, Dispatch, KernelName, Schedule } from "../../planner/schedule/schedule.ts";
import { registerTile, type Tile } from "../../planner/schedule/tile.ts";
import { wgslOf } from "../wgsl/generate.ts";
import type { BodyMaker } from "../wgsl/product.ts";

/** The contents of a buffer. */
type Words = Float32Array<ArrayBuffer> | Uint32Array<ArrayBuffer> | Int32Array<ArrayBuffer>;

/** A tile small enough for sizes that a test computes beside it. */
export const TINY: Tile = registerTile([32, 32, 16], [4, 4]);

/** One dispatch: what is left out is that of one block and one window of the whole problem. */
export interface Alone<Written extends Record<string, Words>> {
  readonly kernel: KernelName;
  readonly problem: ProblemInput;
  readonly schedule?: Partial<Schedule>;
  readonly dispatch?: Partial<Dispatch>;
  readonly params?: Partial<Params>;
  readonly grid: readonly [number, number];
  /** Contents of the slots that are read. */
  readonly read: Readonly<Record<string, Words>>;
  /** What the slots that are written hold before: something stale, for a kernel to overwrite. */
  readonly written: Written;
  readonly body?: BodyMaker;
}

/** Returns the schedule and dispatch of a kernel alone. */
export function scheduleOf<W extends Record<string, Words>>(
  alone: Alone<W>,
): { schedule: Schedule; dispatch: Dispatch } {
  const problem = parseProblem(alone.problem);
  const binding = (access: Binding["access"]) => ([slot, words]: [string, Words]): Binding => ({
    slot,
    access,
    slice: { buffer: slot, offset: 0, bytes: words.byteLength },
  });
  const dispatch: Dispatch = {
    kind: "dispatch",
    kernel: alone.kernel,
    tile: TINY,
    grid: alone.grid,
    bindings: [
      ...Object.entries(alone.read).map(binding("read")),
      ...Object.entries(alone.written).map(binding("read_write")),
    ],
    params: 0,
    flops: 0,
    workgroupFlops: 0,
    traffic: 0,
    ...alone.dispatch,
  };
  const schedule: Schedule = {
    strategy: "windowed",
    problem,
    tile: dispatch.tile!,
    window: { vocab: headOf(problem).vocab, count: 1 },
    block: { tokens: problem.tokens, count: 1 },
    splits: 1,
    logitStride: 4 * Math.ceil(headOf(problem).vocab / 4),
    gradientStride: alone.schedule?.logitStride ?? 4 * Math.ceil(headOf(problem).vocab / 4),
    buffers: [],
    params: [],
    paramsStride: PARAMS_BYTES,
    steps: [dispatch],
    backwardStart: undefined,
    residency: "host",
    ...alone.schedule,
  };
  return { schedule, dispatch };
}

/** Runs a kernel alone and gives what it wrote. */
export async function runAlone<W extends Record<string, Words>>(
  device: GPUDevice,
  alone: Alone<W>,
): Promise<W> {
  const { schedule, dispatch } = scheduleOf(alone);
  const { tokens } = schedule.problem;
  const { vocab } = headOf(schedule.problem);
  const params = packParams({
    tokenStart: 0,
    tokens,
    block: 0,
    vocabStart: 0,
    vocab,
    column: 0,
    vocabTile: 0,
    first: 1,
    ...alone.params,
  });
  const { STORAGE, UNIFORM, COPY_SRC, COPY_DST } = GPUBufferUsage;
  const holding = (words: Words | Uint32Array<ArrayBuffer>, usage: number) => {
    const buffer = device.createBuffer({ size: words.byteLength, usage: usage | COPY_DST });
    device.queue.writeBuffer(buffer, 0, words);
    return buffer;
  };
  const slots = { ...alone.read, ...alone.written };
  const buffers = [
    holding(params, UNIFORM),
    ...dispatch.bindings.map(({ slot }) => holding(slots[slot]!, STORAGE | COPY_SRC)),
  ];
  device.pushErrorScope("validation");
  const layout = device.createBindGroupLayout({
    entries: buffers.map((_, binding) => ({
      binding,
      visibility: GPUShaderStage.COMPUTE,
      buffer: {
        type: binding === 0
          ? "uniform" as const
          : dispatch.bindings[binding - 1]!.access === "read"
          ? "read-only-storage" as const
          : "storage" as const,
      },
    })),
  });
  const code = wgslOf(schedule, dispatch, alone.body);
  const pipeline = device.createComputePipeline({
    layout: device.createPipelineLayout({ bindGroupLayouts: [layout] }),
    compute: { module: device.createShaderModule({ code }), entryPoint: "main" },
  });
  const encoder = device.createCommandEncoder();
  const pass = encoder.beginComputePass();
  pass.setPipeline(pipeline);
  pass.setBindGroup(
    0,
    device.createBindGroup({
      layout,
      entries: buffers.map((buffer, binding) => ({ binding, resource: { buffer } })),
    }),
  );
  pass.dispatchWorkgroups(...alone.grid);
  pass.end();
  const first = 1 + Object.keys(alone.read).length;
  device.queue.submit([encoder.finish()]);
  const error = await device.popErrorScope();
  if (error) throw new Error(`${alone.kernel}: ${error.message}`);
  const results: Record<string, Words> = {};
  for (const [index, [name, words]] of Object.entries(alone.written).entries()) {
    const part = { buffer: buffers[first + index]!, bytes: words.byteLength };
    const { buffer: bytes } = await readParts(device, [part], name);
    results[name] = new (words.constructor as new (bytes: ArrayBuffer) => Words)(bytes);
  }
  for (const buffer of buffers) buffer.destroy();
  return results as W;
}

/** Asserts that sums of some twenty terms near 1 agree: to 1e-5 of the size of what is summed, or of 1. */
export function close(actual: number, expected: number, what: string, size = expected): void {
  const error = Math.abs(actual - expected);
  assert(error <= 1e-5 * Math.max(1, Math.abs(size)), `${what}: ${actual}, not ${expected}`);
}

/** Returns a buffer of f32 that holds something stale. */
export function stale(length: number): Float32Array<ArrayBuffer> {
  return new Float32Array(length).fill(777);
}

/** Returns a buffer of u32 that holds something stale. */
export function staleWords(length: number): Uint32Array<ArrayBuffer> {
  return new Uint32Array(length).fill(777);
}

const SUBGROUPS = {
  subgroups: { rows: 2, cols: 2, size: 32 },
  fragment: { m: 16, n: 16, k: 16 },
  emulated: true,
} as const;

/** A tile in matrices of plain WGSL, of the rows and columns of {@linkcode TINY}. */
export const EMULATED: Tile = {
  rows: 32,
  cols: 32,
  depth: 32,
  body: { kind: "matrix", ...SUBGROUPS },
};

/** The same for operands in f32, each split in two. */
export const SPLIT: Tile = { ...EMULATED, body: { kind: "split", ...SUBGROUPS } };

/** Returns the bits of the largest of some numbers, in size: what a product may be scaled by. */
export function boundOf(values: Iterable<number>): number {
  return bits([...values].reduce((most, value) => Math.max(most, Math.abs(value) || 0), 0));
}

/** Returns the halves nearest to some numbers, two in a word. */
export function halves(values: Float32Array): Uint32Array<ArrayBuffer> {
  return new Uint32Array(new Float16Array(values).buffer);
}

/** Returns the numbers of some halves. */
export function fromHalves(words: Uint32Array): Float32Array<ArrayBuffer> {
  return Float32Array.from(new Float16Array(words.slice().buffer));
}

/** Returns noise that halves hold exactly. */
export function noiseOfHalves(length: number, seed = 1): Float32Array<ArrayBuffer> {
  return Float32Array.from(new Float16Array(noise(length, seed)));
}

/** Returns numbers that look like noise, the same each time: from -1 to 1. */
export function noise(length: number, seed = 1): Float32Array<ArrayBuffer> {
  return Float32Array.from({ length }, (_, i) => {
    const x = Math.sin((i + 1) * 12.9898 + seed * 78.233) * 43758.5453;
    return 2 * (x - Math.floor(x)) - 1;
  });
}

/** Returns the bits of an f32. */
export function bits(value: number): number {
  return new Uint32Array(Float32Array.of(value).buffer)[0]!;
}

/** Returns the f32 of some bits. */
export function fromBits(word: number): number {
  return new Float32Array(Uint32Array.of(word).buffer)[0]!;
}

/**
 * Returns the buffer `kept` of one block: how many of its tokens are kept, and their
 * rows. `kept` reads as `[header, rows]`; see `select-tokens`.
 */
export function keptBuffer(rows: readonly number[], tokens: number): Uint32Array<ArrayBuffer> {
  const words = new Uint32Array(64 + tokens);
  words[0] = rows.length;
  words.set(rows, 64);
  let end = 64 + tokens;
  for (let row = 0; row < tokens; row++) if (!rows.includes(row)) words[--end] = row;
  return words;
}

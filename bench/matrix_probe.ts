/**
 * How fast WGSL's subgroup matrices (f16 operands, f32 sums) compute the output layer's products:
 * the forward pass with its online log-sum-exp, and the two products of the backward pass. Every
 * variant's numbers are checked, except where a stage is left out on purpose.
 *
 *     deno run -A bench/matrix_probe.ts npm:webgpu@0.6.2 8192 2304 256000
 *
 * The first argument is what to import Dawn from, a package or the path of its index.js; then come
 * tokens, hidden and vocabulary, and a part of the names of the variants to run. bench/matrix.md has
 * what came out.
 *
 * @module
 */
import {
  kernel,
  type Packing,
  packing,
  paddedDepth,
  type Shape,
  sides,
  type Variant,
  VECTOR,
} from "./matrix_kernel.ts";

/** Rows of the vocabulary a window of the backward pass has, unless a variant says. */
const WINDOW = 16384;

const SQUARE = { tile: [128, 128, 32], subgroups: [2, 2], group: 16 } as const;
const TALL = { tile: [256, 128, 32], subgroups: [4, 2], group: 16 } as const;
const WIDE = { tile: [128, 256, 32], subgroups: [2, 4], group: 32 } as const;
/** Loads a step ahead; bound read_write, which keeps the compiler from moving them. */
const AHEAD = { copy: "ahead", access: "read_write" } as const;
const GRADIENT = { ...SQUARE, ...AHEAD, group: 8, packed: false } as const;

/** The ideas, by the names bench/matrix.md has them under. */
const VARIANTS: Record<string, Variant> = {
  "256x128": { ...TALL, ...AHEAD },
  "128x256": { ...WIDE, ...AHEAD },
  "128x128": { ...SQUARE, ...AHEAD },
  "128x128 inside": SQUARE,
  "128x128 inside, all token tiles side by side": {
    tile: SQUARE.tile,
    subgroups: SQUARE.subgroups,
  },
  "128x128 inside, stores meet": { ...SQUARE, shuffle: false },
  "128x128 inside, plain epilogue": { ...SQUARE, epilogue: "plain" },
  "128x128 two rows a round": { ...SQUARE, round: 2 },
  "128x128 ping-pong epilogue": { ...SQUARE, epilogue: "pingpong" },
  "128x128 12 KiB of ballast": { ...SQUARE, ballast: 12288 },
  "128x128 early": { ...SQUARE, copy: "early" },
  "128x128 halfway": { ...SQUARE, ...AHEAD, copy: "halfway" },
  "128x128 columns 8": { ...SQUARE, ...AHEAD, columns: 8 },
  "128x128 unpacked": { ...SQUARE, ...AHEAD, packed: false },
  "128x128 pairs, 132 apart": { ...SQUARE, ...AHEAD, pairs: 132 },
  "128x128 pairs, 1 apart": { ...SQUARE, ...AHEAD, pairs: 132, apart: 1 },
  "128x128x16 two buffers": { ...SQUARE, tile: [128, 128, 16], buffers: 2, copy: "ahead" },
  "128x128x48": { ...SQUARE, ...AHEAD, tile: [128, 128, 48], slice: 16 },
  "128x128x64 left direct": { ...SQUARE, tile: [128, 128, 64], left: "direct" },
  "128x128x64 right direct": { ...SQUARE, tile: [128, 128, 64], right: "direct" },
  "128x128 subgroups of 64x32": { ...SQUARE, subgroups: [2, 4] },
  "128x64 subgroups of 64x32": { ...SQUARE, tile: [128, 64, 32] },
  "256x128x16 two buffers": { ...TALL, tile: [256, 128, 16], buffers: 2, copy: "two ahead" },
  "256x128 two ahead": { ...TALL, ...AHEAD, copy: "two ahead" },
  "256x128x48": { ...TALL, ...AHEAD, tile: [256, 128, 48], slice: 16 },
  "256x128 16 subgroups of 64x32": { ...TALL, ...AHEAD, subgroups: [4, 4] },
  "256x128x64 left direct": { ...TALL, ...AHEAD, tile: [256, 128, 64], left: "direct" },
  "128x128 without epilogue": { ...SQUARE, ...AHEAD, without: "epilogue" },
  "128x128 without multiplications": { ...SQUARE, ...AHEAD, without: "multiplications" },
  "128x128 without global loads": { ...SQUARE, ...AHEAD, without: "global loads" },
  "128x128 without copies": { ...SQUARE, ...AHEAD, without: "copies" },
  "128x128 without loads": { ...SQUARE, without: "loads" },
  "128x128 one token tile": { ...SQUARE, ...AHEAD, without: "token tiles" },
  "256x128 without epilogue": { ...TALL, ...AHEAD, without: "epilogue" },
  "256x128 without multiplications": { ...TALL, ...AHEAD, without: "multiplications" },
  "256x128 without global loads": { ...TALL, ...AHEAD, without: "global loads" },
  "dW 128x128": { ...GRADIENT, product: "weight-gradient" },
  "dW 128x128 inside": {
    ...GRADIENT,
    copy: "inside",
    access: "read",
    product: "weight-gradient",
  },
  "dW 128x128 from panels": { ...GRADIENT, packed: true, product: "weight-gradient" },
  "dW 256x128": { ...TALL, ...AHEAD, group: 8, packed: false, product: "weight-gradient" },
  "dW 128x256": { ...WIDE, ...AHEAD, group: 8, packed: false, product: "weight-gradient" },
  "dW adding 128x128": { ...GRADIENT, adds: true, product: "weight-gradient" },
  "dW adding 128x128 of 131072 ids": {
    ...GRADIENT,
    adds: true,
    ids: 131072,
    product: "weight-gradient",
  },
  "dW 128x128 of 131072 ids": { ...GRADIENT, ids: 131072, product: "weight-gradient" },
  "dH 128x128": { ...GRADIENT, product: "hidden-gradient" },
  "dH 128x128 inside": {
    ...GRADIENT,
    copy: "inside",
    access: "read",
    product: "hidden-gradient",
  },
  "dH 128x128 from panels": { ...GRADIENT, packed: true, product: "hidden-gradient" },
  "dH 256x128": { ...TALL, ...AHEAD, group: 8, packed: false, product: "hidden-gradient" },
  "dH 128x256": { ...WIDE, ...AHEAD, group: 8, packed: false, product: "hidden-gradient" },
};

/** The value at a place of a matrix: ten random bits, exact in f16, so that every sum is one sum. */
function valueAt(seed: number, index: number, scale: number): number {
  let x = (Math.imul(index, 0x9e3779b1) + seed) >>> 0;
  x = Math.imul(x ^ (x >>> 15), 0x85ebca77) >>> 0;
  x = Math.imul(x ^ (x >>> 13), 0xc2b2ae3d) >>> 0;
  x = (x ^ (x >>> 16)) >>> 0;
  return ((x & 1023) - 512) * scale;
}

const VALUE = `fn value(seed: u32, index: u32, scale: f32) -> f32 {
  var x = index * 0x9e3779b1u + seed;
  x = (x ^ (x >> 15u)) * 0x85ebca77u;
  x = (x ^ (x >> 13u)) * 0xc2b2ae3du;
  x = x ^ (x >> 16u);
  return f32(i32(x & 1023u) - 512) * scale;
}
`;

/** Writes a matrix of `columns` columns in the packing asked for, 16 bytes an invocation. */
function fillCode(
  p: Packing,
  columns: number,
  used: number,
  seed: number,
  scale: number,
): string {
  const w = p.width / VECTOR;
  return `${VALUE}
@group(0) @binding(0) var<storage, read_write> out: array<vec4<u32>>;
@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) g: vec3<u32>, @builtin(local_invocation_index) t: u32) {
  let i = (g.x + g.y * 32768u) * 256u + t;
  if (i >= arrayLength(&out)) { return; }
  let block = i / ${p.rows * w}u;
  let row = (block / ${columns / p.width}u) * ${p.rows}u + (i % ${p.rows * w}u) / ${w}u;
  let column = (block % ${columns / p.width}u) * ${p.width}u + (i % ${w}u) * 8u;
  if (column >= ${used}u) { out[i] = vec4<u32>(); return; }
  let at = row * ${used}u + column;
  var v = vec4<u32>();
  for (var q = 0u; q < 4u; q++) {
    v[q] = pack2x16float(vec2<f32>(value(${seed}u, at + 2u * q, ${scale}), value(${seed}u, at + 2u * q + 1u, ${scale})));
  }
  out[i] = v;
}`;
}

/** Logits of a few rows, from the values' formula and in f32: knows nothing of packing or tiles. */
function logitsCode({ hidden, vocab }: Shape, rows: readonly number[]): string {
  return `${VALUE}
@group(0) @binding(0) var<storage, read_write> out: array<f32>;
@compute @workgroup_size(128)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  let rows = array<u32, ${rows.length}>(${rows.map((r) => `${r}u`).join(", ")});
  let row = rows[id.y];
  if (id.x >= ${vocab}u) { return; }
  var sum = 0.0;
  for (var k = 0u; k < ${hidden}u; k++) {
    sum += value(${LEFT.seed}u, row * ${hidden}u + k, ${LEFT.scale}) * value(${RIGHT.seed}u, id.x * ${hidden}u + k, ${RIGHT.scale});
  }
  out[id.y * ${vocab}u + id.x] = sum;
}`;
}

const LEFT = { seed: 17, scale: 1 / 512 };
const RIGHT = { seed: 4242, scale: 1 / 4096 };

/** The part of npm `webgpu` (Dawn) this probe uses. */
interface Provider {
  create(options: string[]): GPU;
}

const FEATURES = [
  "shader-f16",
  "subgroups",
  "timestamp-query",
  "chromium-experimental-subgroup-matrix",
];

async function open(name: string): Promise<GPUDevice> {
  const { create } = await import(name) as Provider;
  const gpu = create([
    "enable-dawn-features=allow_unsafe_apis,vulkan_enable_f16_on_nvidia,disable_robustness," +
    "disable_workgroup_init,disable_polyfills_on_integer_div_and_mod",
    "disable-dawn-features=timestamp_quantization",
  ]);
  Object.assign(globalThis, { probeGpu: gpu }); // Dawn dies once this object is collected
  const adapter = await gpu.requestAdapter({ powerPreference: "high-performance" });
  if (adapter === null) throw new Error(`${name} found no adapter`);
  const { limits, info } = adapter;
  print(`${info.vendor} ${info.architecture} ${info.device} ${info.description}`);
  return await adapter.requestDevice({
    requiredFeatures: FEATURES as GPUFeatureName[],
    requiredLimits: {
      maxBufferSize: Math.min(limits.maxBufferSize, 4e9),
      maxStorageBufferBindingSize: Math.min(limits.maxStorageBufferBindingSize, 4e9),
      maxComputeWorkgroupStorageSize: limits.maxComputeWorkgroupStorageSize,
      maxComputeInvocationsPerWorkgroup: limits.maxComputeInvocationsPerWorkgroup,
      maxComputeWorkgroupSizeX: limits.maxComputeWorkgroupSizeX,
    },
  });
}

function print(text: string): void {
  Deno.stdout.writeSync(new TextEncoder().encode(text + "\n"));
}

/** Everything that runs on the device. */
class Probe {
  readonly #device: GPUDevice;
  readonly #shape: Shape;
  readonly #checked: number[];
  #reference: number[] | undefined;

  constructor(device: GPUDevice, shape: Shape) {
    this.#device = device;
    this.#shape = shape;
    this.#checked = [0, 37, 64, shape.tokens - 1];
  }

  #buffer(size: number): GPUBuffer {
    const usage = GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_SRC;
    return this.#device.createBuffer({ size, usage });
  }

  async #run(
    code: string,
    buffers: GPUBuffer[],
    groups: [number, number],
    readOnly: readonly boolean[] = [false],
  ): Promise<(times: number) => Promise<number[]>> {
    const device = this.#device;
    device.pushErrorScope("validation");
    const module = device.createShaderModule({ code });
    const layout = device.createBindGroupLayout({
      entries: buffers.map((_, binding) => ({
        binding,
        visibility: GPUShaderStage.COMPUTE,
        buffer: {
          type: readOnly[binding] ? "read-only-storage" : "storage",
        },
      })),
    });
    const pipeline = device.createComputePipeline({
      layout: device.createPipelineLayout({ bindGroupLayouts: [layout] }),
      compute: { module, entryPoint: "main" },
    });
    const error = await device.popErrorScope();
    if (error !== null) throw new Error(error.message.slice(0, 600));
    const bindings = device.createBindGroup({
      layout,
      entries: buffers.map((buffer, binding) => ({ binding, resource: { buffer } })),
    });
    const go = async (times: number) => {
      const queries = device.createQuerySet({ type: "timestamp", count: 2 * times });
      const ticks = device.createBuffer({
        size: 16 * times,
        usage: GPUBufferUsage.QUERY_RESOLVE | GPUBufferUsage.COPY_SRC,
      });
      const encoder = device.createCommandEncoder();
      for (let i = 0; i < times; i++) {
        const pass = encoder.beginComputePass({
          timestampWrites: {
            querySet: queries,
            beginningOfPassWriteIndex: 2 * i,
            endOfPassWriteIndex: 2 * i + 1,
          },
        });
        pass.setPipeline(pipeline);
        pass.setBindGroup(0, bindings);
        pass.dispatchWorkgroups(...groups);
        pass.end();
      }
      encoder.resolveQuerySet(queries, 0, 2 * times, ticks, 0);
      device.queue.submit([encoder.finish()]);
      const t = new BigUint64Array((await this.#read(ticks)).buffer);
      ticks.destroy();
      queries.destroy();
      return Array.from({ length: times }, (_, i) => Number(t[2 * i + 1]! - t[2 * i]!) / 1e6);
    };
    return go;
  }

  async #read(buffer: GPUBuffer, offset = 0, size = buffer.size): Promise<Float32Array> {
    const device = this.#device;
    const usage = GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST;
    const copy = device.createBuffer({ size, usage });
    const encoder = device.createCommandEncoder();
    encoder.copyBufferToBuffer(buffer, offset, copy, 0, size);
    device.queue.submit([encoder.finish()]);
    await copy.mapAsync(GPUMapMode.READ);
    const values = new Float32Array(copy.getMappedRange().slice(0));
    copy.destroy();
    return values;
  }

  async #matrix(
    rows: number,
    columns: number,
    used: number,
    pack: Packing,
    of: typeof LEFT,
  ): Promise<GPUBuffer> {
    const buffer = this.#buffer(rows * columns * 2);
    const groups = Math.ceil(rows * columns / VECTOR / 256);
    const fill = await this.#run(fillCode(pack, columns, used, of.seed, of.scale), [buffer], [
      Math.min(groups, 32768),
      Math.ceil(groups / 32768),
    ]);
    await fill(1);
    return buffer;
  }

  /** Log-sum-exps of the checked rows, summed in float64 from f32 logits. */
  async #truth(): Promise<number[]> {
    if (this.#reference !== undefined) return this.#reference;
    const { vocab, hidden } = this.#shape;
    const out = this.#buffer(this.#checked.length * vocab * 4);
    const logits = await this.#run(logitsCode(this.#shape, this.#checked), [out], [
      Math.ceil(vocab / 128),
      this.#checked.length,
    ]);
    await logits(1);
    const z = await this.#read(out);
    out.destroy();
    // That kernel itself, against float64 on the host.
    for (const column of [0, 1, vocab - 1]) {
      let sum = 0;
      const row = this.#checked[1]!;
      for (let k = 0; k < hidden; k++) {
        sum += valueAt(LEFT.seed, row * hidden + k, LEFT.scale) *
          valueAt(RIGHT.seed, column * hidden + k, RIGHT.scale);
      }
      if (!(Math.abs(sum - z[vocab + column]!) < 1e-4)) throw new Error("the reference is wrong");
    }
    return this.#reference = this.#checked.map((_, i) => {
      const row = z.subarray(i * vocab, (i + 1) * vocab);
      const top = row.reduce((x, y) => Math.max(x, y), -Infinity);
      return top + Math.log(row.reduce((x, y) => x + Math.exp(y - top), 0));
    });
  }

  /** The largest error of a variant's results: relative of log-sum-exps, absolute of gradients. */
  async #error(v: Variant, result: GPUBuffer, runs: number): Promise<number> {
    if ((v.product ?? "forward") === "forward") {
      const each = (v.windows ?? 33) * v.subgroups[1];
      const truth = await this.#truth();
      let worst = 0;
      for (const [i, row] of this.#checked.entries()) {
        const parts = await this.#read(result, row * each * 8, each * 8);
        let top = -Infinity;
        let sum = 0;
        for (let p = 0; p < each; p++) top = Math.max(top, parts[2 * p]!);
        for (let p = 0; p < each; p++) sum += parts[2 * p + 1]! * Math.exp(parts[2 * p]! - top);
        const error = Math.abs(top + Math.log(sum) - truth[i]!) / truth[i]!;
        worst = Math.max(worst, Number.isNaN(error) ? Infinity : error);
      }
      return worst;
    }
    const s = sides(v.product!, this.#shape);
    let worst = 0;
    for (const row of [0, 77, s.rows - 1]) {
      const got = await this.#read(result, row * s.columns * 4, s.columns * 4);
      for (const column of [0, 5, 131, s.columns - 1]) {
        let sum = 0;
        let size = 0;
        for (let k = 0; k < s.depth; k++) {
          const x = valueAt(
            LEFT.seed,
            s.leftAcross ? k * s.rows + row : row * s.depth + k,
            LEFT.scale,
          );
          const y = valueAt(RIGHT.seed, k * s.columns + column, RIGHT.scale);
          sum += x * y;
          size += Math.abs(x * y);
        }
        // What is added is added by every run, to zeros at first.
        const error = Math.abs(got[column]! / (v.adds ? runs : 1) - sum) / size;
        worst = Math.max(worst, Number.isNaN(error) ? Infinity : error);
      }
    }
    return worst;
  }

  /** Times one variant and prints a row: TFLOP/s, ms, error. False: its numbers are wrong. */
  async measure(name: string, v: Variant): Promise<boolean> {
    const s = sides(v.product ?? "forward", this.#shape);
    const { code, workgroups } = kernel(v, this.#shape);
    const packs = packing(v, this.#shape);
    const depth = paddedDepth(v, s);
    const shapeOf = (across: boolean, side: number): [number, number, number] =>
      across ? [depth, side, side] : [side, depth, s.depth];
    const left = await this.#matrix(...shapeOf(s.leftAcross, s.rows), packs.left, LEFT);
    const right = await this.#matrix(...shapeOf(s.rightAcross, s.columns), packs.right, RIGHT);
    const result = this.#buffer(
      (v.product ?? "forward") === "forward"
        ? s.rows * (v.windows ?? 33) * v.subgroups[1] * 8
        : s.rows * s.columns * 4,
    );
    try {
      const go = await this.#run(code, [left, right, result], [workgroups, 1], [
        v.left === "direct" || v.access !== "read_write",
        v.right === "direct" || v.access !== "read_write",
        false,
      ]);
      const [first] = await go(1);
      // A quarter of a second warms the clocks; what is timed follows in the same submission.
      const times = Math.ceil(250 / first!) + 9;
      const runs = (await go(times)).slice(-9);
      runs.sort((x, y) => x - y);
      const ms = runs[runs.length >> 1]!;
      const flops = 2 * s.rows * s.columns * s.depth;
      const error = v.without === undefined ? await this.#error(v, result, 1 + times) : undefined;
      // Sums of 10-bit products in f32: far inside the 1e-5 the tier promises, if they are right.
      const good = error === undefined || error < 1e-5;
      print(
        [
          name.padEnd(48),
          `${(flops / ms / 1e9).toFixed(0)} TFLOP/s`,
          `${ms.toFixed(2)} ms`,
          `(${runs[0]!.toFixed(2)} to ${runs.at(-1)!.toFixed(2)})`,
          error === undefined ? "not checked" : `error ${error.toExponential(1)}`,
          good ? "" : "WRONG",
        ].join("  "),
      );
      return good;
    } finally {
      for (const buffer of [left, right, result]) buffer.destroy();
    }
  }
}

if (import.meta.main) {
  const [provider, tokens, hidden, vocab, part = ""] = Deno.args;
  const shape = { tokens: Number(tokens), hidden: Number(hidden), vocab: Number(vocab) };
  if (provider === undefined || !Object.values(shape).every(Number.isInteger)) {
    print("usage: matrix_probe.ts PROVIDER TOKENS HIDDEN VOCAB [PART OF A NAME]");
    Deno.exit(2);
  }
  const device = await open(provider);
  const probe = new Probe(device, shape);
  let wrong = false;
  for (const [name, variant] of Object.entries(VARIANTS)) {
    if (!name.includes(part)) continue;
    try {
      const { product, ids = WINDOW } = variant;
      const of = product === undefined ? probe : new Probe(device, { ...shape, vocab: ids });
      const right = await of.measure(name, variant);
      wrong ||= !right;
    } catch (error) {
      wrong = true;
      print(`${name.padEnd(48)}  failed: ${error instanceof Error ? error.message : error}`);
    }
  }
  Deno.exit(wrong ? 1 : 0); // Dawn's threads would keep the process
}

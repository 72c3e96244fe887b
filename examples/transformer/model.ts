/**
 * A small transformer (pre-norm, causal attention, one embedding for both ends) whose output layer
 * is lce's, trained on the device alone: batches are drawn there, the layer's step is recorded among
 * the model's own kernels, and several steps are one submission. All of its buffers stand in one
 * table, so that the memory of a batch is known before anything is allocated.
 *
 * @module
 */
import { Random } from "../../fixtures/random.ts";
import {
  type DeviceProfile,
  LinearCrossEntropy,
  parseProblem,
  type Plan,
  plan,
  type PlanOptions,
} from "../../mod.ts";
import * as kernels from "./kernels.ts";

/** Sizes of the model and of its batches. */
export interface TransformerSizes extends kernels.TokenSizes {
  readonly vocab: number;
  readonly layers: number;
}

/** Steps of one submission. */
const TOGETHER = 8;
/** What every device's offsets may be multiples of. */
const ALIGNMENT = 256;
/** How much wider the layers between two attentions are. */
const WIDER = 4;

/** A parameter: where it lies among all, and how large its numbers are at first. */
interface Parameter {
  readonly offset: number;
  readonly size: number;
  readonly deviation: number;
}

/** Returns where each parameter lies, by name, one behind the other. */
function parametersOf({ vocab, context, hidden, layers }: TransformerSizes) {
  const found = new Map<string, Parameter>();
  let offset = 0;
  const add = (name: string, elements: number, deviation: number) => {
    found.set(name, { offset, size: 4 * elements, deviation });
    offset += Math.ceil(4 * elements / ALIGNMENT) * ALIGNMENT;
  };
  // Two additions to the stream in each layer: together they are as large as what they are added to.
  const inner = 1 / Math.sqrt(hidden);
  const outer = 1 / Math.sqrt(2 * layers);
  add("embedding", vocab * hidden, 0.05);
  add("positions", context * hidden, 0.05);
  for (let layer = 0; layer < layers; layer++) {
    add(`qkv.${layer}`, 3 * hidden * hidden, inner);
    add(`out.${layer}`, hidden * hidden, inner * outer);
    add(`up.${layer}`, WIDER * hidden * hidden, inner);
    add(`down.${layer}`, WIDER * hidden * hidden, inner * outer / Math.sqrt(WIDER));
  }
  return { parameters: found, bytes: offset };
}

/** Returns the size of each buffer of the model's own in bytes, by name: all that it allocates besides the head's. */
export function buffersOf(sizes: TransformerSizes, textLength: number): Map<string, number> {
  const { batch, context, hidden, heads, layers } = sizes;
  const tokens = batch * context;
  const parameters = parametersOf(sizes).bytes;
  const [row, wide, chances] = [hidden, WIDER * hidden, heads * context];
  const perToken: Record<string, number> = {
    ids: 1,
    targets: 1,
    stream: row,
    normed: row,
    scales: 1,
    d_stream: row,
    d_normed: row,
    d_qkv: 3 * row,
    d_scores: chances,
    d_wide: wide,
  };
  for (let layer = 0; layer < layers; layer++) {
    Object.assign(perToken, {
      [`normed.${layer}`]: row,
      [`scales.${layer}`]: 1,
      [`qkv.${layer}`]: 3 * row,
      [`chances.${layer}`]: chances,
      [`mixed.${layer}`]: row,
      [`normed_wide.${layer}`]: row,
      [`scales_wide.${layer}`]: 1,
      [`wide.${layer}`]: wide,
      [`activated.${layer}`]: wide,
    });
  }
  return new Map([
    ...["parameters", "gradients", "means", "squares"].map((name) => [name, parameters] as const),
    ["text", 4 * textLength],
    ["clock", 4],
    ["losses", 4 * TOGETHER],
    ["staging", 4 * TOGETHER],
    ...Object.entries(perToken).map(([name, words]) => [name, 4 * words * tokens] as const),
  ]);
}

/** The layer that the model ends in, as a problem. */
function headOf({ batch, context, hidden, vocab }: TransformerSizes) {
  return parseProblem({ tokens: batch * context, hidden, vocab, pass: "train" });
}

/** Returns the bytes of the plan's buffers that are the model's too: hidden states, embedding, targets, gradients. */
function sharedBytes({ batch, context, hidden, vocab }: TransformerSizes): number {
  const tokens = batch * context;
  return 4 * (2 * tokens * hidden + 2 * vocab * hidden + tokens);
}

function sum(values: Iterable<number>): number {
  return [...values].reduce((a, b) => a + b, 0);
}

/** A batch that fits, and what it takes. */
export interface Fit {
  readonly sizes: TransformerSizes;
  readonly planned: Plan;
  /** Bytes of every buffer, the model's and the head's. */
  readonly bytes: number;
}

/** Returns what a batch takes in all; `undefined` where nothing fits the device or a budget. */
export function fit(
  sizes: TransformerSizes,
  textLength: number,
  device: DeviceProfile,
  { budget, ...options }: PlanOptions = {},
): Fit | undefined {
  const own = sum(buffersOf(sizes, textLength).values());
  const others = own - sharedBytes(sizes);
  if (budget !== undefined && budget <= others) return undefined;
  try {
    const planned = plan(headOf(sizes), device, {
      ...options,
      ...(budget === undefined ? {} : { budget: budget - others }),
    });
    return { sizes, planned, bytes: others + planned.memory.peakBytes };
  } catch (error) {
    if ((error as Error).name === "DoesNotFitError") return undefined;
    throw error;
  }
}

/** Returns the largest batch, in sequences, that fits a budget. */
export function largestFit(
  sizes: TransformerSizes,
  textLength: number,
  device: DeviceProfile,
  options: PlanOptions,
): Fit | undefined {
  const of = (batch: number) => fit({ ...sizes, batch }, textLength, device, options);
  let [most, none] = [0, 1];
  let found: Fit | undefined;
  for (let next = of(none); next; next = of(none)) [found, most, none] = [next, none, 2 * none];
  while (none - most > 1) {
    const middle = Math.floor((most + none) / 2);
    const next = of(middle);
    if (next) [found, most] = [next, middle];
    else none = middle;
  }
  return found;
}

/** A dispatch of the model's own. */
interface Operation {
  readonly pipeline: GPUComputePipeline;
  readonly group: GPUBindGroup;
  readonly grid: readonly [number, number];
}

/** The model with all of its memory, on a device and a text of ids. */
export class Transformer {
  readonly #device: GPUDevice;
  readonly #sizes: TransformerSizes;
  readonly #head: LinearCrossEntropy;
  readonly #buffers = new Map<string, GPUBuffer>();
  readonly #pipelines = new Map<string, GPUComputePipeline>();
  readonly #forward: Operation[] = [];
  readonly #backward: Operation[] = [];
  readonly #update: Operation[] = [];
  /** Where a parameter lies among all, and its gradient likewise. */
  readonly #parameters: ReadonlyMap<string, Parameter>;

  private constructor(
    device: GPUDevice,
    { sizes }: Fit,
    head: LinearCrossEntropy,
    text: Uint32Array,
    { rate, seed }: { rate: number; seed: number },
  ) {
    this.#device = device;
    this.#sizes = sizes;
    this.#head = head;
    const { STORAGE, COPY_SRC, COPY_DST, MAP_READ } = GPUBufferUsage;
    for (const [name, size] of buffersOf(sizes, text.length)) {
      const usage = name === "staging" ? MAP_READ | COPY_DST : STORAGE | COPY_SRC | COPY_DST;
      this.#buffers.set(name, device.createBuffer({ label: `input/${name}`, size, usage }));
    }
    this.#parameters = parametersOf(sizes).parameters;
    const random = new Random(seed);
    for (const { offset, size, deviation } of this.#parameters.values()) {
      const values = Float32Array.from({ length: size / 4 }, () => deviation * random.normal());
      device.queue.writeBuffer(this.buffer("parameters"), offset, values);
    }
    device.queue.writeBuffer(this.buffer("text"), 0, text as BufferSource);
    this.#layOut(text.length, rate);
  }

  /** Allocates what a fit says, and compiles. */
  static async create(
    device: GPUDevice,
    fit: Fit,
    text: Uint32Array,
    { rate = 0.003, seed = 7 } = {},
  ): Promise<Transformer> {
    const head = await LinearCrossEntropy.create(device, fit.planned);
    return await reported(device, () => new Transformer(device, fit, head, text, { rate, seed }));
  }

  /** A buffer of the model's. */
  buffer(name: string): GPUBuffer {
    return this.#buffers.get(name)!;
  }

  /** Where a parameter lies in `parameters`, and its gradient in `gradients`. */
  get parameters(): ReadonlyMap<string, { readonly offset: number; readonly size: number }> {
    return this.#parameters;
  }

  #of(name: string, what: "parameters" | "gradients"): Required<GPUBufferBinding> {
    const { offset, size } = this.#parameters.get(name)!;
    return { buffer: this.buffer(what), offset, size };
  }

  /** Lists the model's dispatches, in their order. */
  #layOut(textLength: number, rate: number): void {
    const { batch, context, hidden, layers } = this.#sizes;
    const tokens = batch * context;
    const sizes = this.#sizes;
    const wide = WIDER * hidden;
    const weight = (name: string) => this.#of(name, "parameters");
    const slope = (name: string) => this.#of(name, "gradients");
    const add = (
      to: Operation[],
      { code, grid }: kernels.Kernel,
      ...resources: (string | Required<GPUBufferBinding>)[]
    ) => {
      let pipeline = this.#pipelines.get(code);
      if (!pipeline) {
        const module = this.#device.createShaderModule({ code });
        pipeline = this.#device.createComputePipeline({ layout: "auto", compute: { module } });
        this.#pipelines.set(code, pipeline);
      }
      const group = this.#device.createBindGroup({
        layout: pipeline.getBindGroupLayout(0),
        entries: resources.map((each, binding) => ({
          binding,
          resource: typeof each === "string" ? { buffer: this.buffer(each) } : each,
        })),
      });
      to.push({ pipeline, group, grid });
    };
    /** `[tokens, depth]` times a weight `[depth, columns]`. */
    const through = (depth: number, columns: number, more = {}) =>
      kernels.product({ rows: tokens, columns, depth, ...more });
    /** The gradient of such a weight: `[depth, tokens]` times `[tokens, columns]`. */
    const weightGradient = (depth: number, columns: number) =>
      kernels.product({ rows: depth, columns, depth: tokens, transposed: "left" });

    const forward = this.#forward;
    add(forward, kernels.drawBatch(sizes, textLength), "text", "clock", "ids", "targets");
    add(forward, kernels.embed(sizes), "ids", weight("embedding"), weight("positions"), "stream");
    for (let l = 0; l < layers; l++) {
      add(forward, kernels.normalize(sizes), "stream", `normed.${l}`, `scales.${l}`);
      add(forward, through(hidden, 3 * hidden), `normed.${l}`, weight(`qkv.${l}`), `qkv.${l}`);
      add(forward, kernels.attend(sizes), `qkv.${l}`, `chances.${l}`, `mixed.${l}`);
      const back = through(hidden, hidden, { add: true });
      add(forward, back, `mixed.${l}`, weight(`out.${l}`), "stream");
      add(forward, kernels.normalize(sizes), "stream", `normed_wide.${l}`, `scales_wide.${l}`);
      add(forward, through(hidden, wide), `normed_wide.${l}`, weight(`up.${l}`), `wide.${l}`);
      add(forward, kernels.activate(tokens * wide), `wide.${l}`, `activated.${l}`);
      const down = through(wide, hidden, { add: true });
      add(forward, down, `activated.${l}`, weight(`down.${l}`), "stream");
    }
    add(forward, kernels.normalize(sizes), "stream", "normed", "scales");

    // The head has left the gradient of `normed` in `d_normed`, and its part of the embedding's.
    const backward = this.#backward;
    const unnormalize = (add: boolean) => kernels.normalizeGradient(sizes, { add });
    add(backward, unnormalize(false), "d_normed", "normed", "scales", "d_stream");
    for (let l = layers - 1; l >= 0; l--) {
      const right = { transposed: "right" } as const;
      add(backward, weightGradient(wide, hidden), `activated.${l}`, "d_stream", slope(`down.${l}`));
      add(backward, through(hidden, wide, right), "d_stream", weight(`down.${l}`), "d_wide");
      add(backward, kernels.activateGradient(tokens * wide), `wide.${l}`, "d_wide");
      add(backward, weightGradient(hidden, wide), `normed_wide.${l}`, "d_wide", slope(`up.${l}`));
      add(backward, through(wide, hidden, right), "d_wide", weight(`up.${l}`), "d_normed");
      const widened = [`normed_wide.${l}`, `scales_wide.${l}`] as const;
      add(backward, unnormalize(true), "d_normed", ...widened, "d_stream");

      add(backward, weightGradient(hidden, hidden), `mixed.${l}`, "d_stream", slope(`out.${l}`));
      add(backward, through(hidden, hidden, right), "d_stream", weight(`out.${l}`), "d_normed");
      const attended = ["d_normed", `qkv.${l}`, `chances.${l}`, "d_scores", "d_qkv"] as const;
      add(backward, kernels.attendGradientOfQueries(sizes), ...attended);
      add(backward, kernels.attendGradientOfKeys(sizes), ...attended);
      add(backward, weightGradient(hidden, 3 * hidden), `normed.${l}`, "d_qkv", slope(`qkv.${l}`));
      add(backward, through(3 * hidden, hidden, right), "d_qkv", weight(`qkv.${l}`), "d_normed");
      add(backward, unnormalize(true), "d_normed", `normed.${l}`, `scales.${l}`, "d_stream");
    }
    add(backward, kernels.embedGradient(sizes), "ids", "d_stream", slope("embedding"));
    add(backward, kernels.positionsGradient(sizes), "d_stream", slope("positions"));

    const count = this.buffer("parameters").size / 4;
    const state = ["parameters", "means", "squares"] as const;
    add(this.#update, kernels.adam(count, rate), "gradients", "clock", ...state);
    add(this.#update, kernels.tick(), "clock");
  }

  /** Records loss and gradients of the batch whose turn it is. */
  encodeGradients(commands: GPUCommandEncoder): void {
    run(commands, this.#forward);
    this.#head.encode(commands, {
      inputs: {
        hidden: this.buffer("normed"),
        weight: this.#of("embedding", "parameters"),
        targets: this.buffer("targets"),
      },
      gradients: {
        hidden: this.buffer("d_normed"),
        weight: this.#of("embedding", "gradients"),
      },
    });
    run(commands, this.#backward);
  }

  /** Takes some steps, and returns the loss of each. */
  async train(steps: number): Promise<number[]> {
    const losses: number[] = [];
    const { buffer: loss, offset, size } = this.#head.result("loss");
    while (losses.length < steps) {
      const together = Math.min(TOGETHER, steps - losses.length);
      const staging = this.buffer("staging");
      await reported(this.#device, () => {
        const commands = this.#device.createCommandEncoder();
        for (let step = 0; step < together; step++) {
          this.encodeGradients(commands);
          commands.copyBufferToBuffer(loss, offset, this.buffer("losses"), step * size, size);
          run(commands, this.#update);
        }
        commands.copyBufferToBuffer(this.buffer("losses"), 0, staging, 0, staging.size);
        this.#device.queue.submit([commands.finish()]);
      });
      await staging.mapAsync(GPUMapMode.READ);
      losses.push(...new Float32Array(staging.getMappedRange()).subarray(0, together));
      staging.unmap();
    }
    return losses;
  }

  /** Reads the loss of the gradients that were computed last, and says what the device reported. */
  async loss(): Promise<number> {
    return (await this.#head.readLoss())!;
  }

  /** Gives all memory back. */
  destroy(): void {
    this.#head.destroy();
    for (const buffer of this.#buffers.values()) buffer.destroy();
  }
}

/** Does something at once, and throws what the device reports of it. */
async function reported<T>(device: GPUDevice, what: () => T): Promise<T> {
  const filters = ["validation", "out-of-memory"] as const;
  for (const filter of filters) device.pushErrorScope(filter);
  const end = () => Promise.all(filters.map(() => device.popErrorScope()));
  let value: T;
  let errors: Promise<(GPUError | null)[]> | undefined;
  try {
    value = what();
  } finally {
    errors = end();
  }
  const error = (await errors).find((each) => each);
  if (error) throw new Error(`The device reports: ${error.message}`);
  return value;
}

function run(commands: GPUCommandEncoder, operations: readonly Operation[]): void {
  const pass = commands.beginComputePass();
  for (const { pipeline, group, grid } of operations) {
    pass.setPipeline(pipeline);
    pass.setBindGroup(0, group);
    pass.dispatchWorkgroups(...grid);
  }
  pass.end();
}

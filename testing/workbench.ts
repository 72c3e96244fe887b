/**
 * A device with a caller's buffers on it, and a step's results compared with the float64
 * reference: what tests of the library's calls need.
 *
 * @module
 */
import assert from "node:assert/strict";
import { openDevice } from "./device.ts";
import { bytesOf } from "../fixtures/elements.ts";
import type { HeldFixture } from "../fixtures/fixture.ts";
import { makeSynthetic } from "../fixtures/synthetic.ts";
import { checkAgreement } from "../fixtures/verify/agreement.ts";
import { computeReference } from "../fixtures/reference/reference.ts";
import type { DeviceProfile } from "../planner/device.ts";
import { headOf, type Problem, wantedGradients, weightColumns } from "../planner/problem.ts";
import type { StrategyName } from "../planner/schedule/schedule.ts";
import type { Tier } from "../planner/schedule/tile.ts";
import { makePlan } from "../planner/plan.ts";
import type { TensorName } from "../kernels/run/callers_buffers.ts";
import { LinearCrossEntropy } from "../kernels/run/linear_cross_entropy.ts";
import { readParts } from "../kernels/run/readback.ts";
import type { Results } from "../kernels/run/results.ts";

/** What a caller's buffers are for. */
const USAGE = GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_DST | GPUBufferUsage.COPY_SRC;

/** A range of a test's buffer. */
interface Laid extends GPUBufferBinding {
  readonly offset: number;
  readonly size: number;
}

/** Where a test puts tensors: each in a buffer of its own, or one behind the other in one. */
export type Allot = (bytes: number, data?: Uint8Array) => Laid;

/** A device, and buffers on it that are destroyed with it. */
export class Workbench {
  readonly #buffers: GPUBuffer[] = [];
  private constructor(readonly device: GPUDevice, readonly profile: DeviceProfile) {}

  static async open(): Promise<Workbench> {
    const { device, profile } = await openDevice();
    return new Workbench(device, profile);
  }

  /** Returns a buffer, of what is no number where it is not given data. */
  buffer(size: number, data?: Uint8Array): GPUBuffer {
    const buffer = this.device.createBuffer({
      label: "input/test",
      size: Math.ceil(size / 4) * 4,
      usage: USAGE,
    });
    this.#buffers.push(buffer);
    this.device.queue.writeBuffer(buffer, 0, padded(buffer.size, data));
    return buffer;
  }

  /** Puts each tensor in a buffer of its own. */
  readonly apart: Allot = (bytes, data) => {
    const buffer = this.buffer(bytes, data);
    return { buffer, offset: 0, size: buffer.size };
  };

  /** Puts tensors one behind the other in one buffer, behind some bytes that are nobody's. */
  together(size: number): Allot {
    const buffer = this.buffer(size);
    const granule = this.device.limits.minStorageBufferOffsetAlignment;
    let offset = granule;
    return (bytes, data) => {
      const at = { buffer, offset, size: Math.ceil(bytes / 4) * 4 };
      this.device.queue.writeBuffer(buffer, offset, padded(at.size, data));
      offset += Math.ceil(at.size / granule) * granule;
      return at;
    };
  }

  async floats(places: readonly Laid[]): Promise<Float32Array> {
    const parts = places.map(({ buffer, offset, size }) => ({ buffer, offset, bytes: size }));
    return new Float32Array((await readParts(this.device, parts, "gradient")).buffer);
  }

  close(): void {
    for (const buffer of this.#buffers) buffer.destroy();
    this.device.destroy();
  }
}

function padded(size: number, data: Uint8Array | undefined): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(size).fill(data ? 0 : 0xff);
  if (data) bytes.set(data.subarray(0, size));
  return bytes;
}

/**
 * Puts inputs and gradients of a fixture on a workbench, and reads its gradients back. It may have
 * fewer tokens than the head is planned for: there are no more bytes than it takes then.
 */
export function lay(
  bench: Workbench,
  head: LinearCrossEntropy,
  { tensors, problem }: HeldFixture,
  { inputs: input = bench.apart, gradients: gradient = bench.apart }: {
    readonly inputs?: Allot;
    readonly gradients?: Allot;
  } = {},
) {
  const { tokens } = problem;
  const { hidden, vocab } = headOf(problem);
  const columns = weightColumns(problem, headOf(problem));
  const parts = (allot: Allot, tensor: TensorName, data?: Uint8Array) =>
    head.layout(tensor, tokens).map(({ bytes, offset }) => allot(bytes, data?.subarray(offset)));
  const inputs = {
    hidden: parts(input, "hidden", tensors.hidden),
    weight: parts(input, "weight", tensors.weight),
    targets: input(4 * tokens, bytesOf(tensors.targets)),
    ...(tensors.bias ? { bias: input(4 * vocab, bytesOf(tensors.bias)) } : {}),
    ...(tensors.tokenWeights
      ? { tokenWeights: input(4 * tokens, bytesOf(tensors.tokenWeights)) }
      : {}),
    ...(tensors.direction
      ? { direction: input(4 * tensors.direction.length, bytesOf(tensors.direction)) }
      : {}),
  };
  const gradients = {
    hidden: parts(gradient, "grad_hidden"),
    weight: parts(gradient, "grad_weight"),
    ...(tensors.bias ? { bias: gradient(4 * vocab) } : {}),
  };
  const read = async () => ({
    gradHidden: (await bench.floats(gradients.hidden)).subarray(0, tokens * hidden),
    gradWeight: (await bench.floats(gradients.weight)).subarray(0, vocab * columns),
    ...(gradients.bias ? { gradBias: await bench.floats([gradients.bias]) } : {}),
  });
  return { inputs, gradients, read };
}

/** Compares what a step left with the float64 reference. */
export async function assertAgrees(
  head: LinearCrossEntropy,
  fixture: HeldFixture,
  laid: ReturnType<typeof lay>,
  tier: Tier = "f32",
) {
  await compare(fixture, { ...await head.readResults(), ...await laid.read() }, tier);
}

/** Compares gradients alone with the float64 reference. */
export async function checkGradients(
  fixture: HeldFixture,
  gradients: Partial<Results>,
  tier: Tier = "f32",
) {
  const { loss, lse, logprob } = await computeReference(fixture);
  await compare(fixture, {
    loss,
    kept: fixture.problem.tokens,
    badTarget: undefined,
    lse: Float32Array.from(lse),
    logprob: Float32Array.from(logprob),
    ...gradients,
  }, tier);
}

/** Compares results with the float64 reference. */
export async function compare(fixture: HeldFixture, results: Results, tier: Tier) {
  const { ok, checks } = await checkAgreement(
    fixture,
    results,
    await computeReference(fixture),
    tier,
  );
  assert(ok, JSON.stringify(checks.filter(({ ok }) => !ok)));
  const gradients = checks.map(({ name }) => name).filter((name) => name.startsWith("grad"));
  const wanted = wantedGradients(fixture.problem).size;
  assert.equal(gradients.length, wanted, `compared: ${gradients}`);
}

/** Runs a test on a workbench of its own. */
export async function withBench(use: (bench: Workbench) => Promise<void>) {
  const bench = await Workbench.open();
  try {
    await use(bench);
  } finally {
    bench.close();
  }
}

/** Returns what a head on small problems is tried with: good buffers, and one too many. */
export async function prepared(
  bench: Workbench,
  given: Problem,
  strategy?: StrategyName,
) {
  const head = await LinearCrossEntropy.create(
    bench.device,
    makePlan(given, bench.profile, { strategy, hostIo: false, weights: "resident" }),
  );
  const fixture = makeSynthetic(given, 1);
  return { head, fixture, ...lay(bench, head, fixture) };
}

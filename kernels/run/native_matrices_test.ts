/**
 * Kernels in subgroup matrices, compiled by Dawn: no software device has such matrices, so that
 * elsewhere they are tried only as plain WGSL stands for them. Dawn's null backend reads and checks
 * their text as it would for a GPU, and computes nothing: neither results nor whether a chip has
 * matrices of a shape are checked here.
 */
import assert from "node:assert/strict";
import { DAWN_IS_HERE, openNullDevice } from "../../testing/null_device.ts";
import type { DeviceProfile, MatrixConfiguration } from "../../planner/device.ts";
import { NAMED_DEVICES } from "../../planner/devices/profiles.ts";
import { DIVERGENCES } from "../../planner/heads/distill.ts";
import { DoesNotFitError, makePlan } from "../../planner/plan.ts";
import type { Problem, ProblemInput } from "../../planner/problem.ts";
import { parseProblem } from "../../planner/problem_schema.ts";
import type { Dispatch, Schedule } from "../../planner/schedule/schedule.ts";
import {
  feasibleTiles,
  formatTile,
  MATRIX_FEATURES,
  tierOf,
  type Tile,
  unsuitedTo,
  workgroupBytes,
  workgroupSize,
} from "../../planner/schedule/tile.ts";
import { ALL_STRATEGIES } from "../../planner/strategies/mod.ts";
import { kernelKey, wgslOf } from "../wgsl/generate.ts";
import type { AcquiredDevice } from "./device.ts";
import { compileKernels, compiling } from "./pipelines.ts";

/** With and without Dawn's checks of bounds a device has the same matrices: it counts once. */
const WITH_MATRICES = NAMED_DEVICES.map(({ profile }) => profile)
  .filter(({ matrices, webgpu }) => matrices && webgpu === "dawn");

/** Shapes with operands in f16 and sums in f32, `m x n x k`, that other makers' chips may have. */
const OTHER_SHAPES = [
  [8, 8, 8], // Apple's
  [8, 16, 16], // Intel's
] as const;

/**
 * Every device that is known to have matrices, and one of nobody's rates with each shape that the
 * planner would not take there, or that others have.
 */
const DEVICES: readonly DeviceProfile[] = [
  ...WITH_MATRICES,
  ...[
    ...WITH_MATRICES.flatMap(({ matrices }) => matrices!.slice(1)),
    ...OTHER_SHAPES.map(([m, n, k]) => ({ m, n, k, component: "f16", result: "f32" })),
  ].map((shape: MatrixConfiguration) => ({
    name: `matrices of ${shape.m} x ${shape.n} x ${shape.k}`,
    limits: WITH_MATRICES[0]!.limits,
    features: MATRIX_FEATURES,
    matrices: [shape],
  })),
];

const ODD = { tokens: 131, hidden: 24, vocab: 333 } as const;
const OPTIONS = {
  ...{ bias: true, classWeight: true, zLoss: 1e-3, softcap: 30, logitScale: 0.5 },
  statistics: ["entropy", "predicted"],
} as const;

/** What is asked on every device, with every tile: an odd shape with all that an ending may do. */
const EVERYWHERE: ProblemInput = { ...ODD, ...OPTIONS, gradientFilter: "auto" };

/** What else is asked of one head, on devices and with tiles in turns. */
const OF_ONE_HEAD: readonly ProblemInput[] = [
  ODD,
  { tokens: 1, hidden: 8, vocab: 1 },
  { tokens: 2048, hidden: 2304, vocab: 128256 },
  { ...ODD, ...OPTIONS, labelSmoothing: 0.1 },
  { ...ODD, statistics: ["collision"], reduction: "none" },
  { ...ODD, topK: 3 },
  { ...ODD, sampleTemperature: 0.7 },
  { ...ODD, objective: "statistics" },
  { ...ODD, gradients: ["hidden"] },
  { ...ODD, gradients: ["weight"] },
];

const HEADS = [
  { name: "first", hidden: 24, vocab: 333, bias: true, softcap: 9 },
  { name: "second", hidden: 40, vocab: 345, logitScale: 0.7 },
] as const;

/** What is asked of heads with names, in turns too. */
const OF_HEADS: readonly ProblemInput[] = [
  { heads: [{ ...HEADS[0], adapter: 8 }] },
  { heads: [{ ...HEADS[0], frozen: true }] },
  { heads: HEADS },
  { heads: [...HEADS, { ...HEADS[0], name: "third" }], fusion: true },
  ...DIVERGENCES.flatMap((divergence) =>
    [true, false].map((frozen) => ({
      heads: [HEADS[0], { ...HEADS[1], frozen }],
      distill: { divergence, temperature: 2, ...(divergence === "jsd" ? { beta: 0.3 } : {}) },
    }))
  ),
  { heads: [HEADS[0]], distill: { divergence: "forward-kl", listed: 5 } },
];

/** Returns each of these problems, with operands of every type and in every pass that it has. */
function problemsOf(inputs: readonly ProblemInput[]): Problem[] {
  return (["forward", "train"] as const).flatMap((pass) =>
    (["f16", "bf16", "f32"] as const).flatMap((dtype) =>
      inputs
        // Fused logits are for generation.
        .filter((input) => !("fusion" in input && pass === "train"))
        .map(({ heads, ...task }) =>
          parseProblem({
            ...(heads
              ? { tokens: 131, heads: heads.map((head) => ({ ...head, dtype })) }
              : { dtype }),
            ...task,
            pass,
          } as ProblemInput)
        )
    )
  );
}

/** A device with a tile for its matrices. */
type Place = readonly [device: DeviceProfile, tile: Tile];

/** Returns every tile in matrices that a problem can have on any of the devices. */
function placesFor(problem: Problem): Place[] {
  return DEVICES.flatMap((device) =>
    (["matrix", "split"] as const)
      .filter((kind) => unsuitedTo(kind, problem) === undefined)
      .flatMap((kind) => feasibleTiles(kind, device).map((tile) => [device, tile] as const))
  );
}

/** Returns a problem's schedules in all strategies that can have it there. */
function schedulesOf(problem: Problem, [device, tile]: Place): Schedule[] {
  return ALL_STRATEGIES.flatMap(({ name: strategy }) => {
    try {
      return [makePlan(problem, device, { strategy, tile }).schedule];
    } catch (error) {
      if (error instanceof DoesNotFitError) return [];
      throw error;
    }
  });
}

function* everySchedule(): Generator<Schedule> {
  for (const problem of problemsOf([EVERYWHERE])) {
    for (const place of placesFor(problem)) yield* schedulesOf(problem, place);
  }
  let turn = 0;
  for (const problem of problemsOf([...OF_ONE_HEAD, ...OF_HEADS])) {
    const places = placesFor(problem);
    if (places.length > 0) yield* schedulesOf(problem, places[turn++ % places.length]!);
  }
}

/** Returns the dispatches of schedules whose text no earlier one had. */
function* distinct(schedules: Iterable<Schedule>): Generator<Compiled> {
  const texts = new Set<string>();
  for (const schedule of schedules) {
    const keys = new Set<string>();
    for (const dispatch of schedule.steps) {
      if (dispatch.kind !== "dispatch" || keys.has(kernelKey(dispatch))) continue;
      keys.add(kernelKey(dispatch));
      const code = wgslOf(schedule, dispatch);
      if (texts.has(code)) continue;
      texts.add(code);
      yield { schedule, dispatch, code };
    }
  }
}

/** What is to be compiled, and whose it is. */
interface Compiled {
  readonly schedule: Schedule;
  readonly dispatch: Dispatch;
  readonly code: string;
}

/** Compiles a kernel, into a pipeline where the device has room for one. */
async function compileThere(
  { device, profile: { limits } }: AcquiredDevice,
  { schedule, dispatch, code }: Compiled,
): Promise<void> {
  const { tile, kernel: label, bindings } = dispatch;
  const small = !tile ||
    workgroupBytes(tile) <= limits.maxComputeWorkgroupStorageSize &&
      workgroupSize(tile) <= limits.maxComputeInvocationsPerWorkgroup;
  if (small && bindings.length <= limits.maxStorageBuffersPerShaderStage) {
    await compileKernels(device, { ...schedule, steps: [dispatch] });
  } else await compiling(device, label, () => device.createShaderModule({ label, code }));
}

/** What the kernels of a schedule are told apart by, for people. */
function described({ schedule: { strategy, problem }, dispatch: { tile } }: Compiled): string {
  const types = problem.heads.map(({ dtype }) => dtype).join(" and ");
  return `${strategy}, ${problem.pass}, ${types}${tile ? `, ${formatTile(tile)}` : ""}`;
}

Deno.test("the compiler of browsers takes every kernel in native matrices", {
  ignore: !DAWN_IS_HERE,
}, async () => {
  const acquired = await openNullDevice();
  const tried = new Set<string>();
  const noted = function* (): Generator<Schedule> {
    for (const schedule of everySchedule()) {
      const { strategy, tile, problem: { pass } } = schedule;
      for (const what of [pass, strategy]) tried.add(`${tierOf(tile)} ${what}`);
      yield schedule;
    }
  };
  for (const each of distinct(noted())) {
    await compileThere(acquired, each).catch((error: Error) => {
      throw new Error(`${described(each)}: ${error.message}`, { cause: error });
    });
  }
  acquired.device.destroy();
  // Which strategies a pass has is the planner's affair; none is to be left out altogether.
  const whats = ["forward", "train", ...ALL_STRATEGIES.map(({ name }) => name)];
  const all = ["matrix", "split"].flatMap((tier) => whats.map((what) => `${tier} ${what}`));
  assert.deepEqual([...tried].sort(), all.sort());
});

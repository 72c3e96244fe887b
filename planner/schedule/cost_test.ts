import assert from "node:assert/strict";
import { type DeviceRates, SPECIFICATION_DEFAULTS } from "../device.ts";
import { ASSUMED_RATES } from "../tuning.ts";
import { dispatchSeconds, productSeconds } from "./cost.ts";
import { MATRICES, SPLIT } from "./matrix_tiles.ts";
import type { Dispatch } from "./schedule.ts";
import { registerTile, type Tile } from "./tile.ts";
import { makePlan } from "../plan.ts";
import { parseProblem } from "../problem_schema.ts";
import { HOST_BYTES_PER_SECOND } from "../tuning.ts";

const problem = parseProblem({ tokens: 512, hidden: 256, vocab: 40000 });

/** The plan of a weight that is streamed, where the device's rates say more than what is assumed. */
function streamed(more: { hostBytesPerSecond?: number; cacheBytes?: number }) {
  const device = { ...SPECIFICATION_DEFAULTS, rates: { ...ASSUMED_RATES, ...more } };
  return makePlan(problem, device, { weights: "streamed", block: 512, window: 4096 });
}

Deno.test("what is streamed takes as long as the device's rates say, or as is assumed", () => {
  const assumed = streamed({}).cost;
  const { seconds } = streamed({ hostBytesPerSecond: HOST_BYTES_PER_SECOND / 4 }).cost;
  const slower = (3 * assumed.transferred) / HOST_BYTES_PER_SECOND;
  assert(Math.abs(seconds - assumed.seconds - slower) < 1e-9 * seconds);
});

Deno.test("tiles come in bands where hidden states are past the device's caches", () => {
  const tall = parseProblem({ tokens: 4096, hidden: 256, vocab: 1000 });
  const orders = [4096 * 256 * 4, 4096 * 256 * 4 - 1].map((cacheBytes) => {
    const device = { ...SPECIFICATION_DEFAULTS, rates: { ...ASSUMED_RATES, cacheBytes } };
    return makePlan(tall, device).schedule.steps
      .some((step) => step.kind === "dispatch" && step.order !== undefined);
  });
  assert.deepEqual(orders, [false, true]);
});

/** A device on which four workgroups of 256 invocations run at once. */
const RATES: DeviceRates = {
  flopsPerSecond: 1e12,
  bytesPerSecond: 1e9,
  secondsPerDispatch: 1e-5,
  parallelInvocations: 1024,
};

/** What the multiply-adds of a tile take at one depth, in terms of the device's rate of all. */
const OF_DEPTH = 2 * 128 * 128 * 4 / 1e12;

function near(actual: number, expected: number) {
  assert(Math.abs(actual - expected) <= 1e-12 * expected, `${actual}, not ${expected}`);
}

Deno.test("a product takes its waves, half of what the last leaves idle, and the end of each but one", () => {
  const tile = registerTile([128, 128, 16], [8, 8]);
  const seconds = (workgroups: number, depth: number) =>
    productSeconds(tile, workgroups, 2 * 128 * 128 * depth, RATES);
  // The ends of a workgroup are worth a depth of 440, once.
  near(seconds(4, 1000), OF_DEPTH * (1000 + 440));
  // Two waves drain three quarters of one wave, halved; the second is half idle.
  near(seconds(6, 1000), OF_DEPTH * ((1.5 + 0.5 * 0.5 + 0.75 / 2) * 1000 + 440));
  // Another tile has its own rate beside the preferred one's; what nobody measured has less.
  const smaller = registerTile([64, 128, 16], [8, 8]);
  near(
    productSeconds(smaller, 8, 2 * 64 * 128 * 1000, RATES),
    OF_DEPTH / 2 * 2 * (1000 + 440) / 0.86,
  );
  const unknown = registerTile([128, 64, 16], [8, 8]);
  near(
    productSeconds(unknown, 8, 2 * 128 * 64 * 1000, RATES),
    OF_DEPTH / 2 * 2 * (1000 + 440) / 0.4,
  );
});

Deno.test("in subgroup matrices every workgroup's ends count, and what is read, unless it is split", () => {
  const fragment = { m: 16, n: 16, k: 16 };
  const subgroups = { rows: 2, cols: 2, size: 32 };
  const body = { kind: "matrix", subgroups, fragment } as const;
  const matrix = { rows: 128, cols: 128, depth: 32, body } as const satisfies Tile;
  const split = { ...matrix, depth: 16, body: { ...body, kind: "split" } } as const satisfies Tile;
  const rates = {
    ...RATES,
    matrix: { flopsPerSecond: 1e12, parallelInvocations: 512 },
    split: { flopsPerSecond: 1e12, parallelInvocations: 512 },
  };
  const device = { ...SPECIFICATION_DEFAULTS, rates };
  const dispatch = (tile: Tile, traffic: number, halving = 0) =>
    dispatchSeconds({
      ...{ kernel: "project", tile, grid: [3, 2], workgroupFlops: 2 * 128 * 128 * 1000 },
      ...{ traffic, halving },
    } as unknown as Dispatch, device);
  // Six workgroups in waves of four, each with ends worth a depth of 130.
  const product = OF_DEPTH * (1.5 + 0.5 * 0.5) * (1000 + 130);
  near(dispatch(matrix, 1e6), product + 1e-3 + 1e-5);
  near(dispatch(split, 1e6), Math.max(product, 1e-3) + 1e-5);
  near(dispatch(split, 1), product + 1e-5);
  // Each operand that becomes halves on its way adds six hundredths.
  near(dispatch(matrix, 0, 2), 1.12 * product + 1e-5);
  // Where nobody measured them they are taken to be four times as fast as products in f32, half
  // as many at a time; three products of halves make up one of f32.
  near(MATRICES.guessed(RATES).flopsPerSecond, 4e12);
  near(MATRICES.guessed(RATES).parallelInvocations, 512);
  near(SPLIT.guessed(RATES).flopsPerSecond, 4e12 / 3);
});

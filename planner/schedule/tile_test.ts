import assert from "node:assert/strict";
import { type DeviceProfile, SPECIFICATION_DEFAULTS } from "../device.ts";
import { ratesSchema } from "../device_schema.ts";
import {
  formatTile,
  registerTile,
  sameTile,
  type SubgroupTile,
  type Tile,
  tileProblem,
  workgroupBytes,
  workgroupSize,
} from "./tile.ts";

const RATES = {
  flopsPerSecond: 1e12,
  bytesPerSecond: 1e11,
  secondsPerDispatch: 1e-5,
  parallelInvocations: 1024,
};

/** The tile that bench/matrix.md measures first. */
const TALL: SubgroupTile = {
  rows: 256,
  cols: 128,
  depth: 32,
  body: {
    kind: "matrix",
    subgroups: { rows: 4, cols: 2, size: 32 },
    fragment: { m: 16, n: 16, k: 16 },
  },
};

/** A device that has its matrices, and room for it. */
const ABLE: DeviceProfile = {
  ...SPECIFICATION_DEFAULTS,
  limits: { ...SPECIFICATION_DEFAULTS.limits, maxComputeWorkgroupStorageSize: 49152 },
  features: ["chromium-experimental-subgroup-matrix", "shader-f16", "subgroups"],
  matrices: [{ m: 16, n: 16, k: 16, component: "f16", result: "f32" }],
};

Deno.test("rates that were kept before tiles had bodies are those of tiles in registers", () => {
  const shape = { rows: 64, cols: 128, depth: 16 };
  const old = { ...RATES, tiles: [{ ...shape, microRows: 8, microCols: 4, rate: 0.5 }] };
  const { tiles } = ratesSchema.parse(old);
  assert.deepEqual(tiles, [{ ...registerTile([64, 128, 16], [8, 4]), rate: 0.5 }]);
  assert.deepEqual(ratesSchema.parse({ ...RATES, tiles }).tiles, tiles);
  assert.throws(() => ratesSchema.parse({ ...RATES, tiles: [{ ...shape, rate: 1 }] }), /microRows/);
});

Deno.test("a tile in subgroup matrices takes what the probe's kernel of it did", () => {
  assert.equal(workgroupSize(TALL), 256);
  assert.equal(workgroupBytes(TALL), 36 * 1024);
  assert.equal(formatTile(TALL), "256x128x32, 4x2 of 16x16x16");
  assert(sameTile(TALL, structuredClone(TALL)));
  assert(!sameTile(TALL, registerTile([256, 128, 32], [8, 8])));
});

Deno.test("a tile in subgroup matrices runs where features, matrices and room for it are", () => {
  const fault = (device: DeviceProfile, tile: Tile = TALL) => tileProblem(tile, device);
  assert.equal(fault(ABLE), undefined);
  assert.match(fault({ ...ABLE, features: ["subgroups"] })!, /needs the feature chromium/);
  assert.match(fault({ ...ABLE, matrices: [] })!, /needs matrices of 16x16x16 in f16/);
  assert.match(fault({ ...ABLE, subgroups: { min: 8, max: 32 } })!, /needs subgroups of 32/);
  assert.equal(fault({ ...ABLE, subgroups: { min: 32, max: 32 } }), undefined);
  const apple = [{ m: 8, n: 8, k: 8, component: "f16", result: "f16" }];
  assert.match(fault({ ...ABLE, matrices: apple })!, /needs matrices/);
  assert.match(fault({ ...ABLE, limits: SPECIFICATION_DEFAULTS.limits })!, /36864 bytes/);
  assert.match(fault(ABLE, { ...TALL, rows: 200 })!, /does not divide evenly/);
  const body = { ...TALL.body, emulated: true };
  assert.equal(fault({ ...ABLE, features: [], matrices: [] }, { ...TALL, body }), undefined);
});

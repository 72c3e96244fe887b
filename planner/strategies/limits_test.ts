import assert from "node:assert/strict";
import { SPECIFICATION_DEFAULTS } from "../device.ts";
import { registerTile } from "../schedule/tile.ts";
import { busyWindow } from "./limits.ts";

Deno.test("a window keeps a device busy for forty waves", () => {
  const rates = {
    ...{ flopsPerSecond: 1e12, bytesPerSecond: 1e9, secondsPerDispatch: 1e-5 },
    parallelInvocations: 1024,
  };
  // Four workgroups of 256 at once, and four token tiles at each vocabulary tile.
  const tile = registerTile([128, 128, 16], [8, 8]);
  assert.equal(busyWindow({ ...SPECIFICATION_DEFAULTS, rates }, tile, 512), 40 * 128);
});

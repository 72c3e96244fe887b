import assert from "node:assert/strict";
import { collectiveSeconds, crossesHosts, fitted, type LinkRates, stepsOf } from "./links.ts";
import type { Parallelism } from "./parallel.ts";
import type { Collective } from "./schedule/schedule.ts";

const near = (a: number, b: number) => assert(Math.abs(a - b) <= 1e-9 * Math.abs(b), `${a}, ${b}`);

/** A kind of its own for each, so that none is taken for another. */
const link = (factor: number) => ({
  allReduce: { seconds: 1e-5 * factor, bytesPerSecond: 1e9 / factor },
  reduceScatter: { seconds: 2e-5 * factor, bytesPerSecond: 2e9 / factor },
  allGather: { seconds: 3e-5 * factor, bytesPerSecond: 3e9 / factor },
});

const RATES: LinkRates = {
  ranksPerHost: 4,
  within: link(1),
  across: link(10),
  staging: { seconds: 1e-4, bytesPerSecond: 1e10 },
};

const step = (of: Partial<Collective>): Collective => ({
  ...{ kind: "collective", op: "all-reduce-sum", group: "tensor", pass: "forward", what: "x" },
  ...{ type: "f32", elements: 3e6, bytes: 12e6, source: [], target: [] },
  ...of,
});

const split = (tensor: number, data: number): Parallelism => ({ tensor, data, sequence: false });

Deno.test("a line through times is found again, and neither part is below nothing", () => {
  const at = (bytes: number) => ({ bytes, seconds: 2e-5 + bytes / 5e8 });
  const { seconds, bytesPerSecond } = fitted([1e3, 1e5, 1e7].map(at));
  near(seconds, 2e-5);
  near(bytesPerSecond, 5e8);
  const falling = fitted([{ bytes: 1e3, seconds: 2e-3 }, { bytes: 1e6, seconds: 1e-3 }]);
  assert(falling.seconds > 1e-3 && falling.seconds < 2e-3);
  assert(1e6 / falling.bytesPerSecond < 1e-6);
  const steep = fitted([{ bytes: 1e3, seconds: 1e-7 }, { bytes: 1e6, seconds: 1e-3 }]);
  assert.equal(steep.seconds, 0);
});

Deno.test("a collective takes its steps, what a rank sends, and copies to the host and back", () => {
  // By hand, for 3 ranks: ceil(log2 3) = 2 steps in each pass; 2/3 of 12 MB are sent in each.
  const copies = (bytes: number) => 2e-4 + bytes / 1e10;
  near(
    collectiveSeconds(step({}), split(3, 1), { ...RATES, ranksPerHost: 3 }),
    4e-5 + 16e6 / 1e9 + copies(24e6),
  );
  near(
    collectiveSeconds(step({ op: "reduce-scatter-sum" }), split(4, 1), RATES),
    4e-5 + 9e6 / 2e9 + copies(15e6),
  );
  near(
    collectiveSeconds(step({ op: "all-gather" }), split(4, 1), RATES),
    6e-5 + 9e6 / 3e9 + copies(15e6),
  );
  assert.equal(stepsOf("all-reduce-max", 1), 0);
});

Deno.test("groups that reach over hosts are joined by what joins hosts", () => {
  const crosses = (group: "tensor" | "data", tensor: number, data: number) =>
    crossesHosts(group, split(tensor, data), RATES);
  assert.equal(crosses("tensor", 4, 2), false);
  assert.equal(crosses("tensor", 8, 1), true);
  // Three adjacent ranks out of four: the second group of them is on two hosts.
  assert.equal(crosses("tensor", 3, 4), true);
  assert.equal(crosses("data", 2, 2), false);
  assert.equal(crosses("data", 4, 2), true);
  near(
    collectiveSeconds(step({ group: "data" }), split(4, 2), RATES),
    2e-4 + 12e6 / 1e8 + 2e-4 + 24e6 / 1e10,
  );
  const { across: _, ...alone } = RATES;
  assert.equal(crossesHosts("data", split(4, 2), alone), false);
});

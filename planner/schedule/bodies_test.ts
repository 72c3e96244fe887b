import assert from "node:assert/strict";
import type { Dtype } from "../dtype.ts";
import { findDevice } from "../devices/profiles.ts";
import { DoesNotFitError, makePlan, type PlanOptions } from "../plan.ts";
import type { FlatProblemInput } from "../problem.ts";
import { parseProblem } from "../problem_schema.ts";
import { type Divergence, DIVERGENCES } from "../heads/distill.ts";
import { type Tier, tierOf, tilesFor, unsuitedTo } from "./tile.ts";

const H100 = findDevice("h100-dawn-unchecked")!.profile;
const SIZES = { tokens: 8192, hidden: 2304, vocab: 256000, dtype: "f16" } as const;

function planned(more: Partial<FlatProblemInput> = {}, options: PlanOptions = {}) {
  return makePlan(parseProblem({ ...SIZES, ...more }), H100, options);
}

Deno.test("products of halves and of f32 are in matrices where a device has these, and of nothing else", () => {
  const tier = (more: Partial<FlatProblemInput>, device = H100) =>
    tierOf(makePlan(parseProblem({ ...SIZES, ...more }), device).outline.tile);
  for (const pass of ["forward", "train"] as const) {
    assert.equal(tier({ pass }), "matrix");
    assert.equal(tier({ pass, dtype: "f32" }), "split");
    assert.equal(
      tier({ pass, dtype: "f32", hidden: 2300 }),
      "f32",
      "rows that are no whole vectors",
    );
    assert.equal(tier({ pass, dtype: "bf16" }), "matrix");
    assert.equal(tier({ pass, hidden: 2300 }), "f32", "rows that are no whole vectors");
    assert.equal(tier({ pass }, findDevice("h100-deno")!.profile), "f32");
  }
});

Deno.test("a schedule is of one tier in all of its products", () => {
  for (const strategy of ["two-stage", "windowed", "chunked"] as const) {
    const { schedule } = planned({ pass: "train" }, { strategy });
    const tiers = schedule.steps.flatMap((step) =>
      step.kind === "dispatch" && step.tile ? [tierOf(step.tile)] : []
    );
    assert.deepEqual([...new Set(tiers)], ["matrix"]);
  }
});

Deno.test("a tier that is asked for is the plan's, or is refused for what is missing", () => {
  const of = (dtype: Dtype, tier: Tier, device = H100) =>
    makePlan(parseProblem({ ...SIZES, dtype }), device, { tier });
  const all = [
    ["f32", "f32"],
    ["f32", "split"],
    ["f16", "matrix"],
    ["bf16", "matrix"],
    ["bf16", "f32"],
  ] as const;
  for (const [dtype, tier] of all) {
    assert.equal(tierOf(of(dtype, tier).outline.tile), tier);
  }
  assert.throws(
    () => of("f32", "matrix"),
    /the tier matrix takes operands in f16 or bf16, .* in f32/,
  );
  assert.throws(() => of("f16", "split"), /the tier split splits operands in f32, .* in f16/);
  const deno = findDevice("h100-deno")!.profile;
  assert.throws(() => of("f32", "split", deno), /needs subgroup matrices, which the device does/);
});

Deno.test("operands that are split take what operands in f32 take, and two words for their bounds", () => {
  const bytes = (tier: Tier) => {
    const problem = parseProblem({ ...SIZES, dtype: "f32", pass: "train" });
    const sizes = { strategy: "windowed", window: 16384, block: 4096 } as const;
    const { outline } = makePlan(problem, H100, { ...sizes, tier });
    const own = outline.buffers.filter(({ name }) =>
      // How many sets of statistics there are is the tile's affair, and parts that of its speed.
      !["partials", "hidden_parts", "params"].includes(name)
    );
    return own.reduce((sum, { bytes }) => sum + bytes, 0);
  };
  const [operands, gradient] = [2 * 4, 4];
  assert.equal(bytes("split"), bytes("f32") + operands + gradient);
});

Deno.test("logit gradients take half of what they take in f32", () => {
  const scratch = (device: typeof H100) =>
    makePlan(parseProblem({ ...SIZES, pass: "train" }), device, {
      strategy: "windowed",
      window: 16384,
      block: 4096,
    }).outline.buffers.find(({ name }) => name === "logit_gradient")!.bytes;
  assert.equal(scratch(findDevice("h100-deno")!.profile), 4 * 4096 * 16384);
  assert.equal(scratch(H100), 2 * 4096 * 16384);
});

Deno.test("several heads in bf16 have products in matrices, each with scales and a record of its own", () => {
  const heads = ["large", "expert", "base"].map((name) => ({
    ...{ name, hidden: 64, vocab: 5000, dtype: "bf16" as const },
  }));
  const problem = parseProblem({ tokens: 256, heads, fusion: true });
  const { outline } = makePlan(problem, H100);
  assert.equal(tierOf(outline.tile), "matrix");
  for (const { name } of heads) {
    const bytes = (of: string) =>
      outline.buffers.find((buffer) => buffer.name === `${name}_${of}`)?.bytes;
    assert.equal(bytes("scales"), 4 * (256 + 5000));
    assert.equal(bytes("halves"), 4 * 6);
  }
});

Deno.test("bf16 takes a power of two for each row, and a record, more than halves do", () => {
  const { tokens, vocab } = SIZES;
  for (const pass of ["forward", "train"] as const) {
    for (const strategy of pass === "train" ? ["windowed", "chunked"] as const : [undefined]) {
      const fixed = strategy && { strategy, block: 2048 };
      const of = (dtype: "f16" | "bf16") => planned({ dtype, pass }, fixed);
      const [ours, theirs] = [of("bf16"), of("f16")];
      assert.deepEqual(ours.shape.tile, theirs.shape.tile);
      assert.equal(ours.shape.window, theirs.shape.window);
      const more = ours.memory.extraPeakBytes - theirs.memory.extraPeakBytes;
      const params = ({ outline }: typeof ours) =>
        outline.buffers.find(({ name }) => name === "params")!.bytes;
      assert.equal(more, 4 * (tokens + vocab) + 4 * 6 + params(ours) - params(theirs));
      const scaled = ours.schedule.steps.flatMap((step) =>
        step.kind === "dispatch" && step.kernel === "row-scales" ? [step] : []
      );
      const { block, window } = ours.outline;
      assert.equal(scaled.length, block.count + window.count, "each row once");
    }
  }
});

Deno.test("rates of f32 say nothing of matrices: no time is told where these were not measured", () => {
  const { matrix: _, ...rates } = H100.rates!;
  const { cost, outline } = makePlan(parseProblem(SIZES), { ...H100, rates });
  assert.equal(tierOf(outline.tile), "matrix");
  assert.equal(cost.measuredRates, false);
});

Deno.test("a tile in matrices is refused for what it cannot multiply", () => {
  const [tile] = tilesFor(parseProblem(SIZES), H100);
  assert.equal(tierOf(tile!), "matrix");
  const refused = (more: Partial<FlatProblemInput>) => () => planned(more, { tile });
  assert.throws(refused({ dtype: "f32" }), (error: Error) => {
    assert(error instanceof DoesNotFitError);
    return /takes operands in f16 or bf16, and these are in f32/.test(error.message);
  });
  assert.throws(
    refused({ hidden: 2300 }),
    /a hidden size that is a multiple of 8, and this is 2300/,
  );
});

Deno.test("what bounds no logit gradient is not kept in halves, whichever head it is of", () => {
  const head = { vocab: 5000, dtype: "f16" as const };
  const taught = (divergence: Divergence, frozen: boolean, pass: "forward" | "train" = "train") =>
    unsuitedTo(
      "matrix",
      parseProblem({
        tokens: 256,
        pass,
        heads: [{ name: "student", hidden: 64, ...head }, {
          ...{ name: "teacher", hidden: 128, ...head },
          frozen,
        }],
        distill: { divergence },
      }),
    );
  for (const divergence of DIVERGENCES) {
    const unbounded = divergence === "reverse-binary-kl";
    assert.equal(taught(divergence, true) !== undefined, unbounded, divergence);
    // A teacher's derivative is that of the divergence in the mirror.
    const mirrors = unbounded || divergence === "binary-kl";
    assert.equal(taught(divergence, false) !== undefined, mirrors, divergence);
    assert.equal(taught(divergence, false, "forward"), undefined);
  }
  assert.match(taught("binary-kl", false)!, /which nobody knows of reverse-binary-kl/);
});

import assert from "node:assert/strict";
import type { Dtype } from "../../planner/dtype.ts";
import { SPECIFICATION_DEFAULTS } from "../../planner/device.ts";
import { NAMED_DEVICES } from "../../planner/devices/profiles.ts";
import { planParallel, rankSchedule } from "../../planner/parallel.ts";
import { makePlan, type PlanOptions } from "../../planner/plan.ts";
import type { Divergence } from "../../planner/heads/distill.ts";
import type { ProblemInput } from "../../planner/problem.ts";
import { parseProblem } from "../../planner/problem_schema.ts";
import type { Dispatch, KernelName, Schedule } from "../../planner/schedule/schedule.ts";
import { MATRIX_FEATURES, registerTile } from "../../planner/schedule/tile.ts";
import { ALSO_READ } from "../../planner/schedule/traffic.ts";
import { kernelKey, wgslOf } from "./generate.ts";

/** A tile so small that the text stays readable, with enough invocations that they do not all fit. */
const tile = registerTile([16, 16, 8], [4, 4]);

const problem = { tokens: 200, hidden: 24, vocab: 700, pass: "train" } as const;

function dispatchesOf(schedule: Schedule): Dispatch[] {
  return schedule.steps.filter((step): step is Dispatch => step.kind === "dispatch");
}

/** Returns the text of every kernel that a problem's plan has. */
function texts(
  strategy: "fused" | "windowed" | "two-stage",
  more: Partial<ProblemInput> = {},
  chosen: PlanOptions = {},
): Map<KernelName, string> {
  const { schedule } = makePlan(
    parseProblem({ ...problem, ...(strategy === "fused" ? { pass: "forward" } : {}), ...more }),
    SPECIFICATION_DEFAULTS,
    { strategy, tile, ...chosen },
  );
  return new Map(dispatchesOf(schedule).map((step) => [step.kernel, wgslOf(schedule, step)]));
}

/** Returns the text of what ranks that split the vocabulary do between their statistics. */
function rankTexts(): Map<KernelName, string> {
  const plan = planParallel(
    parseProblem(problem),
    SPECIFICATION_DEFAULTS,
    { tensor: 2, data: 1, sequence: false },
    { strategy: "windowed", tile },
  );
  const schedule = rankSchedule(plan, plan.ranks[1]!);
  return new Map(dispatchesOf(schedule).map((step) => [step.kernel, wgslOf(schedule, step)]));
}

/** Returns the same in subgroup matrices, on a device that has them. */
function matrixTexts(dtype: Dtype): Map<KernelName, string> {
  const kind = dtype === "f32" ? "split" : "matrix";
  const fragment = { m: 16, n: 16, k: 16 };
  const subgroups = { rows: 2, cols: 1, size: 32 };
  const { schedule } = makePlan(
    parseProblem({ ...problem, dtype }),
    {
      ...SPECIFICATION_DEFAULTS,
      features: MATRIX_FEATURES,
      matrices: [{ ...fragment, component: "f16", result: "f32" }],
    },
    {
      strategy: "windowed",
      tile: { rows: 32, cols: 16, depth: 32, body: { kind, subgroups, fragment } },
    },
  );
  return new Map(dispatchesOf(schedule).map((step) => [step.kernel, wgslOf(schedule, step)]));
}

/** Returns the text of what finds strengths for three heads. */
function fusionTexts(): Map<KernelName, string> {
  const heads = ["large", "expert", "base"].map((name) => ({ name, hidden: 24, vocab: 700 }));
  const fused = { tokens: 200, heads, fusion: true, statistics: ["predicted"] } as const;
  const { schedule } = makePlan(parseProblem(fused), SPECIFICATION_DEFAULTS, {
    strategy: "windowed",
    tile,
  });
  return new Map(dispatchesOf(schedule).map((step) => [step.kernel, wgslOf(schedule, step)]));
}

/** Returns the text of what a student learns from its teacher by. */
function distillTexts(
  divergence: Divergence,
  frozen = true,
  listed?: number,
): Map<KernelName, string> {
  const heads = (listed ? ["student"] : ["student", "teacher"]).map((name) => ({
    name,
    hidden: 24,
    vocab: 700,
    frozen: frozen && name === "teacher",
  }));
  const mixed = divergence === "jsd" ? { beta: 0.3 } : {};
  const distill = { divergence, listed, temperature: 2, ...mixed };
  const taught = { tokens: 200, pass: "train", heads, distill } as const;
  const { schedule } = makePlan(parseProblem(taught), SPECIFICATION_DEFAULTS, {
    strategy: "windowed",
    tile,
  });
  return new Map(dispatchesOf(schedule).map((step) => [step.kernel, wgslOf(schedule, step)]));
}

/** Returns one text of each kernel: plain, and with every option on where it has any. */
function snapshots(): Map<string, string> {
  const plain = texts("windowed");
  const options = texts("two-stage", {
    bias: true,
    classWeight: true,
    labelSmoothing: 0.1,
    zLoss: 1e-3,
    softcap: 30,
    logitScale: 0.5,
    statistics: ["entropy", "predicted"],
    dtype: "bf16",
    hidden: 23,
  });
  const filtered = texts("windowed", { gradientFilter: "auto" });
  const narrow = texts("windowed", { hidden: 24, subTokens: 6, subTokenScale: 0.1 });
  const sampled = texts("windowed", { sampledTokens: 40, statistics: ["collision"] });
  const ranks = rankTexts();
  const matrices = matrixTexts("f16");
  const split = matrixTexts("f32");
  const brain = matrixTexts("bf16");
  const fusion = fusionTexts();
  const distill = distillTexts("reverse-kl");
  const mixture = distillTexts("jsd");
  const binary = distillTexts("binary-kl");
  const difference = distillTexts("binary-kl-norm");
  const both = distillTexts("forward-kl", false);
  return new Map([
    ...plain,
    ...[...options].map(([kernel, text]) =>
      [plain.has(kernel) ? `${kernel} with options` : kernel, text] as const
    ),
    ["logit-gradient filtered", filtered.get("logit-gradient")!],
    ...([
      "forward",
      "coefficients",
      "logit-gradient",
      "weight-gradient",
      "hidden-gradient",
    ] as const).map((name) => [`${name} in matrices`, matrices.get(name)!] as const),
    ...(["forward", "weight-gradient"] as const)
      .map((name) => [`${name} of operands split in two`, split.get(name)!] as const),
    ...(["forward", "weight-gradient"] as const)
      .map((name) => [`${name} of bf16 in matrices`, brain.get(name)!] as const),
    ...(["f16", "bf16"] as const).map((gradientDtype) =>
      [
        `round-gradient to ${gradientDtype}`,
        texts("windowed", {}, { gradientDtype }).get("round-gradient")!,
      ] as const
    ),
    ["top-list", texts("two-stage", { topK: 50, pass: "forward" }).get("top-list")!],
    ["sub-tokens", narrow.get("sub-tokens")!],
    ["weight-gradient in sub-tokens", narrow.get("weight-gradient")!],
    ["sample-tokens", sampled.get("sample-tokens")!],
    ["weight-gradient of a sample", sampled.get("weight-gradient")!],
    ["merge with sums of squares", sampled.get("merge")!],
    ["row-scales", brain.get("row-scales")!],
    ["operand-bound", split.get("operand-bound")!],
    ...(["fusion-moments", "fusion-strength"] as const)
      .map((name) => [name, fusion.get(name)!] as const),
    ...(["distill-statistics", "distill-gradient"] as const)
      .flatMap((name) =>
        [
          [name, distill.get(name)!],
          [`${name} of each id by itself`, binary.get(name)!],
          [`${name} of differences`, difference.get(name)!],
        ] as const
      ),
    ["distill-gradient of both", both.get("distill-gradient")!],
    ["list-logits", distillTexts("forward-kl", true, 5).get("list-logits")!],
    ["distill-mixture", mixture.get("distill-mixture")!],
    ["distill-gradient of a mixture", mixture.get("distill-gradient")!],
    ...(["local-max", "fold-partials"] as const).map((name) => [name, ranks.get(name)!] as const),
  ]);
}

const KERNELS: readonly KernelName[] = [
  "select-tokens",
  "row-scales",
  "operand-bound",
  "forward",
  "project",
  "row-statistics",
  "top-list",
  "fusion-moments",
  "fusion-strength",
  "distill-statistics",
  "list-logits",
  "distill-mixture",
  "distill-gradient",
  "local-max",
  "fold-partials",
  "merge",
  "reduce",
  "coefficients",
  "sub-tokens",
  "sample-tokens",
  "logit-gradient",
  "stored-logit-gradient",
  "weight-gradient",
  "hidden-gradient",
  "hidden-sum",
  "round-gradient",
  "bias-gradient",
];

Deno.test("the WGSL of every kernel is as it was", async (t) => {
  const all = snapshots();
  for (const kernel of KERNELS) {
    assert([...all.keys()].some((name) => name.split(" ")[0] === kernel), `no text of ${kernel}`);
  }
  for (const [name, text] of all) await t.assertSnapshot(text, { name });
});

Deno.test("WGSL has no arithmetic of zeros and ones, no long comment and no stray blank", () => {
  for (const [name, text] of snapshots()) {
    for (const line of text.split("\n")) {
      assert(
        !/[*/%] 1u\b|[-+*] 0u\b|\b0u [-+*]|\b1u \*|[-+*] 0f\b|\* 1f\b/.test(line),
        `${name}: ${line}`,
      );
      assert(!/\s$|\t|\( |\S \)| ,/.test(line), `${name}: ${line}`);
      if (line.includes("//")) assert(line.length <= 110, `${name}: ${line}`);
    }
    assert(!text.includes("\n\n\n") && text.endsWith("}\n"), name);
  }
});

Deno.test("matrix kernels have one run-time loop around the depth, unrolled inside", () => {
  let seen = 0;
  for (const [name, text] of snapshots()) {
    if (!text.includes("fma(")) continue;
    seen++;
    const product = text.slice(text.indexOf("for (var k = "), text.lastIndexOf("fma("));
    assert.equal(product.match(/\bfor \(/g)?.length, 1, name);
    assert.equal(text.match(/\bfor \(var k = /g)?.length, 1, name);
    assert(!/\bvar \w+: array</.test(text), `${name} keeps no array in registers`);
  }
  assert(seen >= 5, "the kernels that multiply are among them");
});

Deno.test("no kernel but the first reads targets", () => {
  for (const [name, text] of snapshots()) {
    assert.equal(/\btargets\[/.test(text), name.startsWith("select-tokens"), name);
  }
});

/** Returns the buffers that a text writes, and whether it reads each of them as well. */
function written(text: string): Map<string, boolean> {
  const bound = [...text.matchAll(/var<storage, read_write> (\w+)/g)].map(([, slot]) => slot!);
  const found = new Map<string, boolean>();
  for (const slot of bound) {
    let [reads, writes] = [0, 0];
    for (const { index } of text.matchAll(new RegExp(`\\b${slot}\\[`, "g"))) {
      let at = index + slot.length;
      for (let depth = 0; at === index + slot.length || depth > 0; at++) {
        depth += text[at] === "[" ? 1 : text[at] === "]" ? -1 : 0;
      }
      const rest = text.slice(at);
      const [assigns, adds] = [/^ = /.test(rest), /^ \+= /.test(rest)];
      const atomic = text[index - 1] === "&";
      if (assigns || adds || atomic) writes++;
      if (!assigns || adds || atomic) reads++;
    }
    if (writes > 0) found.set(slot, reads > 0);
  }
  return found;
}

Deno.test("of what kernels write, they read what the traffic of a dispatch counts as read", () => {
  const read = new Map<string, Set<string>>();
  // A hidden gradient of so few ids is one sum.
  for (const [name, text] of [...snapshots(), ...texts("windowed", { vocab: 32 })]) {
    const kernel = name.split(" ")[0] as KernelName;
    for (const [slot, reads] of written(text)) {
      if (!reads) continue;
      read.set(kernel, (read.get(kernel) ?? new Set()).add(slot));
    }
  }
  const counted = Object.entries(ALSO_READ).map(([kernel, slots]) =>
    [kernel, new Set(Object.keys(slots))] as const
  );
  assert.deepEqual(read, new Map(counted));
});

Deno.test("kernelKey() tells tiles, bindings and the order of tiles apart", () => {
  const { schedule } = makePlan(
    parseProblem({ tokens: 40, hidden: 24, vocab: 70 }),
    SPECIFICATION_DEFAULTS,
    { strategy: "fused" },
  );
  const forward = dispatchesOf(schedule).find(({ kernel }) => kernel === "forward")!;
  const other = { ...forward, bindings: forward.bindings.slice(1) };
  assert.notEqual(kernelKey(forward), kernelKey(other));
  assert.notEqual(kernelKey(forward), kernelKey({ ...forward, order: { band: 2 } }));
  assert.equal(kernelKey(forward), kernelKey({ ...forward, params: 9 }));
});

Deno.test("kernels for a named device ask for no feature that it lacks, whatever the storage type", () => {
  const sizes = { tokens: 300, hidden: 64, vocab: 5000 };
  for (const { name, profile } of NAMED_DEVICES) {
    const features = new Set(profile.features ?? []);
    for (const dtype of ["f32", "f16", "bf16"] as const) {
      for (const pass of ["forward", "train"] as const) {
        const { schedule } = makePlan(parseProblem({ ...sizes, dtype, pass }), profile);
        for (const step of schedule.steps) {
          if (step.kind !== "dispatch") continue;
          const code = wgslOf(schedule, step);
          const asked = [...code.matchAll(/^enable (\w+);/gm)].map(([, word]) => word!);
          const known: Record<string, string> = {
            f16: "shader-f16",
            chromium_experimental_subgroup_matrix: "chromium-experimental-subgroup-matrix",
          };
          for (const word of asked) assert(features.has(known[word] ?? word), `${name} ${word}`);
          // A type that is not enabled is in no declaration either.
          if (!asked.includes("f16")) assert.doesNotMatch(code, /[<:\s]f16[>;,\s]/, name);
        }
      }
    }
  }
});

import assert from "node:assert/strict";
import fc from "fast-check";
import type { Candidate } from "./candidate.ts";
import { paretoFront, verdict } from "./choice.ts";
import { type DeviceProfile, SPECIFICATION_DEFAULTS } from "../device.ts";
import { makePlan } from "../plan.ts";
import { type Parallelism, rankPart } from "../parallel.ts";
import { DIVERGENCES } from "../heads/distill.ts";
import {
  headOf,
  type Problem,
  type ProblemInput,
  resized,
  teacherLearns,
  vocabOf,
  wantedGradients,
} from "../problem.ts";
import { parseProblem } from "../problem_schema.ts";
import { predictCost } from "../schedule/cost.ts";
import { learnsAtOnce } from "../schedule/distilling.ts";
import { findDevice } from "../devices/profiles.ts";
import { tierOf } from "../schedule/tile.ts";
import { predictMemory } from "../schedule/memory.ts";
import type { Schedule } from "../schedule/schedule.ts";
import { emit } from "./evaluate.ts";
import { ask, type PlanOptions } from "./question.ts";
import { search } from "./search.ts";
import { devices, problems, SEED } from "../testing.ts";

/** The caller's buffers, with a gradient in 16 bits too, the host's, and a weight that is streamed. */
const residencies = fc.constantFrom<PlanOptions>(
  {},
  { gradientDtype: "bf16" },
  { hostIo: true },
  { weights: "streamed" },
);

/** What training problems may ask for beside the defaults. */
const asked = fc.record({
  gradientFilter: fc.constantFrom<Problem["gradientFilter"]>(0, 0, "auto"),
  gradients: fc.constantFrom<Problem["gradients"]>(
    undefined,
    ["hidden"],
    ["weight"],
    ["hidden", "weight"],
  ),
});

/** How the weight's gradient may be estimated, where it is. */
const estimates = fc.constantFrom(undefined, undefined, "sub-tokens", "sample");

/** Returns a problem with an estimate of the weight's gradient, where it can have one. */
function estimated(problem: Problem, estimate: "sub-tokens" | "sample" | undefined): Problem {
  const { hidden } = headOf(problem);
  if (estimate === undefined || !wantedGradients(problem).has("weight")) return problem;
  const subTokens = [5, 4, 3, 2, 1].find((count) => hidden % count === 0)!;
  return estimate === "sub-tokens"
    ? { ...problem, subTokens }
    : { ...problem, gradientFilter: 0, sampledTokens: Math.ceil(problem.tokens / 3) };
}

/** Alone, or a rank among others. */
const parallelisms = fc.constantFrom<Parallelism | undefined>(
  undefined,
  undefined,
  { tensor: 2, data: 1, sequence: false },
  { tensor: 2, data: 3, sequence: false },
  { tensor: 2, data: 1, sequence: true },
  { tensor: 2, data: 2, sequence: false, overlap: true },
);

/** Sums of the same numbers in another order. */
function assertClose(actual: number, expected: number, what: string) {
  assert(Math.abs(actual - expected) <= 1e-12 * expected, `${what}: ${actual} for ${expected}`);
}

/** Holds a candidate's memory, bytes and arithmetic to its whole schedule, and returns the cost of that. */
function assertSketched(
  candidate: Candidate,
  schedule: Schedule,
  device: DeviceProfile,
) {
  const [memory, cost] = [predictMemory(schedule), predictCost(schedule, device)];
  assert.deepEqual(candidate.memory, memory);
  assert.equal(candidate.cost.dispatches, cost.dispatches);
  assert.equal(candidate.cost.transferred, cost.transferred);
  assertClose(candidate.cost.flops, cost.flops, "flops");
  assertClose(candidate.cost.bytesMoved, cost.bytesMoved, "bytes moved");
  return cost;
}

/** Returns some of a search's candidates, from first to last. */
function someOf<T>(all: readonly T[], first: number): T[] {
  return all.filter((_, index) => index % 7 === first % 7).slice(0, 6);
}

Deno.test("a sketch needs and costs what the whole schedule does, to the byte", () => {
  let [checked, left, ranks, apart] = [0, 0, 0, 0];
  fc.assert(
    fc.property(problems, devices, residencies, asked, estimates, parallelisms, (...drawn) => {
      const [random, device, residency, { gradientFilter, gradients }, estimate, parallelism] =
        drawn;
      const train = random.pass === "train" ? { gradients } : {};
      const filter = random.labelSmoothing === 0 ? { gradientFilter } : {};
      let problem = estimated({ ...random, ...train, ...filter }, estimate);
      apart += Number(problem.subTokens !== undefined || problem.sampledTokens !== undefined);
      let options: PlanOptions = residency;
      if (parallelism && residency.weights === undefined && !residency.gradientDtype) {
        // As many tokens, and as many of the others, as are split evenly.
        problem = resized(problem, {
          tokens: 6 * Math.ceil(random.tokens / 6),
          vocab: headOf(random).vocab + 1,
        });
        const { part, share } = rankPart(problem, parallelism);
        [problem, options] = [part, { ...residency, share }];
        ranks++;
      }
      const candidates = search(problem, device, options).flatMap((each) => each.candidates);
      for (const candidate of someOf(candidates, headOf(problem).vocab)) {
        const schedule = emit(ask(problem, device, options), candidate.shape, "whole");
        const { seconds } = assertSketched(candidate, schedule, device);
        assertClose(candidate.cost.seconds, seconds, "seconds");
        checked++;
        left += Number(schedule.block.count * schedule.window.count > 9);
      }
    }),
    { ...SEED, numRuns: 250 },
  );
  assert(left > checked / 10, `${left} of ${checked} schedules are long enough to leave steps out`);
  assert(ranks > SEED.numRuns / 5, `${ranks} of ranks`);
  assert(apart > SEED.numRuns / 10, `${apart} of estimates`);
});

/** A student's head and its teacher's, and how the one learns from the other. */
const lessons = fc.record({
  tokens: fc.integer({ min: 1, max: 2000 }),
  vocab: fc.integer({ min: 1, max: 20000 }),
  padding: fc.oneof(fc.constant(0), fc.integer({ min: -70, max: 70 })),
  widths: fc.tuple(fc.integer({ min: 1, max: 300 }), fc.integer({ min: 1, max: 300 })),
  dtypes: fc.tuple(fc.constantFrom("f32", "bf16"), fc.constantFrom("f32", "bf16")),
  bias: fc.tuple(fc.boolean(), fc.boolean()),
  frozen: fc.tuple(fc.boolean(), fc.boolean()),
  pass: fc.constantFrom("train", "train", "forward"),
  reduction: fc.constantFrom("mean", "none"),
  divergence: fc.constantFrom(...DIVERGENCES),
  temperature: fc.constantFrom(1, 2),
  ceWeight: fc.constantFrom(0, 0.5),
}).map(({ widths, vocab, padding, dtypes, bias, frozen, divergence, ...rest }) => {
  const { temperature, ceWeight, ...task } = rest;
  const heads = ["student", "teacher"].map((name, at) => ({
    name,
    hidden: widths[at]!,
    vocab: Math.max(1, vocab + at * padding),
    dtype: dtypes[at]!,
    bias: bias[at]!,
    frozen: frozen[at]!,
  }));
  const beta = divergence === "jsd" ? { beta: 0.3 } : {};
  return parseProblem(
    { ...task, heads, distill: { divergence, temperature, ceWeight, ...beta } } as ProblemInput,
  );
});

Deno.test("nor does it of a student and its teacher, whichever of them learn", () => {
  let [checked, both, once, padded] = [0, 0, 0, 0];
  const kept = residencies.filter(({ gradientDtype }) => gradientDtype === undefined);
  fc.assert(
    fc.property(lessons, devices, kept, (problem, device, options) => {
      const candidates = search(problem, device, options).flatMap((each) => each.candidates);
      for (const candidate of someOf(candidates, problem.tokens)) {
        const schedule = emit(ask(problem, device, options), candidate.shape, "whole");
        assertSketched(candidate, schedule, device);
        checked++;
        both += Number(teacherLearns(problem));
        once += Number(learnsAtOnce(problem));
        const even = problem.heads.every(({ vocab }) => vocab === vocabOf(problem));
        padded += Number(!even && schedule.residency !== "caller");
      }
    }),
    SEED,
  );
  assert(both > checked / 5 && once > checked / 50, `${both} and ${once} of ${checked}`);
  assert(padded > checked / 10, `${padded} of ${checked} have rows that stay on the host`);
});

Deno.test("nor does it of both in subgroup matrices, whose gradients have a place of their own", () => {
  const device = findDevice("h100-dawn-unchecked")!.profile;
  let both = 0;
  for (const [at, divergence] of DIVERGENCES.entries()) {
    const heads = [
      { name: "student", hidden: 256, vocab: 30000, dtype: "f16" as const },
      {
        ...{ name: "teacher", hidden: 328, vocab: 30000 + 8 * (at % 2), dtype: "bf16" as const },
        frozen: divergence.endsWith("binary-kl"),
      },
    ];
    const pass = divergence === "reverse-binary-kl" ? "forward" as const : "train" as const;
    const problem = parseProblem({ tokens: 1500, pass, heads, distill: { divergence } });
    for (const options of [{}, { weights: "streamed" as const }, { hostIo: true }]) {
      const candidates = search(problem, device, options).flatMap((each) => each.candidates);
      for (const candidate of someOf(candidates, at)) {
        assert.equal(tierOf(candidate.shape.tile), "matrix");
        const schedule = emit(ask(problem, device, options), candidate.shape, "whole");
        assertSketched(candidate, schedule, device);
        both += Number(schedule.buffers.some(({ name }) => name === "teacher_logit_gradient"));
      }
    }
  }
  assert(both > 5, `${both}`);
});

Deno.test("nor does it where matrices are cut into many buffers", () => {
  const sizes = fc.record({
    tokens: fc.integer({ min: 1, max: 400 }),
    hidden: fc.integer({ min: 100, max: 700 }),
    vocab: fc.integer({ min: 1, max: 40000 }),
    dtype: fc.constantFrom("f32" as const, "bf16" as const),
    pass: fc.constantFrom("forward" as const, "train" as const),
    gradients: fc.constantFrom<Problem["gradients"]>(undefined, ["weight"]),
  });
  let cut = 0;
  fc.assert(
    fc.property(sizes, fc.integer({ min: 155, max: 185 }), (input, exponent) => {
      const problem = parseProblem(input);
      const maxBufferSize = Math.floor(2 ** (exponent / 10));
      const limits = { ...SPECIFICATION_DEFAULTS.limits, maxBufferSize };
      const device = { name: "random", limits };
      const options = { hostIo: true, weights: "resident" } as const;
      const candidates = search(problem, device, options).flatMap((each) => each.candidates);
      for (const { shape, memory } of someOf(candidates, input.vocab)) {
        const schedule = emit(ask(problem, device, options), shape, "whole");
        assert.deepEqual(memory, predictMemory(schedule));
        cut += Number(schedule.buffers.length > 60);
      }
    }),
    { ...SEED, numRuns: 1500 },
  );
  assert(cut > 100, `${cut} schedules of many buffers`);
});

Deno.test("the front holds what nothing beats, and nothing else", () => {
  fc.assert(
    fc.property(problems, devices, (problem, device) => {
      const candidates = search(problem, device, {}).flatMap((each) => each.candidates);
      const front = paretoFront(candidates);
      for (const one of candidates) {
        const beaten = candidates.some((other) =>
          other.memory.peakBytes <= one.memory.peakBytes &&
          other.cost.seconds <= one.cost.seconds &&
          (other.memory.peakBytes < one.memory.peakBytes || other.cost.seconds < one.cost.seconds)
        );
        if (front.includes(one)) assert(!beaten);
        else {
          assert(
            beaten || front.some((other) =>
              other.memory.peakBytes === one.memory.peakBytes &&
              other.cost.seconds === one.cost.seconds
            ),
          );
        }
      }
    }),
    { ...SEED, numRuns: 40 },
  );
});

Deno.test("every candidate that lost has a reason that its numbers bear out", () => {
  const problem = parseProblem({ tokens: 2048, hidden: 256, vocab: 30000, pass: "train" });
  const { memory: { peakBytes } } = makePlan(problem, SPECIFICATION_DEFAULTS);
  const budget = peakBytes + 20 * 2 ** 20;
  const chosen = makePlan(problem, SPECIFICATION_DEFAULTS, { budget });
  const { candidates, front } = chosen;
  const reasons = candidates.map((candidate) => ({
    candidate,
    reason: verdict(candidate, chosen, front, budget),
  }));
  const { shape } = chosen;
  assert.deepEqual(
    reasons.filter(({ reason }) => reason === "chosen").map((it) => it.candidate.shape),
    [shape],
  );
  for (const { candidate: { memory, cost }, reason } of reasons) {
    assert.equal(/over the budget/.test(reason), memory.peakBytes > budget, reason);
    if (/^saves/.test(reason)) {
      assert(memory.peakBytes < chosen.memory.peakBytes);
      assert(cost.seconds > chosen.cost.seconds);
    }
    if (/faster/.test(reason)) assert(cost.seconds < chosen.cost.seconds);
  }
  assert(new Set(reasons.map(({ reason }) => reason.replace(/[\d.]+/g, ""))).size >= 3);
});

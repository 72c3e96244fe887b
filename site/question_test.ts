import assert from "node:assert/strict";
import fc from "fast-check";
import { DTYPES } from "../planner/dtype.ts";
import { NAMED_DEVICES } from "../planner/devices/profiles.ts";
import { MODELS } from "../planner/models/catalogue.ts";
import { headOf } from "../planner/problem.ts";
import {
  FIRST_QUESTION,
  HERE,
  linkOf,
  ofModel,
  problemOf,
  type Question,
  readLink,
} from "./question.ts";

const size = fc.integer({ min: 1, max: 2 ** 20 });

const questions: fc.Arbitrary<Question> = fc.record({
  tokens: size,
  pass: fc.constantFrom("forward" as const, "train" as const),
  device: fc.constantFrom(HERE, ...NAMED_DEVICES.map(({ name }) => name)),
  budget: fc.constantFrom("", "8GiB", "1GB", "512 MiB"),
}).chain((rest) =>
  fc.oneof(
    fc.constantFrom(...MODELS.map(({ name }) => ofModel({ ...FIRST_QUESTION, ...rest }, name))),
    fc.record({
      hidden: size,
      vocab: size,
      dtype: fc.constantFrom(...DTYPES),
      softcap: fc.double({ min: 1, max: 100, noNaN: true }),
      logitScale: fc.double({ min: 0.01, max: 100, noNaN: true }),
      bias: fc.constant(true),
    }, { requiredKeys: ["hidden", "vocab"], noNullPrototype: true }).map((head) => ({
      ...rest,
      model: undefined,
      head,
    })),
  )
);

Deno.test("a link holds a question, all of it", () => {
  fc.assert(fc.property(questions, (question) => {
    assert.deepEqual(readLink(`#${linkOf(question)}`), { question, faults: [] });
  }));
});

Deno.test("what a link has that makes no sense is said, and asks nothing", () => {
  fc.assert(fc.property(fc.string(), (link) => {
    const { question } = readLink(link);
    assert(problemOf(question).tokens > 0);
  }));
  const { question, faults } = readLink("hidden=0&vocab=7&tokens=-3&dtype=f8&budget=lots");
  assert.equal(question, FIRST_QUESTION);
  for (const part of ["tokens must be", "dtype=f8", "budget=lots", "hidden must be"]) {
    assert(faults.some((fault) => fault.includes(part)), `${part} in ${faults.join("; ")}`);
  }
});

Deno.test("a model's own softcap and type are asked for", () => {
  const { dtype, softcap } = headOf(problemOf(FIRST_QUESTION));
  // Gemma 2's config.json: final_logit_softcapping 30.0, torch_dtype bfloat16.
  assert.deepEqual({ dtype, softcap }, { dtype: "bf16", softcap: 30 });
});

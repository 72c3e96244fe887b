/**
 * What a visitor asks, as a link holds it: sizes of a head by name or one by one, how
 * many tokens, which pass, on which device, within which budget.
 *
 * @module
 */
import { type Dtype, DTYPES } from "../planner/dtype.ts";
import type { DeviceProfile } from "../planner/device.ts";
import { findDevice } from "../planner/devices/profiles.ts";
import { findModel } from "../planner/models/catalogue.ts";
import { headSettings, type OutputHead } from "../planner/models/head.ts";
import { issuesLine } from "../planner/issues.ts";
import type { Problem } from "../planner/problem.ts";
import { problemSchema } from "../planner/problem_schema.ts";
import { parseBytes, parseNumber } from "../planner/units.ts";

/** The name of the visitor's own device among the devices. */
export const HERE = "here";

/** A question. */
export interface Question {
  /** A model of the catalogue; `undefined` where sizes are given one by one. */
  readonly model: string | undefined;
  readonly head: OutputHead;
  readonly tokens: number;
  readonly pass: Problem["pass"];
  /** A named device, or {@linkcode HERE}. */
  readonly device: string;
  /** As it was written, such as `8GiB`; empty for none. */
  readonly budget: string;
}

/** The question of somebody who has not asked any. */
export const FIRST_QUESTION: Question = {
  model: "gemma-2-2b",
  head: findModel("gemma-2-2b")!,
  tokens: 8192,
  pass: "train",
  device: HERE,
  budget: "",
};

/** Returns a question about a model of the catalogue, all else kept. */
export function ofModel(question: Question, name: string): Question {
  const head = findModel(name);
  return head ? { ...question, model: name, head } : question;
}

/** Settings of a head that a link holds where no model is named. */
const NUMBERS = ["hidden", "vocab", "softcap", "logitScale"] as const;

/** Returns the part of a link after `#` that holds the whole question. */
export function linkOf({ model, head, tokens, pass, device, budget }: Question): string {
  const sizes = model === undefined
    ? {
      ...Object.fromEntries(
        NUMBERS.filter((name) => head[name] !== undefined).map((name) => [name, `${head[name]}`]),
      ),
      ...(head.dtype ? { dtype: head.dtype } : {}),
      ...(head.bias ? { bias: "true" } : {}),
    }
    : { model };
  return new URLSearchParams({
    ...sizes,
    tokens: `${tokens}`,
    pass,
    device,
    ...(budget === "" ? {} : { budget }),
  }).toString();
}

/** A question read from a link, and what in the link was not understood. */
export interface ReadQuestion {
  readonly question: Question;
  readonly faults: readonly string[];
}

/**
 * Reads a question from the part of a link after `#`. What is missing or makes no
 * sense is as in {@linkcode FIRST_QUESTION}, and said.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * const { question, faults } = readLink("model=gpt2&tokens=1k&pass=sideways");
 * assert.equal(question.head.vocab, 50257);
 * assert.equal(question.tokens, 1024);
 * assert.deepEqual(faults, ["pass=sideways: forward or train is needed"]);
 * ```
 */
export function readLink(link: string): ReadQuestion {
  const given = new URLSearchParams(link.replace(/^#/, ""));
  const faults: string[] = [];
  const read = <Value>(name: string, parse: (text: string) => Value): Value | undefined => {
    const text = given.get(name);
    if (text === null || text === "") return undefined;
    try {
      return parse(text);
    } catch (error) {
      faults.push(`${name}=${text}: ${(error as Error).message}`);
      return undefined;
    }
  };
  const oneOf = <Choice extends string>(choices: readonly Choice[]) => (text: string): Choice => {
    const found = choices.find((choice) => choice === text);
    if (found === undefined) throw new Error(`${choices.join(" or ")} is needed`);
    return found;
  };
  const model = read("model", (name) => {
    if (!findModel(name)) throw new Error("is no model of the catalogue");
    return name;
  });
  const own: OutputHead | undefined = given.has("hidden") && given.has("vocab") && !model
    ? ownHead(read)
    : undefined;
  const base = model ? ofModel(FIRST_QUESTION, model) : FIRST_QUESTION;
  const question: Question = {
    ...base,
    ...(own ? { model: undefined, head: own } : {}),
    tokens: read("tokens", parseNumber) ?? base.tokens,
    pass: read("pass", oneOf(["forward", "train"])) ?? base.pass,
    device: read("device", (name) => {
      if (name !== HERE && !findDevice(name)) throw new Error("is no named device");
      return name;
    }) ?? base.device,
    budget: read("budget", (text) => (parseBytes(text), text)) ?? base.budget,
  };
  try {
    problemOf(question);
  } catch (error) {
    return { question: FIRST_QUESTION, faults: [...faults, (error as Error).message] };
  }
  return { question, faults };
}

type Read = <Value>(name: string, parse: (text: string) => Value) => Value | undefined;

function ownHead(read: Read): OutputHead {
  const dtype = read("dtype", (text) => {
    if (!(DTYPES as readonly string[]).includes(text)) {
      throw new Error(`${DTYPES.join(" or ")} is needed`);
    }
    return text as Dtype;
  });
  const numbers = Object.fromEntries(
    NUMBERS.map((name) => [name, read(name, parseNumber)] as const)
      .filter(([, value]) => value !== undefined),
  );
  const head = { hidden: FIRST_QUESTION.head.hidden, vocab: FIRST_QUESTION.head.vocab, ...numbers };
  return {
    ...head,
    ...(dtype ? { dtype } : {}),
    ...(read("bias", (text) => text === "true") ? { bias: true } : {}),
  };
}

/**
 * Returns the problem that a question is about.
 *
 * @throws {RangeError} whose message says which size is out of range.
 */
export function problemOf({ head, tokens, pass }: Question): Problem {
  const { hidden, vocab } = head;
  const parsed = problemSchema().safeParse({ ...headSettings(head), hidden, vocab, tokens, pass });
  if (parsed.success) return parsed.data;
  throw new RangeError(issuesLine(parsed.error.issues));
}

/** Returns the bytes of a question's budget; `undefined` for none. */
export function budgetOf({ budget }: Question): number | undefined {
  return budget === "" ? undefined : parseBytes(budget);
}

/** Returns the device that is planned for; `here` is the visitor's, where there is one. */
export function deviceOf(
  { device }: Question,
  here: DeviceProfile | undefined,
): DeviceProfile | undefined {
  return device === HERE ? here : findDevice(device)?.profile;
}

/**
 * Settings as flags and as texts: what a plan file's schema says of each (its kind,
 * choices, default and meaning) is all that makes its flag.
 *
 * @module
 */
import { type Command, InvalidArgumentError, Option } from "commander";
import * as z from "zod";
import { meaningOf } from "../../planner/setting.ts";
import { parseNumber } from "../../planner/units.ts";
import { flagName, planFileSchema } from "./request.ts";

const SHAPE = planFileSchema.shape;

/** The name of a setting. */
export type Setting = keyof typeof SHAPE;

/** What some settings are, as flags give them. */
export type Settings<Name extends Setting> = Partial<Pick<z.input<typeof planFileSchema>, Name>>;

/** What help calls a value, where its kind does not say enough. */
const VALUE_NAMES: { readonly [Name in Setting]?: string } = {
  dtype: "type",
  gradientDtype: "type",
  ignoreIndex: "id",
  labelSmoothing: "share",
  zLoss: "factor",
  logitScale: "factor",
  softcap: "cap",
  gradientFilter: "threshold",
  window: "ids",
  block: "tokens",
  budget: "size",
  weights: "placement",
  tier: "name",
  tensorParallel: "ranks",
  dataParallel: "replicas",
  model: "name|file",
  device: "name|file",
  largest: "dimension",
  sweep: "NAME=FROM..TO",
  links: "auto|file",
  svg: "file",
  timeline: "file",
};

/** What a value is, and how it is read from a text. */
interface Kind {
  /** What help calls it; none where the flag alone says it. */
  readonly value: string | undefined;
  /** Words that it can be. */
  readonly words: readonly string[];
  /** Whether it can be nothing else. */
  readonly closed: boolean;
  /** Whether a flag may be repeated, for a list of such texts. */
  readonly repeats?: boolean;
  /** @throws {SyntaxError} where the text cannot be one. */
  read(text: string): unknown;
}

function kindOf(schema: z.core.$ZodType): Kind {
  if (schema instanceof z.core.$ZodDefault || schema instanceof z.core.$ZodOptional) {
    return kindOf(schema._zod.def.innerType);
  }
  if (schema instanceof z.core.$ZodPipe) return kindOf(schema._zod.def.in);
  const as = (value: string | undefined, read: (text: string) => unknown, closed = false) => ({
    value,
    words: [],
    closed,
    read,
  });
  if (schema instanceof z.core.$ZodBoolean) return as(undefined, (text) => text);
  if (schema instanceof z.core.$ZodNumber) {
    const whole = schema instanceof z.core.$ZodNumberFormat;
    return as(whole ? "count" : "number", parseNumber);
  }
  if (schema instanceof z.core.$ZodEnum || schema instanceof z.core.$ZodLiteral) {
    const words = [...schema._zod.values].map(String);
    return { ...as("name", (text) => text, true), words };
  }
  if (schema instanceof z.core.$ZodArray) {
    const { words, read } = kindOf(schema._zod.def.element);
    return { ...as("list", (text) => splitList(text).map(read)), words };
  }
  if (schema instanceof z.core.$ZodUnion) return eitherOf(schema._zod.def.options.map(kindOf));
  return as("name", (text) => text);
}

/** Returns a word of one kind, else whatever the first other kind reads. */
function eitherOf(kinds: readonly Kind[]): Kind {
  const words = kinds.flatMap((kind) => kind.words);
  // Text takes whatever another kind would refuse, or read otherwise.
  const other = kinds.find(({ value, closed }) => value === "name" && !closed) ??
    kinds.find(({ closed }) => !closed);
  return {
    value: other?.value ?? "name",
    words,
    closed: other === undefined,
    repeats: kinds.some(({ value }) => value === "list"),
    read: (text) => other === undefined || words.includes(text) ? text : other.read(text),
  };
}

function splitList(text: string): string[] {
  return text.split(",").map((part) => part.trim()).filter((part) => part !== "");
}

/** Returns the words that a setting's value can be, to offer and to explain. */
export function settingWords(setting: Setting): readonly string[] {
  return kindOf(SHAPE[setting]).words;
}

/** What of a flag differs from its setting in a plan file. */
export interface Difference {
  /** What it means. */
  readonly about?: string;
  /** What it is where nobody says it. */
  readonly initial?: unknown;
}

/** Returns the flag of a setting. */
export function settingFlag(setting: Setting, { about, initial }: Difference = {}): Option {
  const schema = SHAPE[setting];
  const { value: kindName, words, closed, repeats, read } = kindOf(schema);
  const value = VALUE_NAMES[setting] ?? kindName;
  const listed = kindName === "list" && words.length < 5 ? ` (of ${words.join(", ")})` : "";
  const byItself = about === undefined && initial === undefined;
  const said = schema instanceof z.core.$ZodDefault && byItself
    ? defaultText(schema._zod.def.defaultValue)
    : "";
  const text = `${about ?? meaningOf(schema)}${listed}${said}`;
  const option = new Option(
    kindName === undefined ? flagName(setting) : `${flagName(setting)} <${value}>`,
    text,
  );
  if (initial !== undefined) option.default(initial);
  if (kindName === undefined) return option;
  if (closed) return option.choices(words);
  return option.argParser((text: string, before: unknown): unknown => {
    const value = readArgument(read, text);
    return repeats ? [...(before as unknown[] | undefined ?? []), value] : value;
  });
}

/** Says a default that is something; flags without one leave a plan file its say. */
function defaultText(value: unknown): string {
  return value === false || (Array.isArray(value) && value.length === 0)
    ? ""
    : ` (default: ${value})`;
}

/** Reads an argument, in commander's way of failing. @throws {InvalidArgumentError} */
export function readArgument<T>(read: (text: string) => T, text: string): T {
  try {
    return read(text);
  } catch (error) {
    if (error instanceof SyntaxError) throw new InvalidArgumentError(`${error.message}.`);
    throw error;
  }
}

/** Adds the flags of some settings, in that order; `differences` says what of them differs. */
export function settingFlags(
  command: Command,
  settings: readonly Setting[],
  differences: { readonly [Each in Setting]?: Difference } = {},
): Command {
  for (const setting of settings) command.addOption(settingFlag(setting, differences[setting]));
  return command;
}

/**
 * Returns the settings of a plan file in which numbers and lists may be written as flags write
 * them: `tokens: 4k`. What cannot be read stays as it is, for the schema to refuse.
 */
export function readTexts(settings: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(settings).map(([name, value]) => {
      if (typeof value !== "string" || !Object.hasOwn(SHAPE, name)) return [name, value];
      try {
        return [name, kindOf(SHAPE[name as Setting]).read(value)];
      } catch (error) {
        if (error instanceof SyntaxError) return [name, value];
        throw error;
      }
    }),
  );
}

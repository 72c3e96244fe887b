/**
 * The program described as data, for completions and for pages: read from the
 * commands themselves, so that neither can say what the program does not do.
 *
 * @module
 */
import type { Argument, Command, Option } from "commander";
import { MODELS } from "../../planner/models/catalogue.ts";
import { SWEPT } from "../../planner/sweep.ts";
import { flagName, planFileSchema } from "../request/request.ts";
import { type Setting, settingWords } from "../request/settings.ts";

/** What may stand as a value. */
export interface ValueDescription {
  /** As help writes it, brackets left out: `file`, `NxDxV...`. */
  readonly name: string;
  readonly required: boolean;
  readonly variadic: boolean;
  /** Words to offer: choices, or names that are known. */
  readonly words: readonly string[];
  /** Whether a path may stand there. */
  readonly files: boolean;
}

/** A flag. */
export interface OptionDescription {
  /** As help writes it: `-h, --help`, `--dtype <type>`. */
  readonly flags: string;
  /** Every way to write it: `-h` and `--help`. */
  readonly names: readonly string[];
  readonly value: ValueDescription | undefined;
  readonly choices: readonly string[];
  /** As help writes it, default included. */
  readonly description: string;
  readonly default: string | undefined;
}

/** A command, or the program itself. */
export interface CommandDescription {
  /** From the program down: `["lce", "fixture", "make"]`. */
  readonly path: readonly string[];
  readonly description: string;
  /** What stands behind the path: `[options] <folder>`. */
  readonly usage: string;
  readonly arguments: readonly (ValueDescription & { readonly description: string })[];
  readonly options: readonly OptionDescription[];
  readonly commands: readonly CommandDescription[];
  /** Command lines, from `lce` on. */
  readonly examples: readonly string[];
  /** What else help says, a paragraph each. */
  readonly notes: readonly string[];
}

/**
 * Names that flags and arguments take and commander does not know of, by the flag,
 * or by the command and its argument.
 */
export const NAMES: Readonly<Record<string, readonly string[]>> = {
  ...settingNames(),
  "--sweep": SWEPT.map((name) => `${name}=`),
  "lce model name": MODELS.map(({ name }) => name),
};

/** Returns the words of settings that may have other values too. */
function settingNames(): Record<string, readonly string[]> {
  const settings = Object.keys(planFileSchema.shape) as Setting[];
  return Object.fromEntries(
    settings.map((name) => [flagName(name), settingWords(name)] as const)
      .filter(([, words]) => words.length > 0),
  );
}

/** Values that are paths, by what help calls them. */
const PATHS = /\b(file|folder|fixture|path)\b/;

/** Describes a command and those below it. */
export function describeCommand(
  command: Command,
  above: readonly string[] = [],
): CommandDescription {
  const path = [...above, command.name()];
  const help = command.createHelp();
  const { examples, notes } = readHelpText(command);
  return {
    path,
    description: command.description(),
    usage: command.usage(),
    arguments: command.registeredArguments.map((argument) => ({
      ...value(argument.name(), argument, `${path.join(" ")} ${argument.name()}`),
      description: argument.description,
    })),
    options: help.visibleOptions(command).map(option),
    // Each command has --help: "lce help" says nothing that needs a page.
    commands: help.visibleCommands(command)
      .filter((child) => child.name() !== "help")
      .map((child) => describeCommand(child, path)),
    examples,
    notes,
  };
}

/** Returns a command and every one below it, itself first. */
export function everyCommand(command: CommandDescription): CommandDescription[] {
  return [command, ...command.commands.flatMap(everyCommand)];
}

function option(option: Option): OptionDescription {
  const { flags, short, long, description, defaultValue, argChoices } = option;
  const names = [short, long].filter((name) => name !== undefined);
  const takes = option.required || option.optional;
  const name = /[<[](.+?)[>\]]/.exec(flags)?.[1] ?? "";
  return {
    flags,
    names,
    value: takes ? value(name, option, long ?? names[0]!) : undefined,
    choices: argChoices ?? [],
    description,
    default: defaultValue === undefined ? undefined : `${defaultValue}`,
  };
}

function value(
  name: string,
  { required, variadic, argChoices }: Pick<
    Option | Argument,
    "required" | "variadic" | "argChoices"
  >,
  key: string,
): ValueDescription {
  return {
    name,
    required,
    variadic,
    words: argChoices ?? NAMES[key] ?? [],
    files: PATHS.test(name),
  };
}

/** Reads examples and paragraphs out of what a command adds to its help. */
function readHelpText(command: Command): Pick<CommandDescription, "examples" | "notes"> {
  let text = "";
  const listeners = command as unknown as { emit(event: string, context: unknown): void };
  listeners.emit("afterHelp", { error: false, command, write: (more: string) => text += more });
  const lines = text.split("\n").map((line) => line.trim());
  const examples = lines.filter((line) => line.startsWith("$ ")).map((line) => line.slice(2));
  const rest = lines.filter((line) => !line.startsWith("$ ") && !/^Examples?:$/.test(line));
  const notes = rest.join("\n").split(/\n\n+/).map((note) => note.trim().replaceAll("\n", " "));
  return { examples, notes: notes.filter((note) => note !== "") };
}

/**
 * Pages about the commands, in the manner of man pages, from the program's own
 * description.
 *
 * @module
 */
import { type CommandDescription, everyCommand, type OptionDescription } from "./describe.ts";
import { NUMBERS, VARIABLES } from "../environment.ts";
import { EXIT_CODES } from "../exit.ts";

/** Returns every page by its file's name, the index included. */
export function docsPages(program: CommandDescription): Map<string, string> {
  const commands = everyCommand(program).slice(1);
  return new Map([
    ["README.md", index(program, commands)],
    ...commands.map((command) => [pageName(command), page(command, commands)] as const),
  ]);
}

function pageName({ path }: CommandDescription): string {
  return `${path.slice(1).join("-")}.md`;
}

function title({ path }: CommandDescription): string {
  return path.join(" ");
}

function link(command: CommandDescription): string {
  return `[\`${title(command)}\`](${pageName(command)})`;
}

function sentence(text: string): string {
  return `${text[0]!.toUpperCase()}${text.slice(1)}.`;
}

/** Help is read as plain text; on a page it must not turn into Markdown. */
function escape(text: string): string {
  return text.replaceAll(/[\\`*_<>|[\]]/g, (character) => `\\${character}`);
}

function index(program: CommandDescription, commands: readonly CommandDescription[]): string {
  const rows = commands.map((command) => `| ${link(command)} | ${escape(command.description)} |`);
  return `# lce

${escape(sentence(program.description))}

Written by \`deno task docs\` from the commands themselves, as \`--help\` is. \`lce completions\`
prints a script that lets bash, zsh or fish complete all of it.

| command | what it does |
| --- | --- |
${rows.join("\n")}

## Numbers

${NUMBERS}

## Environment

${VARIABLES.map(({ name, meaning }) => `- \`${name}\`: ${escape(meaning)}`).join("\n")}

## Exit codes

${exitCodes()}
`;
}

function page(command: CommandDescription, commands: readonly CommandDescription[]): string {
  const { description, usage, options, examples, notes, arguments: taken } = command;
  const about = taken.filter(({ description }) => description !== "")
    .map(({ name, description }) => `- \`${name}\`: ${escape(description)}`);
  const sections: [string, string][] = [
    ["NAME", `\`${title(command)}\`: ${escape(description)}`],
    ["SYNOPSIS", block([`${title(command)} ${usage}`])],
    [
      "DESCRIPTION",
      [sentence(escape(description)), about.join("\n"), ...notes.map(escape)]
        .filter((part) => part !== "").join("\n\n"),
    ],
    ["OPTIONS", options.map(optionItem).join("\n")],
    ["EXAMPLES", block(examples)],
    ["EXIT CODES", exitCodes()],
    ["SEE ALSO", [...related(command, commands).map(link), "[all commands](README.md)"].join(", ")],
  ];
  return [`# ${title(command)}`, ...sections.map(([name, text]) => `## ${name}\n\n${text}`)]
    .join("\n\n") + "\n";
}

function block(lines: readonly string[]): string {
  return ["```", ...lines, "```"].join("\n");
}

function optionItem({ flags, description, choices, default: initial }: OptionDescription): string {
  return [
    `- \`${flags}\`: ${escape(description)}`,
    ...(choices.length ? [`; one of ${choices.map((choice) => `\`${choice}\``).join(", ")}`] : []),
    ...(initial === undefined ? [] : [` (default: \`${initial}\`)`]),
  ].join("");
}

function exitCodes(): string {
  const rows = EXIT_CODES.map(({ code, meaning }) => `| ${code} | ${meaning} |`);
  return ["| code | meaning |", "| --- | --- |", ...rows].join("\n");
}

/** Returns the commands above and below, and those of which either speaks in its help. */
function related(
  command: CommandDescription,
  commands: readonly CommandDescription[],
): CommandDescription[] {
  return commands.filter((other) =>
    other !== command &&
    (isWithin(other, command) || isWithin(command, other) || speaksOf(command, other) ||
      speaksOf(other, command))
  );
}

function isWithin({ path }: CommandDescription, outer: CommandDescription): boolean {
  return outer.path.every((name, index) => path[index] === name);
}

function speaksOf(command: CommandDescription, other: CommandDescription): boolean {
  const { description, options, examples, notes } = command;
  const texts = [
    description,
    ...options.map(({ description }) => description),
    ...examples,
    ...notes,
  ];
  return texts.some((text) => `${text} `.search(new RegExp(`\\b${title(other)}\\b`)) >= 0);
}

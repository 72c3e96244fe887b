/**
 * The completion script for fish: a line for each thing that may be typed, under
 * the condition that its command is being typed.
 *
 * @module
 */
import { type CommandDescription, everyCommand, type ValueDescription } from "../describe.ts";

/** Makes the script. */
export function fishScript(program: CommandDescription): string {
  const commands = everyCommand(program);
  const below = commands.filter(({ path }) => path.length > 1).map(({ path }) => path.join(" "));
  const valued = commands.flatMap(({ path, options }) =>
    options.filter(({ value }) => value)
      .flatMap(({ names }) => names.map((name) => [...path, name].join(" ")))
  );
  return `# fish completion for lce. Load it with: lce completions fish | source
function __lce_at --description "whether a command is the one being typed"
    set -l at lce
    set -l taken
    for word in (commandline -opc)[2..-1]
        if test -n "$taken"; and not string match -q -- '--*' $word
            set taken
            continue
        end
        set taken
        if contains -- "$at $word" ${below.map(quoteFish).join(" ")}
            set at "$at $word"
        else if contains -- "$at $word" ${valued.map(quoteFish).join(" ")}
            set taken $word
        end
    end
    test "$at" = "$argv"
end
complete -c lce -f
${commands.flatMap(lines).join("\n")}
`;
}

function lines({ path, options, arguments: taken, commands }: CommandDescription): string[] {
  const start = `complete -c lce -n ${quoteFish(`__lce_at ${path.join(" ")}`)}`;
  return [
    ...commands.map(({ path, description }) =>
      `${start} -a ${quoteFish(path.at(-1)!)} -d ${quoteFish(description)}`
    ),
    ...taken.filter(offers).map((value) => `${start}${values(value)}`),
    ...options.map(({ names, value, description }) => {
      const flags = names.map((name) =>
        name.startsWith("--") ? ` -l ${name.slice(2)}` : ` -s ${name.slice(1)}`
      );
      const alone = value && !value.files ? " -x" : value?.required ? " -r" : "";
      const takes = value ? alone + values(value) : "";
      return `${start}${flags.join("")}${takes} -d ${quoteFish(description)}`;
    }),
  ];
}

function offers({ words, files }: ValueDescription): boolean {
  return words.length > 0 || files;
}

function values({ words, files }: ValueDescription): string {
  return (files ? " -F" : "") + (words.length ? ` -a ${quoteFish(words.join(" "))}` : "");
}

/** Returns a text in single quotes as fish reads it. */
function quoteFish(text: string): string {
  return `'${text.replaceAll(/[\\']/g, (character) => `\\${character}`)}'`;
}

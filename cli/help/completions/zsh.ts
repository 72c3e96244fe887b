/**
 * The completion script for zsh: a function for each command, which leaves the
 * work to zsh's own `_arguments`.
 *
 * @module
 */
import {
  type CommandDescription,
  everyCommand,
  type OptionDescription,
  type ValueDescription,
} from "../describe.ts";
import { quote } from "./quote.ts";

/** Makes the script. */
export function zshScript(program: CommandDescription): string {
  return `#compdef lce
# zsh completion for lce. Load it after compinit with: eval "$(lce completions zsh)"
${everyCommand(program).map(commandFunction).join("\n")}
_lce_words_or_files() {
  compadd -- "$@"
  _files
}

compdef _lce lce
`;
}

function functionName(path: readonly string[]): string {
  return `_${path.join("_").replaceAll("-", "_")}`;
}

function commandFunction(command: CommandDescription): string {
  const { path, options, arguments: taken, commands } = command;
  const specs = [
    ...options.flatMap(optionSpecs),
    ...taken.map((value) => quote(`${value.variadic ? "*" : ""}:${action(value)}`)),
  ];
  if (commands.length === 0) {
    return `${functionName(path)}() {\n  _arguments \\\n    ${specs.join(" \\\n    ")}\n}\n`;
  }
  const list = commands.map(({ path, description }) =>
    `    ${quote(`${path.at(-1)}:${description}`)}`
  );
  const calls = commands.map(({ path }) => `        ${path.at(-1)}) ${functionName(path)} ;;`);
  return `${functionName(path)}() {
  local context state state_descr line curcontext=$curcontext
  typeset -A opt_args
  local -a commands=(
${list.join("\n")}
  )
  _arguments -C \\
    ${[...specs, quote("1:command:->command"), quote("*::argument:->rest")].join(" \\\n    ")}
  case $state in
    command) _describe -t commands command commands ;;
    rest)
      case $line[1] in
${calls.join("\n")}
      esac
      ;;
  esac
}
`;
}

/** Returns a spec for each way to write a flag; none is offered once one of them was given. */
function optionSpecs({ names, value, description }: OptionDescription): string[] {
  return names.map((name) => {
    const others = value?.variadic ? "*" : `(${names.join(" ")})`;
    const takes = value ? `:${value.required ? "" : ":"}${action(value)}` : "";
    const assigned = value && name.startsWith("--") ? "=" : "";
    return quote(`${others}${name}${assigned}[${escape(description)}]${takes}`);
  });
}

/** Returns what a value is called and how zsh completes it. */
function action({ name, words, files }: ValueDescription): string {
  const how = files && words.length
    ? ` _lce_words_or_files ${words.join(" ")}`
    : files
    ? "_files"
    : words.length
    ? `(${words.join(" ")})`
    : " ";
  return `${escape(name)}:${how}`;
}

/** Returns the characters that end a part of a spec. */
function escape(text: string): string {
  return text.replaceAll(/[\\:[\]]/g, (character) => `\\${character}`);
}

/**
 * The completion script for bash, 3.2 (of macOS) and later.
 *
 * @module
 */
import { type CommandDescription, everyCommand } from "../describe.ts";
import { quote } from "./quote.ts";

/** What may be typed at one place. */
interface Offer {
  readonly words: readonly string[];
  readonly files: boolean;
}

/** Makes the script. */
export function bashScript(program: CommandDescription): string {
  const commands = everyCommand(program);
  const below = commands.filter(({ path }) => path.length > 1);
  const valued = commands.flatMap(({ path, options }) =>
    options.filter(({ value }) => value).flatMap(({ names, value }) =>
      names.map((name) => ({ place: [...path, name].join(" "), value: value! }))
    )
  );
  return `# bash completion for lce. Load it with: eval "$(lce completions bash)"
_lce() {
  local IFS=$'\\n' cur=\${COMP_WORDS[COMP_CWORD]} last=$COMP_CWORD path=lce option= word i
  local words= files=
  # bash takes "--flag=value" for three words.
  [[ $cur == "=" ]] && cur= && last=$((last + 1))
  for ((i = 1; i < last; i++)); do
    word=\${COMP_WORDS[i]}
    [[ $word == "=" ]] && continue
    if [[ -n $option && $word != --* ]]; then
      option=
      continue
    fi
    option=
    case "$path $word" in
${arms(below.map(({ path }) => path.join(" ")), () => 'path="$path $word"')}
${arms(valued.map(({ place }) => place), () => "option=$word")}
    esac
  done
  if [[ -n $option && $cur != --* ]]; then
    case "$path $option" in
${
    valued.filter(({ value }) => value.words.length > 0 || value.files)
      .map(({ place, value }) => `      ${quote(place)}) ${assign(value)} ;;`).join("\n")
  }
    esac
  elif [[ $cur == -* ]]; then
    case "$path" in
${
    commands.map(({ path, options }) =>
      arm(path, { words: options.flatMap(({ names }) => names), files: false })
    ).join("\n")
  }
    esac
  else
    case "$path" in
${
    commands.filter(({ commands, arguments: taken }) => commands.length + taken.length > 0)
      .map((command) => arm(command.path, offer(command))).join("\n")
  }
    esac
  fi
  COMPREPLY=($(compgen -W "$words" -- "$cur"))
  # A name that a value follows: no blank between.
  [[ \${COMPREPLY[0]} == *= ]] && compopt -o nospace 2> /dev/null
  if [[ -n $files ]]; then
    compopt -o filenames 2> /dev/null
    COMPREPLY+=($(compgen -f -- "$cur"))
  fi
}
complete -F _lce lce
`;
}

/** Returns what may stand behind a command: those below it and its arguments. */
function offer({ commands, arguments: taken }: CommandDescription): Offer {
  const names = commands.map(({ path }) => path.at(-1)!);
  return {
    words: [...names, ...taken.flatMap(({ words }) => words)],
    files: taken.some(({ files }) => files),
  };
}

function assign({ words, files }: Offer): string {
  return [
    ...(words.length ? [`words=$${quote(words.join("\\n"))}`] : []),
    ...(files ? ["files=1"] : []),
  ].join(" ") || ":";
}

function arm(path: readonly string[], offer: Offer): string {
  return `      ${quote(path.join(" "))}) ${assign(offer)} ;;`;
}

/** Returns one arm of a case for some patterns, if there are any. */
function arms(patterns: readonly string[], body: () => string): string {
  if (patterns.length === 0) return "      # none";
  return `      ${patterns.map(quote).join(" | \\\n      ")}) ${body()} ;;`;
}

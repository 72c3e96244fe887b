/**
 * `lce completions`: scripts that let a shell complete command lines.
 *
 * @module
 */
import { Argument, Command } from "commander";
import { COMPLETION_SCRIPTS, SHELLS } from "../help/completions/mod.ts";
import { describeCommand } from "../help/describe.ts";
import type { Output } from "../output.ts";

/** Returns the command. `load` gives the whole program, which the scripts are about. */
export function completionsCommand(output: Output, load: () => Promise<Command>): Command {
  return new Command("completions")
    .description("print a script that lets a shell complete lce's command lines")
    .addArgument(new Argument("<shell>", "the shell to print it for").choices(SHELLS))
    .addHelpText(
      "after",
      `
Load it where the shell starts: in ~/.bashrc with eval "$(lce completions bash)", in ~/.zshrc
after compinit with eval "$(lce completions zsh)", or in a file of fish's own.

Examples:
  $ lce completions bash
  $ lce completions zsh
  $ lce completions fish > ~/.config/fish/completions/lce.fish`,
    )
    .action(async (shell: typeof SHELLS[number]) => {
      output.print(COMPLETION_SCRIPTS[shell](describeCommand(await load())).trimEnd());
    });
}

/**
 * Completion scripts by shell.
 *
 * @module
 */
import type { CommandDescription } from "../describe.ts";
import { bashScript } from "./bash.ts";
import { fishScript } from "./fish.ts";
import { zshScript } from "./zsh.ts";

/** Shells that can complete. */
export const SHELLS = ["bash", "zsh", "fish"] as const;

/** What makes each shell's script from the program. */
export const COMPLETION_SCRIPTS: Readonly<
  Record<typeof SHELLS[number], (program: CommandDescription) => string>
> = { bash: bashScript, zsh: zshScript, fish: fishScript };

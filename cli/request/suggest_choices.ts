/**
 * Suggestions for values of flags that take one of some choices; commander makes
 * its own for commands and flags.
 *
 * @module
 */
import { type Argument, type Command, InvalidArgumentError, type Option } from "commander";
import { didYouMean } from "./suggest.ts";

/** Makes a command's flags and arguments say what a wrong choice may have meant. */
export function suggestChoices(command: Command): void {
  for (const taker of [...command.options, ...command.registeredArguments]) suggest(taker);
}

function suggest(taker: Option | Argument): void {
  const { argChoices, parseArg } = taker;
  if (!argChoices || !parseArg) return;
  taker.parseArg = <T>(text: string, before: T): T => {
    try {
      return parseArg.call(taker, text, before) as T;
    } catch (error) {
      if (!(error instanceof InvalidArgumentError)) throw error;
      throw new InvalidArgumentError(`${error.message}${didYouMean(text, argChoices)}`);
    }
  };
}

/**
 * The program: its commands, and what becomes of their failures.
 *
 * @module
 */
import { Command } from "@commander-js/extra-typings";
import { benchCommand } from "./commands/bench.ts";
import { deviceCommand } from "./commands/device.ts";
import { emitCommand } from "./commands/emit.ts";
import { fixtureCommand } from "./commands/fixture.ts";
import { modelCommand } from "./commands/model.ts";
import { planCommand } from "./commands/plan.ts";
import { runCommand } from "./commands/run.ts";
import { tuneCommand } from "./commands/tune.ts";
import { EXIT, explain } from "./exit.ts";
import type { Output } from "./output.ts";

/**
 * Runs `lce` with some arguments.
 *
 * @returns the exit code: see {@linkcode EXIT}.
 */
export async function main(args: readonly string[], output: Output): Promise<number> {
  let code: number = EXIT.ok;
  const program = new Command("lce")
    .description(
      "linear cross-entropy: plan, run and verify a language model's output layer without its logits",
    )
    .addCommand(planCommand(output) as never)
    .addCommand(runCommand(output, (failed) => code = failed) as never)
    .addCommand(benchCommand(output) as never)
    .addCommand(tuneCommand(output) as never)
    .addCommand(emitCommand(output) as never)
    .addCommand(deviceCommand(output) as never)
    .addCommand(modelCommand(output) as never)
    .addCommand(fixtureCommand(output) as never)
    .addHelpText(
      "after",
      `
Exit codes: 0 good, 1 verification failed, 2 usage, 3 no device, 4 bad input file, 5 does not fit.`,
    );
  configure(program as unknown as Command, output);
  try {
    await program.parseAsync([...args], { from: "user" });
    return code;
  } catch (error) {
    const { code, text } = explain(error);
    if (text !== undefined) output.note(`lce: ${text}`);
    return code;
  }
}

/** Makes a command and those below it throw instead of exiting, and write where we write. */
function configure(command: Command, output: Output): void {
  const trimmed = (write: (text: string) => void) => (text: string) =>
    write(text.replace(/\n$/, ""));
  command
    .exitOverride()
    .configureOutput({
      writeOut: trimmed(output.print),
      writeErr: trimmed(output.note),
      getOutHasColors: () => false,
      getErrHasColors: () => false,
    })
    .showHelpAfterError('(see "lce --help", or --help after a command)');
  for (const child of command.commands) configure(child as unknown as Command, output);
}

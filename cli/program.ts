/**
 * The program: its commands, and what becomes of their failures.
 *
 * @module
 */
import { Command } from "commander";
import manifest from "../deno.json" with { type: "json" };
import { NUMBERS, VARIABLES } from "./environment.ts";
import { EXIT, EXIT_CODES, explain } from "./exit.ts";
import { guarded, type Output } from "./output.ts";
import { suggestChoices } from "./request/suggest_choices.ts";

/** What every message of a failure begins with. */
const PREFIX = "lce: ";

/** Makes a command; `exit` takes the exit code of one that ran, but found something wrong. */
type Load = (output: Output, exit: (code: number) => void) => Promise<Command>;

/**
 * The commands, in the order of help. Each is a module that is loaded when it is
 * asked for, so that none waits for what another needs.
 */
const COMMANDS: Readonly<Record<string, Load>> = {
  plan: async (output, exit) => (await import("./commands/plan.ts")).planCommand(output, exit),
  run: async (output, exit) => (await import("./commands/run.ts")).runCommand(output, exit),
  bench: async (output, exit) => (await import("./commands/bench.ts")).benchCommand(output, exit),
  tune: async (output, exit) => (await import("./commands/tune.ts")).tuneCommand(output, exit),
  report: async (output) => (await import("./commands/report.ts")).reportCommand(output),
  emit: async (output) => (await import("./commands/emit.ts")).emitCommand(output),
  device: async (output) => (await import("./commands/device.ts")).deviceCommand(output),
  model: async (output) => (await import("./commands/model.ts")).modelCommand(output),
  codebook: async (output) => (await import("./commands/codebook.ts")).codebookCommand(output),
  fixture: async (output) => (await import("./commands/fixture.ts")).fixtureCommand(output),
  completions: async (output) =>
    (await import("./commands/completions.ts"))
      .completionsCommand(output, () => loadProgram(output)),
};

/** The program with some of its commands; with all of them, unless said otherwise. */
export async function loadProgram(
  output: Output,
  exit: (code: number) => void = () => {},
  names: readonly string[] = Object.keys(COMMANDS),
): Promise<Command> {
  const program = new Command("lce")
    .description(
      "linear cross-entropy: plan, run and verify a language model's output layer without its logits",
    )
    .version(manifest.version, "-V, --version", "print the version");
  for (const name of names) program.addCommand(await COMMANDS[name]!(output, exit));
  const codes = EXIT_CODES.map(({ code, meaning }) => `  ${code}`.padEnd(6) + meaning).join("\n");
  const width = Math.max(...VARIABLES.map(({ name }) => name.length));
  const variables = VARIABLES.map(({ name, meaning }) => `  ${name.padEnd(width)}  ${meaning}`)
    .join("\n");
  program.addHelpText(
    "after",
    `\n${NUMBERS}\n\nEnvironment:\n${variables}\n\nExit codes:\n${codes}`,
  );
  configure(program, output);
  return program;
}

/**
 * Runs `lce` with some arguments.
 *
 * @returns the exit code: see {@linkcode EXIT}.
 */
export async function main(args: readonly string[], raw: Output): Promise<number> {
  const { progress, ...others } = guarded(raw);
  let quiet = false;
  const output: Output = { ...others, progress: (text) => quiet || progress(text) };
  let code: number = EXIT.ok;
  try {
    const [name = ""] = args;
    // Help and mistakes need every command; a command needs itself.
    const wanted = Object.hasOwn(COMMANDS, name) ? [name] : undefined;
    const program = await loadProgram(output, (failed) => code = failed, wanted);
    program.hook("preAction", (_, command) => void (quiet = command.opts().quiet === true));
    await program.parseAsync([...args], { from: "user" });
    return code;
  } catch (error) {
    const { code, text } = explain(error);
    if (text !== undefined) output.note(`${PREFIX}${text}`);
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
      outputError: (text, write) => write(text.replace(/^error: /, PREFIX)),
      getOutHasColors: () => false,
      getErrHasColors: () => false,
    })
    .showHelpAfterError('(see "lce --help", or --help after a command)');
  suggestChoices(command);
  for (const child of command.commands) configure(child, output);
}

/**
 * Entry point of the command line.
 *
 * @module
 */
import { interrupt } from "../fixtures/files/interrupt.ts";
import { endedText } from "./ended.ts";
import { EXIT } from "./exit.ts";
import { type Output, processOutput } from "./output.ts";
import { main } from "./program.ts";

/** Ends the process at a signal, with nothing left behind but what it can go on from. */
function endAt(signal: Deno.Signal, code: number, output: Output): void {
  Deno.addSignalListener(signal, () => {
    for (const remark of interrupt()) output.note(remark);
    output.note(`lce: ${endedText()}`);
    Deno.exit(code);
  });
}

if (import.meta.main) {
  const output = processOutput();
  endAt("SIGINT", EXIT.interrupted, output);
  // Windows knows no other.
  if (Deno.build.os !== "windows") endAt("SIGTERM", EXIT.terminated, output);
  Deno.exit(await main(Deno.args, output));
}

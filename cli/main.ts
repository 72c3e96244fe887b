/**
 * Entry point of the command line.
 *
 * @module
 */
import { processOutput } from "./output.ts";
import { main } from "./program.ts";

if (import.meta.main) {
  Deno.exit(await main(Deno.args, processOutput()));
}

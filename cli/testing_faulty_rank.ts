/**
 * `lce` as a rank of whose device a mapping fails, the first argument says the how many-th: for tests
 * of what becomes of the other ranks.
 *
 * @module
 */
import { onFailingMachine } from "../testing/failing_machine.ts";
import { processOutput } from "./output.ts";
import { main } from "./program.ts";

if (import.meta.main) {
  const [nth, ...args] = Deno.args;
  const fault = { name: "test", call: "mapAsync", how: "throw" } as const;
  const run = () => main(args, processOutput());
  const { value } = await onFailingMachine(fault, Number(nth), run);
  Deno.exit(value);
}

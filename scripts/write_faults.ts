/**
 * Writes docs/faults.md from the table of faults.
 *
 * @module
 */
import { faultsPage } from "../cli/testing_faults.ts";

const root = decodeURIComponent(new URL("..", import.meta.url).pathname);
const path = `${root}docs/faults.md`;
await Deno.writeTextFile(path, faultsPage());
const { success } = await new Deno.Command("deno", {
  args: ["fmt", "--quiet", `--config=${root}deno.json`, path],
}).output();
Deno.exit(success ? 0 : 1);

/**
 * Writes docs/cli, a page for each command, or the same pages to another folder:
 *
 *     deno task docs [folder]
 *
 * @module
 */
import { describeCommand } from "../cli/help/describe.ts";
import { docsPages } from "../cli/help/docs.ts";
import { processOutput } from "../cli/output.ts";
import { loadProgram } from "../cli/program.ts";

const root = decodeURIComponent(new URL("..", import.meta.url).pathname);
const folder = Deno.args[0] ?? `${root}docs/cli`;
await Deno.mkdir(folder, { recursive: true });
// Pages of commands that are gone go too.
for (const { name } of Deno.readDirSync(folder)) {
  if (name.endsWith(".md")) await Deno.remove(`${folder}/${name}`);
}
for (const [name, text] of docsPages(describeCommand(await loadProgram(processOutput())))) {
  await Deno.writeTextFile(`${folder}/${name}`, text);
}
const { success } = await new Deno.Command("deno", {
  args: ["fmt", "--quiet", `--config=${root}deno.json`, folder],
}).output();
Deno.exit(success ? 0 : 1);

// deno-lint-ignore-file no-console -- a script prints
/**
 * Builds the pages into a folder of static files for any host, `dist/site` unless told.
 *
 *     deno task site [folder]
 *     deno task site:serve
 *
 * @module
 */
import process from "node:process";
import packageFile from "../deno.json" with { type: "json" };
import { STYLE } from "../cli/html/style.ts";

const root = new URL("..", import.meta.url);
const [folder = new URL("dist/site", root).pathname] = Deno.args;
const target = new URL(`file://${folder}/`);

/** Files that are served as they are, under a name of their own. */
const STATIC = {
  "index.html": "site/index.html",
  "icon.svg": "site/icon.svg",
  "train.html": "examples/transformer/page.html",
};

/** The module that workers run, as the bundle of the page asks for it and as it is served. */
const WORKER = { asked: "./reference_worker.ts", served: "./reference_worker.js" };

async function deno(args: string[]): Promise<void> {
  const { success, stderr } = await new Deno.Command("deno", { args, cwd: root.pathname }).output();
  if (success) return;
  console.error(new TextDecoder().decode(stderr));
  process.exit(1);
}

async function bundle(entry: string, name: string): Promise<string> {
  const output = new URL(name, target).pathname;
  await deno(["bundle", "--quiet", "--platform", "browser", "--minify", "--output", output, entry]);
  return output;
}

await Deno.mkdir(target, { recursive: true });
const page = await bundle("site/main.ts", "main.js");
await bundle("fixtures/reference/reference_worker.ts", WORKER.served);
// A browser takes no TypeScript, and a bundle keeps addresses as they are written.
const text = await Deno.readTextFile(page);
if (text.split(WORKER.asked).length !== 2) {
  console.error(
    `The page's bundle names ${WORKER.asked} ${
      text.split(WORKER.asked).length - 1
    } times, not once`,
  );
  process.exit(1);
}
await Deno.writeTextFile(page, text.replace(WORKER.asked, WORKER.served));
await bundle("examples/transformer/page.ts", "train.js");
for (const [name, file] of Object.entries(STATIC)) {
  await Deno.copyFile(new URL(file, root), new URL(name, target));
}
const forms = await Deno.readTextFile(new URL("site/style.css", root));
await Deno.writeTextFile(new URL("style.css", target), `${STYLE}\n${forms}`);
// What mod.ts exports, as pages of their own that ask no other host for anything.
const api = new URL("api", target).pathname;
await deno(["doc", "--quiet", "--html", `--name=${packageFile.name}`, `--output=${api}`, "mod.ts"]);
const sizes = await Promise.all(
  [...Object.keys(STATIC), "style.css", "main.js", "train.js", "reference_worker.js"].map(async (
    name,
  ) => `${name} ${Math.ceil((await Deno.stat(new URL(name, target))).size / 1024)} KiB`),
);
console.log(`${folder}: ${sizes.join(", ")}`);

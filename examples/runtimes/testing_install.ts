/**
 * Installing the npm package from its tarball into an empty folder, without a network.
 *
 * @module
 */
import assert from "node:assert/strict";
import { join } from "node:path";
import { userCache } from "../../cli/files/cache.ts";

/** The repository. */
export const ROOT = new URL("../..", import.meta.url).pathname;
/** Returns whether a file is there. */
export function exists(path: string): boolean {
  try {
    return Deno.statSync(path).isFile;
  } catch {
    return false;
  }
}

/** Returns where a program is: among those of a path, or where scripts/setup.sh puts it. */
export function find(program: string): string | undefined {
  const folders = [
    ...(Deno.env.get("PATH") ?? "").split(":"),
    join(userCache(), program, "node_modules", ".bin"),
  ];
  return folders.map((folder) => join(folder, program)).find(exists);
}

/** Runs a program, which must succeed, and returns what it prints. */
export async function run(
  program: string,
  args: string[],
  cwd: string,
  env: Record<string, string> = {},
): Promise<string> {
  const { code, stdout, stderr } = await new Deno.Command(program, { args, cwd, env }).output();
  const text = new TextDecoder();
  assert.equal(code, 0, text.decode(stderr) + text.decode(stdout));
  return text.decode(stdout);
}

/** Returns the programs of the package's README in a language. */
export async function examples(language: string): Promise<string[]> {
  const readme = await Deno.readTextFile(`${ROOT}scripts/npm/README.md`);
  return [...readme.matchAll(new RegExp("```" + language + "\\n([\\s\\S]*?)```", "g"))]
    .map(([, text]) => text!);
}

/** Builds the package and installs it where nothing else is; returns the folder. */
export async function install(): Promise<string> {
  const folder = await Deno.makeTempDir();
  const build = ["run", "--quiet", "-A", "scripts/build_npm.ts", join(folder, "npm")];
  const built = await run(Deno.execPath(), build, ROOT);
  const [tarball] = /\S+\.tgz/.exec(built)!;
  const app = join(folder, "app");
  await Deno.mkdir(app);
  await Deno.writeTextFile(join(app, "package.json"), '{ "private": true, "type": "module" }');
  await run("npm", ["install", "--offline", "--no-audit", "--no-fund", tarball], app);
  return app;
}

import assert from "node:assert/strict";
import { join } from "node:path";
import manifest from "../deno.json" with { type: "json" };
import { EXIT } from "./exit.ts";
import { lce } from "./testing.ts";

const ROOT = decodeURIComponent(new URL("..", import.meta.url).pathname);

/** Runs a command line to its end, and gives what it printed. */
async function run(command: string, args: string[], options: Deno.CommandOptions = {}) {
  const { code, stdout, stderr } = await new Deno.Command(command, {
    args,
    stdin: "null",
    ...options,
  }).output();
  const decoder = new TextDecoder();
  assert.equal(code, 0, decoder.decode(stderr));
  return decoder.decode(stdout);
}

Deno.test("the README's line installs lce, which then runs from any folder", async () => {
  const readme = await Deno.readTextFile(join(ROOT, "README.md"));
  const [line, ...others] = readme.match(/deno install .*cli\/main\.ts/g) ?? [];
  assert(line !== undefined && others.length === 0, "one line that installs");
  const [deno, ...args] = line.split(" ");
  const folder = await Deno.makeTempDir();
  try {
    await run(deno!, args, { cwd: ROOT, env: { DENO_INSTALL_ROOT: folder } });
    const installed = join(folder, "bin", Deno.build.os === "windows" ? "lce.cmd" : "lce");
    const said = (...args: string[]) => run(installed, args, { cwd: folder });
    assert.equal(await said("--version"), `${manifest.version}\n`);
    assert.match(await said("plan", "--vocab", "100", "--hidden", "8"), /100 vocab/);
    // The example of a host is text that is imported, which must be allowed there too.
    assert.match(await said("emit", "out", "--vocab", "9", "--hidden", "8"), /host\.js/);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("lce --version is the package's", async () => {
  for (const flag of ["--version", "-V"]) {
    const { code, out, err } = await lce(flag);
    assert.deepEqual({ code, out, err }, { code: EXIT.ok, out: `${manifest.version}\n`, err: "" });
  }
});

Deno.test("what would be published is clean of slow types, has the rooms and none of their tests, benches or oracle", async () => {
  const { stderr, stdout, success } = await new Deno.Command("deno", {
    args: ["publish", "--dry-run", "--no-check", "--allow-dirty"],
    cwd: ROOT,
    stdin: "null",
  }).output();
  const said = new TextDecoder().decode(stdout) + new TextDecoder().decode(stderr);
  assert(success, said);
  const base = new URL("..", import.meta.url).href;
  const files = [...said.matchAll(/(file:\/\/\S+) \(/g)].map(([, url]) => url!.slice(base.length));
  for (const path of ["mod.ts", "cli/main.ts", "planner/plan.ts", "cli/emit/host.js"]) {
    assert(files.includes(path), path);
  }
  const unwanted = files.filter((path) =>
    /_test\.ts$|testing|__snapshots__|^(bench|examples|scripts|\.ci)\/|oracle\//.test(path)
  );
  assert.deepEqual(unwanted, []);
});

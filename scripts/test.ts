// deno-lint-ignore-file no-console -- a script prints
/**
 * Runs every test, on this machine's device or on the one that a Vulkan driver
 * file names, and closes with `N passed, N failed`.
 *
 *     deno task test [--driver ICD.json] [deno test flags and files]
 *
 * @module
 */

const args = [...Deno.args];
const driver = args[0] === "--driver" ? args.splice(0, 2)[1] : undefined;
const junit = await Deno.makeTempFile({ suffix: ".junit.xml" });
const { code } = await new Deno.Command("deno", {
  args: [
    "test",
    "--quiet",
    "--allow-read",
    "--allow-write",
    "--allow-env",
    "--allow-sys",
    "--allow-run",
    "--doc",
    "--sanitize-ops",
    "--sanitize-resources",
    `--junit-path=${junit}`,
    ...args,
  ],
  env: {
    XDG_RUNTIME_DIR: Deno.env.get("XDG_RUNTIME_DIR") ?? "/tmp",
    ...(driver ? { VK_DRIVER_FILES: driver, VK_ICD_FILENAMES: driver } : {}),
  },
  stdout: "inherit",
  stderr: "inherit",
}).output();
const report = await Deno.readTextFile(junit);
await Deno.remove(junit);
const total = (name: string) =>
  Number(new RegExp(`<testsuites[^>]* ${name}="(\\d+)"`).exec(report)?.[1] ?? 0);
const failed = total("failures") + total("errors");
console.log(`${total("tests") - failed} passed, ${failed} failed`);
Deno.exit(code);

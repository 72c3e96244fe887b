import assert from "node:assert/strict";
import { join } from "node:path";
import { userCache } from "../../cli/files/cache.ts";

const packages = join(userCache(), "dawn", "node_modules");
const driver = join(userCache(), "swiftshader", "vk_swiftshader_icd.json");

/** Whether a file is there. */
function exists(path: string): boolean {
  try {
    return Deno.statSync(path).isFile;
  } catch {
    return false;
  }
}

/** Where a program is: among those of a path, or where scripts/setup.sh puts it. */
function find(program: string): string | undefined {
  const folders = [
    ...(Deno.env.get("PATH") ?? "").split(":"),
    join(userCache(), program, "node_modules", ".bin"),
  ];
  return folders.map((folder) => join(folder, program)).find(exists);
}

for (const runtime of ["node", "bun"]) {
  const program = find(runtime);
  const missing = program === undefined
    ? `no ${runtime} here`
    : !exists(join(packages, "webgpu", "index.js"))
    ? "no Dawn here: scripts/setup.sh --dawn"
    : !exists(driver)
    ? "no device for Dawn here: scripts/setup.sh --swiftshader"
    : undefined;
  Deno.test(`mod.ts gives the right loss under ${runtime}${missing ? ` (${missing})` : ""}`, {
    ignore: missing !== undefined,
  }, async () => {
    const folder = await Deno.makeTempDir();
    try {
      const bundle = await new Deno.Command("deno", {
        args: [
          ...["bundle", "--quiet", "--platform", "browser", "--output", join(folder, "lce.js")],
          new URL("../../mod.ts", import.meta.url).pathname,
        ],
        stderr: "piped",
      }).output();
      assert(bundle.success, new TextDecoder().decode(bundle.stderr));
      await Deno.copyFile(new URL("loss.mjs", import.meta.url), join(folder, "loss.mjs"));
      await Deno.symlink(packages, join(folder, "node_modules"));
      const { code, stdout, stderr } = await new Deno.Command(program!, {
        args: [join(folder, "loss.mjs")],
        env: { VK_DRIVER_FILES: driver, VK_ICD_FILENAMES: driver },
      }).output();
      const text = new TextDecoder();
      assert.equal(code, 0, text.decode(stderr) + text.decode(stdout));
      assert.match(text.decode(stdout), /^loss \d\.\d+, in float64 \d\.\d+\n$/);
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  });
}

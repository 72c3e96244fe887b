// deno-lint-ignore-file no-console -- a script prints
/**
 * Runs every test on this machine's device and, where `scripts/setup.sh
 * --swiftshader` has put it, the device tests once more on SwiftShader, which
 * has other limits. Where `--dawn` has put that too, kernels and the oracle's cases run a
 * third time, by Dawn on SwiftShader: a kernel that one compiler alone accepts is a bug. The
 * page is tried in a browser where there is one. Closes with `N passed, N failed`.
 *
 *     deno task test [deno test flags and files]
 *
 * @module
 */

/** Where tests and doc examples are. Scripts are left out: to load one is to run it. */
const ROOMS = [
  "planner",
  "objectives",
  "kernels",
  "fixtures",
  "cli",
  "examples",
  "site",
  "scripts/peers",
  "mod.ts",
];

/** What runs by a second implementation of WebGPU: where text is compiled, rather than planned. */
const DAWN_ROOMS = ["kernels/wgsl", "kernels/run"];
const DAWN_TESTS = [
  "fixtures/verify/oracle_device_test.ts",
  "fixtures/verify/verify_ranks_device_test.ts",
];

interface Counts {
  readonly passed: number;
  readonly failed: number;
}

/** Runs `deno test` with some arguments and counts what it reports. */
async function runTests(args: string[], env: Record<string, string>): Promise<Counts> {
  const junit = await Deno.makeTempFile({ suffix: ".junit.xml" });
  // Nobody's tuned rates may decide what tests see, nor this device's own.
  const untuned = await Deno.makeTempDir();
  const permissions = args.includes("--allow-all")
    ? []
    : ["read", "write", "env", "sys", "run", "ffi"].map((name) => `--allow-${name}`);
  const { code } = await new Deno.Command("deno", {
    args: [
      "test",
      "--quiet",
      ...permissions,
      "--sanitize-ops",
      "--sanitize-resources",
      `--junit-path=${junit}`,
      ...args,
    ],
    env: {
      XDG_RUNTIME_DIR: Deno.env.get("XDG_RUNTIME_DIR") ?? "/tmp",
      LCE_CACHE: untuned,
      LCE_CALIBRATE: "0",
      ...env,
    },
    stdin: "null",
    stdout: "inherit",
    stderr: "inherit",
  }).output();
  const report = await Deno.readTextFile(junit);
  await Deno.remove(junit);
  await Deno.remove(untuned, { recursive: true });
  const total = (name: string) =>
    Number(new RegExp(`<testsuites[^>]* ${name}="(\\d+)"`).exec(report)?.[1] ?? 0);
  const failures = total("failures") + total("errors");
  const skipped = report.match(/<skipped\b/g)?.length ?? 0;
  const passed = total("tests") - failures - skipped;
  // Software drivers have crashed while the process ended, after every test had passed and been
  // reported: that is said, but no test's fault. A run that broke off earlier is a failure. Which
  // driver it is nobody knows: 38 ends of runs of one to three device tests, on lavapipe, SwiftShader
  // and Dawn, 25 of them with glibc's checks (MALLOC_CHECK_=3), had none ("corrupted size vs.
  // prev_size in fastbins" is what two others ended with).
  const reported = report.trimEnd().endsWith("</testsuites>") && passed + skipped > 0;
  if (code >= CRASHED && failures === 0 && reported) {
    console.log(`(the process crashed with ${code} while ending, after its last test)`);
    return { passed, failed: 0 };
  }
  return { passed, failed: code !== 0 && failures === 0 ? 1 : failures };
}

/** Returns every device test of a folder, however deep. */
function deviceTests(folder: string): string[] {
  return [...Deno.readDirSync(folder)].flatMap(({ name, isDirectory }) => {
    const path = `${folder}/${name}`;
    return isDirectory ? deviceTests(path) : name.endsWith("_device_test.ts") ? [path] : [];
  });
}

/**
 * The tests that need a browser, and every permission: no folder's run finds them by their
 * names. They leave themselves out where there is no browser.
 */
const BROWSER = ["site/testing_page.ts", "examples/runtimes/testing_script_tag.ts"];

/** Exit codes from here on mean that a signal ended the process. */
const CRASHED = 128;

const cache = Deno.env.get("XDG_CACHE_HOME") ?? `${Deno.env.get("HOME")}/.cache`;
const driver = `${cache}/lce/swiftshader/vk_swiftshader_icd.json`;
const runs = [
  await runTests(
    Deno.args.length > 0 ? [...Deno.args] : ["--doc", ...ROOMS],
    {},
  ),
];
if (Deno.args.length === 0) {
  console.log("\nThe page and the package, in a browser:");
  // What drives it looks into /proc, which nothing less allows.
  runs.push(await runTests(["--allow-all", ...BROWSER], {}));
}
if (Deno.args.length === 0 && await Deno.stat(driver).catch(() => undefined)) {
  console.log("\nThe device tests again, on SwiftShader:");
  const files = ROOMS.filter((room) => !room.endsWith(".ts")).flatMap(deviceTests);
  // It compiles slowly: tests that make many kernels of their own leave themselves out.
  const swiftshader = { VK_DRIVER_FILES: driver, VK_ICD_FILENAMES: driver, LCE_SLOW_DEVICE: "1" };
  runs.push(await runTests(files, swiftshader));
  if (await Deno.stat(`${cache}/lce/dawn`).catch(() => undefined)) {
    console.log("\nKernels, ranks and the oracle's cases once more, by Dawn on SwiftShader:");
    // Together they compile so slowly that the cases take their strategies in turns.
    const dawn = { ...swiftshader, LCE_WEBGPU: "dawn", LCE_SLOW_COMPILER: "1" };
    runs.push(await runTests(DAWN_ROOMS.flatMap(deviceTests).concat(DAWN_TESTS), dawn));
  }
}
const sum = (key: keyof Counts) => runs.reduce((total, counts) => total + counts[key], 0);
console.log(`${sum("passed")} passed, ${sum("failed")} failed`);
Deno.exit(sum("failed") > 0 ? 1 : 0);

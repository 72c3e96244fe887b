/**
 * The npm package, installed from its tarball into an empty folder without a network: its
 * README's program runs under Node and Bun, a bundler takes it, and its types hold.
 *
 * @module
 */
import assert from "node:assert/strict";
import { join } from "node:path";
import { brotliCompressSync } from "node:zlib";
import ts from "typescript";
import { examples, exists, find, install, ROOT, run } from "./testing_install.ts";
import { userCache } from "../../cli/files/cache.ts";

const packages = join(userCache(), "dawn", "node_modules");
const driver = join(userCache(), "swiftshader", "vk_swiftshader_icd.json");

const npm = find("npm");
let installed: Promise<string> | undefined;
/** Installs once for all tests. */
const app = () => installed ??= install();

Deno.test(
  "the tarball holds one module, its types and its map, and names no folder of this machine",
  {
    ignore: npm === undefined,
  },
  async () => {
    const folder = join(await app(), "node_modules", "@lce", "lce");
    const names = [...Deno.readDirSync(folder)].map(({ name }) => name).toSorted();
    assert.deepEqual(names, [
      "LICENSE",
      "README.md",
      "lce.d.ts",
      "lce.js",
      "lce.js.map",
      "package.json",
    ]);
    for (const name of names) {
      const text = await Deno.readTextFile(join(folder, name));
      assert(!text.includes(ROOT) && !text.includes(userCache()), name);
      assert(!/\bDeno\./.test(text) || name === "lce.js.map" || name === "lce.d.ts", name);
    }
    const { sources } = JSON.parse(await Deno.readTextFile(join(folder, "lce.js.map")));
    assert(sources.includes("kernels/run/linear_cross_entropy.ts"));
    assert(sources.every((source: string) => !source.startsWith("/") && !source.includes("..")));
  },
);

/** Bytes of the installed package: its code, as it is and by brotli, its types, its source map and all of its files. */
const AT_MOST = {
  "lce.js": 268_000,
  brotli: 82_000,
  "lce.d.ts": 95_000,
  "lce.js.map": 75_000,
  unpacked: 438_000,
  packed: 140_000,
};

Deno.test(
  "the package is no larger than it is said to be",
  { ignore: npm === undefined },
  async () => {
    const folder = join(await app(), "node_modules", "@lce", "lce");
    const beside = join(await app(), "..");
    const [tarball] = [...Deno.readDirSync(beside)].filter(({ name }) => name.endsWith(".tgz"));
    const { size } = await Deno.stat(join(beside, tarball!.name));
    const files = [...Deno.readDirSync(folder)].map(({ name }) => name);
    const bytes = Object.fromEntries(
      files.map((name) => [name, Deno.statSync(join(folder, name)).size]),
    );
    const unpacked = Object.values(bytes).reduce((sum, of) => sum + of, 0);
    const brotli = brotliCompressSync(await Deno.readFile(join(folder, "lce.js"))).length;
    for (const [what, most] of Object.entries(AT_MOST)) {
      const is: number | undefined = { ...bytes, brotli, unpacked, packed: size }[what];
      assert(is !== undefined && is <= most, `${what}: ${is} of at most ${most} bytes`);
    }
  },
);

Deno.test(
  "the source map leads an error's stack to its file and line",
  { ignore: npm === undefined || find("node") === undefined },
  async () => {
    const folder = await app();
    const program = `import { parseProblem, plan, SPECIFICATION_DEFAULTS } from "@lce/lce";
try {
  plan(parseProblem({ hidden: 8, vocab: 100 }), SPECIFICATION_DEFAULTS, { budget: 1 });
} catch (error) {
  console.log(error.stack);
}
`;
    await Deno.writeTextFile(join(folder, "fails.js"), program);
    const stack = await run(find("node")!, ["--enable-source-maps", "fails.js"], folder);
    const [, path, line] = /\/(planner\/plan\.ts):(\d+)/.exec(stack)!;
    const source = (await Deno.readTextFile(join(ROOT, path!))).split("\n");
    assert.match(source[Number(line) - 1]!, /new DoesNotFitError/, stack);
  },
);

/** What the oldest runtimes that the package is for lack: Node 20, and browsers of 2023. */
const TOO_NEW = /\b(Map|Object)\.groupBy\b|\bPromise\.(withResolvers|try)\b|\bArray\.fromAsync\b/;

Deno.test(
  "the module calls nothing that Node 20 lacks",
  { ignore: npm === undefined },
  async () => {
    const code = await Deno.readTextFile(
      join(await app(), "node_modules", "@lce", "lce", "lce.js"),
    );
    assert.equal(TOO_NEW.exec(code)?.[0], undefined);
  },
);

for (const runtime of ["node", "bun"]) {
  const program = find(runtime);
  const missing = program === undefined
    ? `no ${runtime} here`
    : npm === undefined
    ? "no npm here"
    : !exists(join(packages, "webgpu", "index.js"))
    ? "no Dawn here: scripts/setup.sh --dawn"
    : !exists(driver)
    ? "no device for Dawn here: scripts/setup.sh --swiftshader"
    : undefined;
  Deno.test(
    `the installed package gives the right loss under ${runtime}${missing ? ` (${missing})` : ""}`,
    {
      ignore: missing !== undefined,
    },
    async () => {
      const folder = await app();
      const [text] = await examples("js");
      await Deno.writeTextFile(join(folder, "loss.js"), text!);
      const link = join(folder, "node_modules", "webgpu");
      if (!exists(join(link, "index.js"))) await Deno.symlink(join(packages, "webgpu"), link);
      const said = await run(program!, ["loss.js"], folder, {
        VK_DRIVER_FILES: driver,
        VK_ICD_FILENAMES: driver,
      });
      assert.match(said, /^loss \d\.\d+, by hand \d\.\d+\n$/);
    },
  );
}

Deno.test("a bundler takes the installed package, and leaves what a program does not use", {
  ignore: npm === undefined,
}, async () => {
  const folder = await app();
  const entry = join(folder, "program.js");
  await Deno.writeTextFile(entry, 'import { DTYPES } from "@lce/lce";\nconsole.log(DTYPES);\n');
  // Its own package.json says where packages are.
  const flags = ["--quiet", "--node-modules-dir=manual", "--platform", "browser", "--minify"];
  await run(Deno.execPath(), ["bundle", ...flags, "--output", "out.js", entry], folder);
  const bundled = await Deno.readTextFile(join(folder, "out.js"));
  assert.match(bundled, /bf16/);
  const whole = await Deno.stat(join(folder, "node_modules", "@lce", "lce", "lce.js"));
  assert(bundled.length < whole.size / 2, `${bundled.length} of ${whole.size} bytes`);
});

Deno.test("types of the installed package hold, and refuse what does not", {
  ignore: npm === undefined,
}, async () => {
  const folder = await app();
  const faults = async (lines: string) => {
    const entry = join(folder, "typed.ts");
    await Deno.writeTextFile(entry, lines);
    const program = ts.createProgram([entry], {
      noEmit: true,
      strict: true,
      target: ts.ScriptTarget.ESNext,
      module: ts.ModuleKind.NodeNext,
      moduleResolution: ts.ModuleResolutionKind.NodeNext,
      lib: ["lib.esnext.d.ts", "lib.dom.d.ts"],
      types: [],
    });
    return ts.getPreEmitDiagnostics(program).map(({ messageText }) =>
      ts.flattenDiagnosticMessageText(messageText, "\n")
    );
  };
  const use = (problem: string) =>
    `import { LinearCrossEntropy, parseProblem, plan, SPECIFICATION_DEFAULTS } from "@lce/lce";
const planned = plan(parseProblem(${problem}), SPECIFICATION_DEFAULTS);
export const bytes: number = planned.memory.extraPeakBytes;
export const head = (device: GPUDevice): Promise<LinearCrossEntropy> =>
  LinearCrossEntropy.create(device, planned);
`;
  assert.deepEqual(await faults(use("{ hidden: 8, vocab: 100 }")), []);
  assert.match((await faults(use('{ hidden: 8, vocab: 100, dtype: "f8" }'))).join(), /"f8"/);
});

// The last to run takes the folder with it.
Deno.test("what was installed is removed", async () => {
  if (installed) await Deno.remove(join(await installed, ".."), { recursive: true });
});

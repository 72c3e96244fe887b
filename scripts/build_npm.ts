// deno-lint-ignore-file no-console -- a script prints
/**
 * Builds the npm package: mod.ts as one minified module with its types and source map, which
 * needs neither Deno nor any other package. `npm pack` makes a tarball of it.
 *
 * The map leads from a place in the module to file and line of the repository, which is what an
 * error's stack is read for; types are documented but for their examples, which the API's pages
 * have. Columns, names, sources and examples would take five times as much as all the rest.
 *
 *     deno task npm [folder]     # dist/npm, and dist/lce-lce-VERSION.tgz
 *
 * @module
 */
import process from "node:process";
import { decode, encode, type SourceMapSegment } from "@jridgewell/sourcemap-codec";
import { rollup } from "rollup";
import { dts } from "rollup-plugin-dts";
import ts from "typescript";
import packageFile from "../deno.json" with { type: "json" };

const root = new URL("..", import.meta.url);
const [folder = new URL("dist/npm", root).pathname] = Deno.args;
const target = new URL(`file://${folder}/`);

async function run(program: string, args: string[], cwd: string): Promise<string> {
  const { success, stdout, stderr } = await new Deno.Command(program, { args, cwd }).output();
  if (success) return new TextDecoder().decode(stdout);
  console.error(new TextDecoder().decode(stderr));
  process.exit(1);
}

/** What of a source map is read. */
interface SourceMap {
  readonly sources: readonly string[];
  readonly mappings: string;
}

/** Returns where lines of sources begin in a line of the module, of all the places that are known. */
function lineStarts(segments: readonly SourceMapSegment[]): SourceMapSegment[] {
  const starts: SourceMapSegment[] = [];
  for (const [column, source, line] of segments) {
    const last = starts.at(-1);
    if (source === undefined || (last?.[1] === source && last[2] === line)) continue;
    starts.push([column, source, line!, 0]);
  }
  return starts;
}

/** Writes the code and its source map, which names modules as they are called here, not where. */
async function writeCode(): Promise<void> {
  const output = new URL("lce.js", target).pathname;
  const flags = ["--platform", "browser", "--minify", "--sourcemap", "linked"];
  await run("deno", ["bundle", "--quiet", ...flags, "--output", output, "mod.ts"], root.pathname);
  const map: SourceMap = JSON.parse(await Deno.readTextFile(`${output}.map`));
  const sources = map.sources.map((source) => {
    const path = new URL(source, `file://${output}`).pathname;
    return path.startsWith(root.pathname)
      ? path.slice(root.pathname.length)
      : path.replace(/^.*\/npm\/[^/]+\//, "npm/");
  });
  const mappings = encode(decode(map.mappings).map(lineStarts));
  const lines = { version: 3, sources, names: [], mappings };
  await Deno.writeTextFile(`${output}.map`, JSON.stringify(lines));
}

/** Returns declarations without what their comments say of whole modules, and without examples. */
function forReference(declarations: string): string {
  return declarations
    .replaceAll(/\/\*\*(?:(?!\*\/)[\s\S])*?@module\s+\*\/\n/g, "")
    .replaceAll(/(?:\n *\*)*\n *\* @example\b[\s\S]*?(?=\n *\* @|\n *\*\/)/g, "");
}

/** Writes the declarations of all that mod.ts exports, in one file that imports nothing. */
async function writeTypes(): Promise<void> {
  const emitted = await Deno.makeTempDir();
  try {
    ts.createProgram([new URL("mod.ts", root).pathname], {
      // They are checked by deno task check.
      noCheck: true,
      declaration: true,
      emitDeclarationOnly: true,
      outDir: emitted,
      rootDir: root.pathname,
      target: ts.ScriptTarget.ESNext,
      module: ts.ModuleKind.ESNext,
      moduleResolution: ts.ModuleResolutionKind.Bundler,
      allowImportingTsExtensions: true,
      rewriteRelativeImportExtensions: true,
      strict: true,
      lib: ["lib.esnext.d.ts", "lib.dom.d.ts"],
      types: [],
    }).emit();
    const plugins = [dts({ compilerOptions: { noCheck: true } })];
    // What the schemas are made of is no part of the declarations that remain.
    const bundle = await rollup({ input: `${emitted}/mod.d.ts`, plugins, external: /^zod/ });
    const { output: [{ code, imports }] } = await bundle.generate({ format: "es" });
    if (imports.length > 0) {
      console.error(`The declarations import ${imports.join(", ")}, which users need not have`);
      process.exit(1);
    }
    await Deno.writeTextFile(new URL("lce.d.ts", target), forReference(code));
  } finally {
    await Deno.remove(emitted, { recursive: true });
  }
}

const { name, version, license } = packageFile;
await Deno.mkdir(target, { recursive: true });
await Promise.all([writeCode(), writeTypes()]);
await Deno.copyFile(new URL("scripts/npm/README.md", root), new URL("README.md", target));
await Deno.copyFile(new URL("LICENSE", root), new URL("LICENSE", target));
const manifest = {
  name,
  version,
  description: "Linear cross-entropy without logits, on any WebGPU device",
  license,
  type: "module",
  exports: { ".": { types: "./lce.d.ts", default: "./lce.js" } },
  types: "./lce.d.ts",
  sideEffects: false,
  files: ["lce.js", "lce.js.map", "lce.d.ts"],
  keywords: ["webgpu", "cross-entropy", "language-model", "training"],
};
await Deno.writeTextFile(
  new URL("package.json", target),
  `${JSON.stringify(manifest, null, 2)}\n`,
);
const [packed] = JSON.parse(
  await run("npm", ["pack", "--json", "--pack-destination", ".."], folder),
);
const size = (path: string) =>
  packed.files.find((file: { path: string; size: number }) => file.path === path).size;
const kilobytes = (bytes: number) => `${(bytes / 1000).toFixed(0)} KB`;
console.log(
  `${new URL(`../${packed.filename}`, target).pathname}: code ${kilobytes(size("lce.js"))}, types ${
    kilobytes(size("lce.d.ts"))
  }, source map ${kilobytes(size("lce.js.map"))}; all of it ${
    kilobytes(packed.unpackedSize)
  } unpacked, ${kilobytes(packed.size)} packed`,
);

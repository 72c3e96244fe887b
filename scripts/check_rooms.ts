// deno-lint-ignore-file no-console -- a script prints
/**
 * Checks the design's rules on imports: one way between rooms, and between the
 * folders of a room where it matters, for what ships and for tests; no cycles; and
 * nothing but standard web APIs in what a browser can load.
 *
 * @module
 */

/**
 * What a folder may import from, besides itself and what is below it; the deepest
 * folder that is listed decides. A folder's name stands for all of it, with `/*` for
 * the files directly in it.
 */
const ALLOWED: Readonly<Record<string, readonly string[]>> = {
  planner: [],
  // Losses on numbers per token know nothing of who computed those.
  objectives: [],
  // Bytes of tensors know nothing of who moves them.
  host: [],
  // What a schedule is knows what heads are, but neither who lays one out nor who chooses.
  "planner/schedule": ["planner/*", "planner/heads"],
  "planner/strategies": ["planner/*", "planner/schedule"],
  "planner/models": ["planner/*"],
  // Text generators know no runtime.
  "kernels/wgsl": ["planner"],
  "kernels/run": ["kernels/wgsl", "host", "planner"],
  "kernels/measure": ["kernels/run", "kernels/wgsl", "planner"],
  "kernels/ranks": ["kernels/run", "kernels/measure", "host", "planner"],
  "kernels/codebook": ["kernels/run", "planner"],
  "kernels/ranks/mpi": ["kernels/ranks/*", "planner"],
  "kernels/testing": ["kernels", "planner"],
  fixtures: ["host", "planner"],
  "fixtures/files": ["fixtures", "host", "planner"],
  // What results are compared with knows nothing of who computed them.
  "fixtures/reference": ["fixtures/*", "host", "planner/*", "planner/schedule"],
  // A verification runs what it verifies.
  "fixtures/verify": ["fixtures", "host", "kernels", "planner"],
  // The page shows what the command line's reports and pictures show.
  site: [
    "cli/chart",
    "cli/html",
    "cli/report",
    "fixtures",
    "host",
    "kernels",
    "planner",
    "deno.json",
  ],
  // Its version is the package's.
  cli: ["fixtures", "host", "kernels", "planner", "deno.json"],
  // Tests run on the device that the command line is told to use.
  testing: ["cli/request", "fixtures", "kernels", "planner"],
};

/** What tests may not import either, unless their room may: they have their device from `testing`. */
const NOT_FOR_TESTS = "cli";

/** What must not know which runtime it is in, and what of it may. */
const PORTABLE = [
  "planner",
  "objectives",
  "host",
  "kernels",
  "fixtures",
  "site",
  "cli/chart",
  "cli/html",
  "cli/report",
];
// A library of C is reached through Deno alone.
const BOUND = ["fixtures/files", "kernels/ranks/mpi"];

/**
 * Returns whether a module is a tool of tests: it may name a runtime, as tests do, for nothing that
 * ships may import it.
 */
function isTool(path: string): boolean {
  return /(^|\/)testing(_\w+)?(\.ts|\/)/.test(path);
}

/** Returns whether a module is a test, or a tool of those beside it. */
function isTest(path: string): boolean {
  return /(_test|(^|\/)testing(_\w+)?)\.ts$/.test(path);
}

/** The one module that asks for an implementation of WebGPU and has its constants. */
const PROVIDER = "kernels/run/provider.ts";

interface Module {
  readonly specifier: string;
  readonly dependencies?: readonly {
    readonly code?: { readonly specifier: string };
    readonly type?: { readonly specifier: string };
  }[];
}

const root = new URL("..", import.meta.url).href;

/** Returns every module of a folder, however deep, by path from the root. */
function modulesIn(folder: string): string[] {
  return [...Deno.readDirSync(new URL(folder, root))].flatMap(({ name, isDirectory }) => {
    const path = `${folder}/${name}`;
    return isDirectory ? modulesIn(path) : name.endsWith(".ts") ? [path] : [];
  });
}

/** Returns the import graph of everything that the entry points reach, by path from the root. */
async function importGraph(entries: readonly string[]): Promise<Map<string, string[]>> {
  const all = entries.map((entry) => `import "${root}${entry}";`).join("\n");
  const { stdout } = await new Deno.Command("deno", {
    args: ["info", "--json", `data:application/typescript,${encodeURIComponent(all)}`],
  }).output();
  const { modules } = JSON.parse(new TextDecoder().decode(stdout)) as { modules: Module[] };
  return new Map(modules.flatMap(({ specifier, dependencies = [] }) => {
    if (!specifier.startsWith(root)) return [];
    const targets = dependencies
      .map(({ code, type }) => code?.specifier ?? type?.specifier ?? "")
      .filter((target) => target.startsWith(root))
      .map((target) => target.slice(root.length));
    return [[specifier.slice(root.length), targets]];
  }));
}

/**
 * Returns whether a path lies in a folder, or directly in it where the folder is given with `/*`.
 */
function isIn(path: string, folder: string): boolean {
  if (!folder.endsWith("/*")) return path === folder || path.startsWith(`${folder}/`);
  return path.slice(0, path.lastIndexOf("/")) === folder.slice(0, -2);
}

/** Returns the deepest folder with a rule that a path lies in. */
function ruleOf(path: string): string | undefined {
  return Object.keys(ALLOWED)
    .filter((folder) => isIn(path, folder))
    .sort((a, b) => b.length - a.length)[0];
}

function wrongWays(graph: Map<string, string[]>): string[] {
  return [...graph].flatMap(([path, targets]) => {
    const folder = ruleOf(path);
    if (!folder) return [];
    const allowed = [folder, ...ALLOWED[folder]!];
    return targets
      .filter((target) => !(isTest(path) && !isIn(target, NOT_FOR_TESTS)))
      .filter((target) => !allowed.some((each) => isIn(target, each)))
      .map((target) => `${path} imports ${target}, which ${folder} may not use`);
  });
}

function cycles(graph: Map<string, string[]>): string[] {
  const done = new Set<string>();
  const found: string[] = [];
  const visit = (path: string, trail: string[]) => {
    if (trail.includes(path)) {
      found.push(`circular import: ${[...trail.slice(trail.indexOf(path)), path].join(" -> ")}`);
    } else if (!done.has(path)) {
      for (const target of graph.get(path) ?? []) visit(target, [...trail, path]);
      done.add(path);
    }
  };
  for (const path of graph.keys()) visit(path, []);
  return found;
}

/** Returns portable modules that name a runtime; so do tests, which only Deno runs. */
async function runtimeNames(graph: Map<string, string[]>): Promise<string[]> {
  const paths = [...graph.keys()].filter((path) =>
    PORTABLE.some((folder) => isIn(path, folder)) && !BOUND.some((folder) => isIn(path, folder))
  );
  const sources = await Promise.all(paths.map((path) => Deno.readTextFile(new URL(path, root))));
  const providers = /\bnavigator\.gpu\b|(?<!`)\bGPU(BufferUsage|MapMode|ShaderStage)\b/;
  const code = (source: string) => source.replaceAll(/^\s*(\*|\/\/|\/\*).*$/gm, "");
  return paths.flatMap((path, index) => {
    const text = code(sources[index]!);
    return [
      ...(/\bDeno\.|["']node:/.test(text)
        ? [`${path} names Deno or node:, but browsers load it too`]
        : []),
      ...(providers.test(text) && path !== PROVIDER
        ? [`${path} names a global of WebGPU that not every runtime has: ${PROVIDER} has it`]
        : []),
    ];
  });
}

/** Modules of the library that call what Node 20 lacks. */
async function tooNew(graph: Map<string, string[]>): Promise<string[]> {
  const paths = [...graph.keys()];
  const sources = await Promise.all(paths.map((path) => Deno.readTextFile(new URL(path, root))));
  return paths.filter((_, index) => /^[^*]*\bMap\.groupBy\(/m.test(sources[index]!))
    .map((path) => `${path} calls Map.groupBy, which Node 20 lacks: planner/grouped.ts does it`);
}

/** Modules that ship and import tools of tests. */
function toolsShipped(graph: Map<string, string[]>): string[] {
  return [...graph].flatMap(([path, targets]) =>
    targets.filter(isTool)
      .map((target) => `${path} imports ${target}, a tool of tests, which does not ship`)
  );
}

/** Modules that take zod by name: then a bundle holds its messages in every language. */
async function wholeZods(graph: Map<string, string[]>): Promise<string[]> {
  const paths = [...graph.keys()];
  const sources = await Promise.all(paths.map((path) => Deno.readTextFile(new URL(path, root))));
  return paths.filter((_, index) => /\{[^}]*\} from "zod"/.test(sources[index]!))
    .map((path) => `${path} imports { z }: write import * as z, which takes a third as much`);
}

const entries = ["cli/main.ts", "mod.ts", "site/main.ts"];
const graph = await importGraph(entries);
const tests = [...new Set(Object.keys(ALLOWED).map((folder) => folder.split("/")[0]!))]
  .flatMap(modulesIn).filter((path) => isTest(path) || isTool(path));
const testGraph = await importGraph([...entries, ...tests]);
const faults = [
  ...wrongWays(testGraph),
  ...cycles(testGraph),
  ...await runtimeNames(graph),
  ...await wholeZods(graph),
  ...await tooNew(await importGraph(["mod.ts"])),
  ...toolsShipped(graph),
];
for (const fault of faults) console.error(fault);
if (graph.size === 0) console.error("No modules found");
Deno.exit(faults.length > 0 || graph.size === 0 ? 1 : 0);

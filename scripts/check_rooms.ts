// deno-lint-ignore-file no-console -- a script prints
/**
 * Checks the design's rules on imports: one way between rooms, no cycles, and
 * nothing but standard web APIs in the rooms that a browser can load.
 *
 * @module
 */

/** Rooms that a room may import from, besides itself. */
const ALLOWED: Readonly<Record<string, readonly string[]>> = {
  planner: [],
  kernels: ["planner"],
  fixtures: ["kernels", "planner"],
  // Its version is the package's.
  cli: ["fixtures", "kernels", "planner", "deno.json"],
};

/** Rooms that must not know which runtime they are in. */
const PORTABLE = ["planner", "kernels"];

interface Module {
  readonly specifier: string;
  readonly dependencies?: readonly {
    readonly code?: { readonly specifier: string };
    readonly type?: { readonly specifier: string };
  }[];
}

const root = new URL("..", import.meta.url).href;

/** The import graph of everything that the entry points reach, by path from the root. */
async function importGraph(entries: readonly string[]): Promise<Map<string, string[]>> {
  const graph = new Map<string, string[]>();
  for (const entry of entries) {
    const { stdout } = await new Deno.Command("deno", { args: ["info", "--json", entry] }).output();
    const { modules } = JSON.parse(new TextDecoder().decode(stdout)) as { modules: Module[] };
    for (const { specifier, dependencies = [] } of modules) {
      if (!specifier.startsWith(root)) continue;
      const targets = dependencies
        .map(({ code, type }) => code?.specifier ?? type?.specifier ?? "")
        .filter((target) => target.startsWith(root));
      graph.set(specifier.slice(root.length), targets.map((target) => target.slice(root.length)));
    }
  }
  return graph;
}

function roomOf(path: string): string {
  return path.split("/")[0]!;
}

function wrongWays(graph: Map<string, string[]>): string[] {
  return [...graph].flatMap(([path, targets]) => {
    const allowed = ALLOWED[roomOf(path)];
    if (!allowed) return [];
    return targets
      .filter((target) => ![roomOf(path), ...allowed].includes(roomOf(target)))
      .map((target) => `${path} imports ${target}: ${roomOf(path)} may not use ${roomOf(target)}`);
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

async function runtimeNames(graph: Map<string, string[]>): Promise<string[]> {
  const paths = [...graph.keys()].filter((path) => PORTABLE.includes(roomOf(path)));
  const sources = await Promise.all(paths.map((path) => Deno.readTextFile(new URL(path, root))));
  const code = (source: string) => source.replaceAll(/^\s*(\*|\/\/|\/\*).*$/gm, "");
  return paths.filter((_, index) => /\bDeno\.|["']node:/.test(code(sources[index]!)))
    .map((path) => `${path} names Deno or node:, but browsers load it too`);
}

const graph = await importGraph(["cli/main.ts", "mod.ts"]);
const faults = [...wrongWays(graph), ...cycles(graph), ...await runtimeNames(graph)];
for (const fault of faults) console.error(fault);
if (graph.size === 0) console.error("No modules found");
Deno.exit(faults.length > 0 || graph.size === 0 ? 1 : 0);

// deno-lint-ignore-file no-console -- a script prints
/**
 * Serves `dist/site` on this machine, for looking at it: WebGPU needs https or localhost.
 *
 * @module
 */
import process from "node:process";

const TYPES: Readonly<Record<string, string>> = {
  html: "text/html; charset=utf-8",
  css: "text/css; charset=utf-8",
  js: "text/javascript; charset=utf-8",
  svg: "image/svg+xml",
};

/** Names of files and of folders to them, none of which begins with a dot: nothing leads out. */
const WITHIN = /^(?:[\w@~][\w@~.-]*\/)*[\w@~][\w@~.-]*$/;

/** Answers a request for a file of a folder, or of a folder below it. */
export async function serveFile(folder: URL, request: Request): Promise<Response> {
  const name = decodeURIComponent(new URL(request.url).pathname.slice(1))
    .replace(/^$|(?<=\/)$/, "index.html");
  const type = TYPES[name.split(".").at(-1)!];
  if (!WITHIN.test(name) || !type) return new Response("Not found", { status: 404 });
  try {
    const body = await Deno.readFile(new URL(name, folder));
    return new Response(body, { headers: { "content-type": type } });
  } catch {
    return new Response("Not found", { status: 404 });
  }
}

if (import.meta.main) {
  const folder = new URL("../dist/site/", import.meta.url);
  if (!await Deno.stat(folder).catch(() => undefined)) {
    console.error("There is no dist/site yet: run deno task site");
    process.exit(1);
  }
  const port = Number(Deno.args[0] ?? 8000);
  Deno.serve(
    { port, hostname: "localhost", onListen: () => console.log(`http://localhost:${port}/`) },
    (request) => serveFile(folder, request),
  );
}

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

/** Answers a request for one of the page's files; there are no folders below it. */
export async function serveFile(folder: URL, request: Request): Promise<Response> {
  const name = new URL(request.url).pathname.slice(1) || "index.html";
  const type = TYPES[name.split(".").at(-1)!];
  if (!/^[a-z_]+\.[a-z]+$/.test(name) || !type) return new Response("Not found", { status: 404 });
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

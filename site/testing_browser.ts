/**
 * A browser for tests and screenshots of the page: Debian's Chromium with SwiftShader's
 * adapter, the page served beside it.
 *
 * @module
 */
import { type Browser, chromium } from "playwright-core";
import { serveFile } from "../scripts/serve_site.ts";

/** Where Debian, and most others, have Chromium. */
const CHROMIUM = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"];

/** A software adapter, and nothing of its own accord over the network. */
const FLAGS = [
  "--no-sandbox",
  "--enable-unsafe-webgpu",
  "--use-webgpu-adapter=swiftshader",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
  "--no-first-run",
];

/** Returns where Chromium is; `undefined` where there is none. */
export function findChromium(): string | undefined {
  return CHROMIUM.find((path) => {
    try {
      return Deno.statSync(path).isFile;
    } catch {
      return false;
    }
  });
}

/** Opens a browser, which whoever asked for it closes. */
export function openBrowser(): Promise<Browser> {
  return chromium.launch({ executablePath: findChromium()!, args: FLAGS });
}

/** Builds the page into a folder of its own, serves it, and opens a browser while `use` runs. */
export async function withBrowser(
  use: (browser: Browser, address: string) => Promise<void>,
): Promise<void> {
  const folder = await Deno.makeTempDir();
  const script = new URL("../scripts/build_site.ts", import.meta.url).pathname;
  const built = await new Deno.Command("deno", {
    args: ["run", "--quiet", "--allow-read", "--allow-write", "--allow-run=deno", script, folder],
  }).output();
  if (!built.success) throw new Error(new TextDecoder().decode(built.stderr));
  const server = Deno.serve(
    { port: 0, hostname: "localhost", onListen: () => {} },
    (request) => serveFile(new URL(`file://${folder}/`), request),
  );
  const browser = await openBrowser();
  try {
    await use(browser, `http://localhost:${server.addr.port}/`);
  } finally {
    await browser.close();
    await server.shutdown();
    await Deno.remove(folder, { recursive: true });
  }
}

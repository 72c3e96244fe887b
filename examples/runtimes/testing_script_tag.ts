import assert from "node:assert/strict";
import { join } from "node:path";
import { serveFile } from "../../scripts/serve_site.ts";
import { findChromium, openBrowser } from "../../site/testing_browser.ts";
import { examples, find, install } from "./testing_install.ts";

const missing = findChromium() === undefined
  ? "no Chromium here: scripts/setup.sh --chromium"
  : find("npm") === undefined
  ? "no npm here"
  : undefined;
Deno.test(`a page's script tag loads the installed package${missing ? ` (${missing})` : ""}`, {
  ignore: missing !== undefined,
}, async () => {
  const app = await install();
  const [tag] = await examples("html");
  await Deno.writeTextFile(join(app, "index.html"), tag!);
  const server = Deno.serve(
    { port: 0, hostname: "localhost", onListen: () => {} },
    (request) => serveFile(new URL(`file://${app}/`), request),
  );
  const browser = await openBrowser();
  try {
    const page = await browser.newPage();
    const errors: string[] = [];
    page.on("pageerror", ({ message }) => errors.push(message));
    const said = page.waitForEvent("console", {
      predicate: (message) => message.type() === "log",
      timeout: 30_000,
    });
    await page.goto(`http://localhost:${server.addr.port}/`);
    const profile = await (await said).args()[0]!.jsonValue();
    assert.deepEqual(errors, []);
    // SwiftShader has no less than what the specification asks for.
    assert(profile.limits.maxBufferSize >= 2 ** 28);
  } finally {
    await browser.close();
    await server.shutdown();
    await Deno.remove(join(app, ".."), { recursive: true });
  }
});

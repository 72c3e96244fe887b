// deno-lint-ignore-file no-console -- a script prints
/**
 * Takes a picture of each state of the page, to be looked at by eye.
 *
 *     deno task site:screenshots FOLDER
 *
 * @module
 */
import process from "node:process";
import { findChromium, withBrowser } from "../site/testing_browser.ts";

/** States of the page: a question, and what else is done. */
const STATES = [
  { name: "plan", link: "model=gemma-2-2b&tokens=8192&pass=train&device=h100-deno" },
  { name: "refusal", link: "model=gemma-2-2b&tokens=8192&budget=1MiB" },
  { name: "phone-dark", link: "model=gpt2&tokens=1024", width: 375, dark: true },
  { name: "run", link: "model=gpt2&tokens=1024", run: true },
  { name: "no-webgpu", link: "model=gpt2&tokens=1024", without: true },
];

const [folder] = Deno.args;
if (folder === undefined || findChromium() === undefined) {
  console.error(
    folder === undefined ? "Which folder? deno task site:screenshots FOLDER" : "No Chromium here",
  );
  process.exit(2);
}
await Deno.mkdir(folder, { recursive: true });
await withBrowser(async (browser, address) => {
  for (const { name, link, width = 1280, dark = false, run, without } of STATES) {
    const page = await browser.newPage({
      viewport: { width, height: 900 },
      colorScheme: dark ? "dark" : "light",
    });
    if (without) {
      await page.addInitScript(() =>
        Object.defineProperty(Navigator.prototype, "gpu", { get: () => undefined })
      );
    }
    await page.goto(`${address}#${link}`);
    await page.locator(`#plan[data-ready="#${link}"]`).waitFor();
    if (run) {
      // Small enough for a software device that has other work.
      for (const [size, value] of [["tokens", "64"], ["hidden", "64"], ["vocab", "5003"]]) {
        await page.locator(`#run-${size}`).fill(value!);
      }
      await page.locator("#run-button").click();
      await page.locator("#cards").waitFor({ timeout: 120_000 });
    }
    await page.screenshot({ path: `${folder}/${name}.png`, fullPage: true });
    await page.close();
    console.log(`${folder}/${name}.png`);
  }
  const page = await browser.newPage({ viewport: { width: 1280, height: 900 } });
  await page.goto(`${address}train.html`);
  await page.locator("#status", { hasText: "Ready" }).waitFor();
  await page.screenshot({ path: `${folder}/train.png`, fullPage: true });
  console.log(`${folder}/train.png`);
});

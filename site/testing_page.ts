/// <reference lib="dom" />
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import type { AxeResults } from "axe-core";
import type { Browser, Page } from "playwright-core";
import { NAMED_DEVICES } from "../planner/devices/profiles.ts";
import { makePlan } from "../planner/plan.ts";
import { parseProblem } from "../planner/problem_schema.ts";
import { formatBytes } from "../planner/units.ts";
import { bytesOf } from "../fixtures/elements.ts";
import { writeSafetensors } from "../fixtures/files/safetensors.ts";
import { findChromium, withBrowser } from "./testing_browser.ts";

const AXE = new URL(import.meta.resolve("axe-core/axe.min.js"));

/** A visitor: what the page says, and every address that it asks for. */
class Visit {
  readonly addresses: string[] = [];
  readonly errors: string[] = [];

  private constructor(readonly page: Page) {
    page.on("request", (request) => this.addresses.push(request.url()));
    page.on("pageerror", (error) => this.errors.push(error.message));
  }

  static async to(browser: Browser, address: string, before?: () => void): Promise<Visit> {
    // The page's own policy would forbid the test's checker.
    const context = await browser.newContext({ bypassCSP: true });
    if (before) await context.addInitScript(before);
    const visit = new Visit(await context.newPage());
    await visit.page.goto(address);
    await visit.settled();
    return visit;
  }

  text(selector: string): Promise<string> {
    return this.page.locator(selector).innerText();
  }

  /** Waits until everything about the question that the link holds is there. */
  async settled(): Promise<void> {
    await this.page.waitForFunction(
      () => {
        const { ready } = document.getElementById("plan")!.dataset;
        return !/Looking/.test(document.getElementById("adapter")!.textContent!) &&
          ready === location.hash;
      },
      undefined,
      { timeout: 60000 },
    );
  }

  async close(): Promise<void> {
    assert.deepEqual(this.errors, []);
    await this.page.context().close();
  }
}

const without = findChromium() === undefined ? "no Chromium: scripts/setup.sh --chromium" : "";

Deno.test({
  name: `the page plans, runs, verifies and shares in a browser${without && ` (${without})`}`,
  ignore: without !== "",
  // The browser's pipes and processes are closed by its own library, in its own time.
  sanitizeOps: false,
  sanitizeResources: false,
}, async (test) => {
  await withBrowser(async (browser, address) => {
    await test.step("a plan for a named device is that of the planner", async () => {
      const asked = "model=llama-3.1-8b&tokens=4096&pass=train&device=h100-deno&budget=24GiB";
      const visit = await Visit.to(browser, `${address}#${asked}`);
      const device = NAMED_DEVICES.find(({ name }) => name === "h100-deno")!.profile;
      const problem = parseProblem({
        tokens: 4096,
        hidden: 4096,
        vocab: 128256,
        dtype: "bf16",
        pass: "train",
      });
      const { memory, outline } = makePlan(problem, device, { budget: 24 * 2 ** 30 });
      const told = await visit.text("#answer");
      assert(told.includes(formatBytes(memory.extraPeakBytes)), told);
      assert(told.includes(formatBytes(memory.peakBytes)), told);
      assert(told.includes(outline.strategy), told);
      assert.match(await visit.text("#largest"), /At most [\d,]+ tokens fit within 24\.0 GiB/);
      assert.equal(await visit.page.locator("#curve img").count(), 1);
      await visit.close();
    });

    await test.step("a link holds the whole question, and a changed form changes it", async () => {
      const visit = await Visit.to(browser, address);
      const { page } = visit;
      await page.getByLabel("Model").selectOption("gpt2");
      await page.getByLabel("Pass").first().selectOption("forward");
      await page.getByLabel("Budget").fill("1GiB");
      await page.getByLabel("Budget").press("Enter");
      await page.getByLabel("Budget").blur();
      await visit.settled();
      const link = page.url();
      const plan = await visit.text("#answer");
      const again = await Visit.to(browser, link);
      assert.equal(await again.text("#answer"), plan);
      assert.equal(await again.page.getByLabel("Budget").inputValue(), "1GiB");
      assert.equal(await again.page.getByLabel("Model").inputValue(), "gpt2");
      await again.close();
      await visit.close();
    });

    await test.step("a link that makes no sense is said to, and a budget that is too small", async () => {
      const visit = await Visit.to(browser, `${address}#model=no-such-model&budget=1KiB`);
      assert.match(await visit.text("#faults"), /model=no-such-model: is no model/);
      assert.match(await visit.text("#answer"), /does not fit/);
      await visit.close();
    });

    await test.step("a config.json and a safetensors file say their head's sizes", async () => {
      const visit = await Visit.to(browser, address);
      const { page } = visit;
      await page.getByText("Paste a config.json").click();
      await page.locator("#config").fill(
        JSON.stringify({ model_type: "gpt2", vocab_size: 50257, n_embd: 768 }),
      );
      assert.equal(await page.locator("#hidden").inputValue(), "768");
      const file = await Deno.makeTempFile({ suffix: ".safetensors" });
      await writeSafetensors(file, {
        "lm_head.weight": { dtype: "F16", shape: [37, 20], bytes: new Uint8Array(37 * 40) },
        "model.norm.weight": { dtype: "F32", shape: [2], bytes: bytesOf(Float32Array.of(1, 2)) },
      });
      await page.locator("#file").setInputFiles(file);
      await page.waitForFunction(() =>
        /lm_head/.test(document.getElementById("file-notes")!.textContent!)
      );
      assert.match(await visit.text("#file-notes"), /37 ids x 20, f16, among 1 other/);
      await visit.settled();
      assert.match(await visit.text(".question-line"), /20 hidden x 37 vocab, f16/);
      // Rows of zeros: every token's loss is log 37, which no made-up weight has.
      await page.locator("#run-tokens").fill("9");
      await page.getByRole("button", { name: "Run and verify" }).click();
      await page.waitForFunction(
        () => document.getElementById("progress")!.textContent === "Done.",
        undefined,
        { timeout: 120000 },
      );
      const own = await page.evaluate(async () => {
        const { href } = document.getElementById("card-json") as HTMLAnchorElement;
        return await (await fetch(href)).json();
      });
      assert.equal(own.ok, true);
      assert.equal(own.problem.vocab, 37);
      assert.equal(own.problem.dtype, "f16");
      assert(Math.abs(own.loss - Math.log(37)) < 2e-6 * Math.log(37), `${own.loss}`);
      // Dropped, as well as chosen: the same tensor, of other sizes.
      await page.evaluate((length) => {
        const header = JSON.stringify({
          "lm_head.weight": { dtype: "F32", shape: [5, 4], data_offsets: [0, 80] },
        }).padEnd(length);
        const file = new Uint8Array(8 + length + 80);
        file[0] = length;
        file.set(new TextEncoder().encode(header), 8);
        const dataTransfer = new DataTransfer();
        dataTransfer.items.add(new File([file], "dropped.safetensors"));
        document.getElementById("drop")!.dispatchEvent(
          new DragEvent("drop", { dataTransfer, cancelable: true, bubbles: true }),
        );
      }, 120);
      await page.waitForFunction(() =>
        /5 ids x 4, f32/.test(document.getElementById("file-notes")!.textContent!)
      );
      await visit.settled();
      assert.match(await visit.text(".question-line"), /4 hidden x 5 vocab, f32/);
      const damaged = { name: "damaged.safetensors", mimeType: "", buffer: Buffer.alloc(20, 0xff) };
      await page.locator("#file").setInputFiles(damaged);
      await page.waitForFunction(() =>
        /no safetensors file/.test(document.getElementById("file-notes")!.textContent!)
      );
      assert(await page.locator("#run-own-label").isHidden());
      await Deno.remove(file);
      await visit.close();
    });

    await test.step("a run agrees with float64, with memory to the byte, and gives a card", async () => {
      const visit = await Visit.to(browser, address);
      const { page } = visit;
      await page.locator("#run-tokens").fill("33");
      await page.locator("#run-hidden").fill("20");
      await page.locator("#run-vocab").fill("501");
      await page.getByRole("button", { name: "Run and verify" }).click();
      await page.waitForFunction(
        () => document.getElementById("progress")!.textContent === "Done.",
        undefined,
        { timeout: 120000 },
      );
      assert.match(await visit.text("#result"), /Verified on this device/);
      const read = (id: string) =>
        page.evaluate(async (id) => {
          const { href } = document.getElementById(id) as HTMLAnchorElement;
          return [...new Uint8Array(await (await fetch(href)).arrayBuffer())];
        }, id);
      const card = JSON.parse(
        new TextDecoder().decode(Uint8Array.from(await read("card-json"))),
      );
      assert.equal(card.ok, true);
      assert.notEqual(card.strategy, "two-stage");
      assert.equal(card.memory.measuredPeakBytes, card.memory.predictedPeakBytes);
      assert.equal(card.agreement.coverage.rows, 33);
      assert(card.ms.lce > 0 && card.ms.twoStage > 0);
      assert.deepEqual(
        (await read("card-png")).slice(1, 4),
        [..."PNG"].map((c) => c.charCodeAt(0)),
      );
      assert.deepEqual(
        visit.addresses.filter((asked) =>
          !asked.startsWith(address) && !/^(data|blob):/.test(asked)
        ),
        [],
        "nothing is asked of another host",
      );
      await visit.close();
    });

    await test.step("it leads to the library's functions, which ask no other host either", async () => {
      const visit = await Visit.to(browser, address);
      const { page } = visit;
      await page.locator('footer a[href="api/all_symbols.html"]').click();
      await page.locator('a[href$="/LinearCrossEntropy.html"]').first().click();
      await page.waitForURL(/LinearCrossEntropy/);
      assert.match(await page.content(), /lossAndGradients/);
      const foreign = visit.addresses.filter((each) => !each.startsWith(address));
      assert.deepEqual(foreign, []);
      await visit.close();
    });

    await test.step("without WebGPU it plans, and says what to do", async () => {
      const visit = await Visit.to(browser, address, () => {
        Object.defineProperty(Navigator.prototype, "gpu", { get: () => undefined });
      });
      assert.match(await visit.text("#adapter"), /browser with WebGPU: Chrome/);
      assert.match(await visit.text("#answer"), /limits that every WebGPU device has/);
      assert(await visit.page.getByRole("button", { name: "Run and verify" }).isDisabled());
      await visit.close();
    });

    await test.step("the transformer's page learns, and says which batch fits, to the byte", async () => {
      const page = await (await browser.newContext({ bypassCSP: true })).newPage();
      const errors: string[] = [];
      const addresses: string[] = [];
      page.on("pageerror", (error) => errors.push(error.message));
      page.on("request", (request) => addresses.push(request.url()));
      await page.goto(`${address}train.html`);
      await page.getByRole("button", { name: "Train" }).isEnabled();
      const said = async (pattern: RegExp, timeout: number) => {
        const status = page.locator("#status", { hasText: pattern });
        await status.waitFor({ timeout });
        return await status.innerText();
      };
      await said(/Ready/, 20_000);
      await page.getByLabel("Steps").fill("none");
      await page.getByRole("button", { name: "Train" }).click();
      await said(/Steps is "none": give a whole number from 1/, 5000);
      const small = { Steps: 24, Vocabulary: 300, Memory: 1, Hidden: 16, Sequences: 4 };
      for (const [label, value] of Object.entries(small)) {
        await page.getByLabel(label).fill(String(value));
      }
      await page.getByRole("button", { name: "Train" }).click();
      const told = await said(/Step 24 of 24/, 120_000);
      const loss = Number(/loss ([\d.]+)/.exec(told)![1]);
      assert(loss < Math.log(300) - 0.05, told);
      const rows = page.locator("#batches", { hasText: "with logits" });
      await rows.waitFor({ timeout: 120_000 });
      const [ours, logits] = (await rows.innerText()).split("\n").slice(1).map((row) =>
        row.match(/[\d,]+/g)!.map((each) => Number(each.replaceAll(",", "")))
      );
      for (const [tokens, predicted, measured] of [ours!, logits!]) {
        assert(tokens! > 0);
        assert.equal(measured, predicted);
      }
      assert(ours![0]! > logits![0]!);
      assert.match((await page.locator("#curve").getAttribute("aria-label"))!, /in 24 steps/);
      await page.addScriptTag({ content: await Deno.readTextFile(AXE) });
      const { violations } = await page.evaluate(() =>
        (globalThis as unknown as { axe: { run(): Promise<AxeResults> } }).axe.run()
      );
      assert.deepEqual(violations.map(({ id, nodes }) => [id, nodes.map(({ html }) => html)]), []);
      assert.deepEqual(errors, []);
      assert(addresses.every((asked) => asked.startsWith(address)), `${addresses}`);
      await page.context().close();
    });

    await test.step("it is legible in light and dark, on a phone, by keyboard and screen reader", async () => {
      const visit = await Visit.to(browser, `${address}#model=gpt2&tokens=1024&device=h100-deno`);
      const { page } = visit;
      await page.addScriptTag({ content: await Deno.readTextFile(AXE) });
      for (const colorScheme of ["light", "dark"] as const) {
        await page.emulateMedia({ colorScheme });
        for (const width of [360, 1280]) {
          await page.setViewportSize({ width, height: 800 });
          const beyond = await page.evaluate(() =>
            document.documentElement.scrollWidth - innerWidth
          );
          assert(beyond <= 0, `${beyond} pixels beyond a width of ${width}`);
          const { violations } = await page.evaluate(() =>
            (globalThis as unknown as { axe: { run(): Promise<AxeResults> } }).axe.run()
          );
          assert.deepEqual(
            violations.map(({ id, nodes }) => [id, nodes.map(({ html }) => html)]),
            [],
            `${colorScheme}, ${width} pixels wide`,
          );
        }
      }
      await page.keyboard.press("Tab");
      assert.equal(
        await page.evaluate(() => document.activeElement!.textContent),
        "Skip to the plan",
      );
      await visit.close();
    });
  });
});

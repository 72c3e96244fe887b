import assert from "node:assert/strict";
import { withFolder } from "../fixtures/testing.ts";
import { findDevice } from "../planner/devices/profiles.ts";
import { makePlan } from "../planner/plan.ts";
import { parseProblem } from "../planner/problem_schema.ts";
import { formatBytes } from "../planner/units.ts";
import { EXIT } from "./exit.ts";
import { lce, row } from "./testing.ts";

const SIZES = ["--vocab", "5000", "--hidden", "64", "--tokens", "900", "--device", "h100-deno"];

Deno.test("lce report writes one page with the plan's figures, which asks for nothing else", () =>
  withFolder(async (folder) => {
    const path = `${folder}/report.html`;
    const bench = `${folder}/bench.json`;
    await Deno.writeTextFile(
      bench,
      JSON.stringify([row({ device: "<b>a & b</b>", ms: 12.5, slowest: 13 })]),
    );
    const { code, err } = await lce("report", ...SIZES, "--bench", bench, "-o", path);
    assert.equal(code, EXIT.ok, err);
    const page = await Deno.readTextFile(path);
    const problem = parseProblem({ vocab: 5000, hidden: 64, tokens: 900 });
    const { memory, outline } = makePlan(problem, findDevice("h100-deno")!.profile, {
      hostIo: false,
      weights: "resident",
    });
    for (
      const part of [
        formatBytes(memory.peakBytes),
        formatBytes(memory.extraPeakBytes),
        outline.strategy,
        "&lt;b&gt;a &amp; b&lt;/b&gt;",
        "12.5 ms",
        "lce report --tokens 900 --hidden 64 --vocab 5000",
      ]
    ) assert(page.includes(part), part);
    const asked = [...page.matchAll(/\b(src|href)="([^"]*)"/g)]
      .filter(([, name, address]) => !(name === "href" && address!.startsWith("https://")))
      .filter(([, , address]) => !address!.startsWith("data:"));
    assert.deepEqual(asked, []);
    assert(!page.includes("<script"));
  }));

Deno.test("a report replaces nothing untold, is a page by its name, and is whole or not there", () =>
  withFolder(async (folder) => {
    const path = `${folder}/report.html`;
    await Deno.writeTextFile(path, "mine");
    const kept = await lce("report", ...SIZES, "-o", path);
    assert.equal(kept.code, EXIT.usage);
    assert.match(kept.err, /exists already; --force replaces it/);
    assert.equal(await Deno.readTextFile(path), "mine");
    assert.equal((await lce("report", ...SIZES, "-o", path, "--force")).code, EXIT.ok);
    assert.match(await Deno.readTextFile(path), /^<!DOCTYPE html>/);
    const named = await lce("report", ...SIZES, "-o", `${folder}/report.pdf`);
    assert.equal(named.code, EXIT.usage);
    const none = await lce("report", ...SIZES, "--budget", "1KiB", "-o", `${folder}/none.html`);
    assert.equal(none.code, EXIT.doesNotFit);
    assert.deepEqual([...Deno.readDirSync(folder)].map(({ name }) => name), ["report.html"]);
  }));

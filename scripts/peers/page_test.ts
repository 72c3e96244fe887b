import assert from "node:assert/strict";
import { FIGURES } from "./figures.ts";
import { DISTILLING_PEERS, FORMER_PEERS, PEERS } from "../../planner/peers/mod.ts";
import { peersPage } from "./page.ts";

Deno.test("docs/peers.md is what deno task docs:peers writes", async () => {
  const path = new URL("../../docs/peers.md", import.meta.url);
  assert.equal(await Deno.readTextFile(path), peersPage(), "run deno task docs:peers");
});

Deno.test("The page has every method and every figure", () => {
  const page = peersPage();
  for (const { method } of [...PEERS, ...FORMER_PEERS, ...DISTILLING_PEERS]) {
    assert(page.includes(`| \`${method}\``));
  }
  const rows = page.split("\n").filter((line) => / x \d+ x \d+ +\| /.test(line));
  assert.equal(rows.length, FIGURES.length);
});

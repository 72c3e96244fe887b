import assert from "node:assert/strict";
import { EXIT } from "./exit.ts";
import { renderBench } from "./report/bench.ts";
import { lce, lceWithin, row } from "./testing.ts";

const GEMMA = ["plan", "--model", "gemma-2-2b", "--pass", "train"];

const LINES: readonly string[][] = [
  [...GEMMA],
  [...GEMMA, "--compare"],
  [...GEMMA, "--explain", "--device", "h100-deno"],
  [...GEMMA, "--sweep", "tokens=1k..8k", "--peers", "all"],
  [...GEMMA, "--sweep", "budget=1MiB,16GiB"],
  [...GEMMA, "--sweep", "vocab=2,128k", "--tensor-parallel", "3"],
  [...GEMMA, "--tensor-parallel", "3", "--data-parallel", "2"],
  ["plan", "--vocab", "5000", "--hidden", "64", "--largest", "tokens", "--budget", "8MiB"],
  ["plan", "--vocab", "256000", "--hidden", "4096", "--codes", "4096"],
  ["device", "--list"],
  ["model"],
  ["model", "gemma-2-2b"],
];
for (const args of LINES) {
  Deno.test(`lce ${args.join(" ")} keeps to a terminal's width, and says the same`, async () => {
    const narrow = await lceWithin(80, ...args);
    assert.equal(narrow.code, EXIT.ok, narrow.err);
    // A source's address is one word.
    for (const line of narrow.out.split("\n")) {
      assert(line.length <= 80 || /https?:/.test(line), line);
    }
    const words = (text: string) => new Set(text.split(/\s+/));
    assert.deepEqual(words(narrow.out), words((await lce(...args)).out));
  });
}

Deno.test("rows of lce bench keep to a terminal's width, and say everywhere what they are of", () => {
  const text = renderBench([row(), row({ pass: "train" })], "table", { kernels: true, width: 80 });
  for (const line of text.split("\n")) assert(line.length <= 80, line);
  assert.equal(text.match(/32x64x256 f32 +forward +fused/g)!.length, text.split("\n\n").length - 1);
});

Deno.test("published methods are listed by their memory in the plan's pass, in units one can read", async () => {
  const { out } = await lce("plan", "--vocab", "2000000", "--hidden", "64", "--compare");
  const rows = out.slice(out.indexOf("methods:")).trimEnd().split("\n").slice(2);
  const bytes = rows.map((line) => {
    const match = /^ +\S+ +(?:-|([\d.]+) ([KMGT]?i?B)) /.exec(line);
    assert(match, line);
    const unit = ["B", "KiB", "MiB", "GiB", "TiB"].indexOf(match[2] ?? "B");
    return match[1] === undefined ? Infinity : Number(match[1]) * 1024 ** unit;
  });
  assert(bytes.length > 10);
  assert.deepEqual(bytes, bytes.toSorted((a, b) => a - b));
  assert(rows.some((line) => /GiB/.test(line)));
});

import assert from "node:assert/strict";
import { progressLines } from "./progress.ts";

Deno.test("progress says what is done from the first moment, and its pace once that is known", () => {
  const said: string[] = [];
  let now = 0;
  const progress = progressLines(
    (line) => said.push(line),
    { running: { count: 1000, of: "tokens" } },
    () => now,
  );
  progress("reading");
  progress("running", 0, 8);
  now = 500;
  progress("running", 1, 8);
  now = 2000;
  progress("running", 4, 8);
  now = 3000;
  progress("running", 8, 8);
  progress("computing the reference", 0, 10);
  now = 8000;
  progress("computing the reference", 1, 10);
  assert.deepEqual(said, [
    "reading",
    "running, 0 %",
    "running, 12 %",
    "running, 50 %, 250 tokens/s, 2.0 s left",
    "running, 100 %",
    "computing the reference, 0 %",
    "computing the reference, 10 %, 45 s left",
  ]);
});

Deno.test("what was there before it began does not count as speed", () => {
  const said: string[] = [];
  let now = 0;
  const units = { running: { count: 100, of: "tokens" } };
  const progress = progressLines((line) => said.push(line), units, () => now);
  progress("running", 6, 10);
  now = 2000;
  progress("running", 8, 10);
  assert.equal(said.at(-1), "running, 80 %, 10 tokens/s, 2.0 s left");
});

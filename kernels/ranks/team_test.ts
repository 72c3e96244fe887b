import assert from "node:assert/strict";
import { RankError } from "./errors.ts";
import { checkStandings, type Standing } from "./team.ts";

const STANDING: Standing = { version: "1.0.0", plan: "abc" };

/** What ranks that say this of themselves end with. */
function endOf(...standings: Standing[]): RankError {
  try {
    checkStandings(standings, 2);
  } catch (error) {
    assert(error instanceof RankError);
    assert(error.everywhere);
    return error;
  }
  throw new Error("they go on");
}

Deno.test("ranks with one version and one plan go on", () => {
  checkStandings([STANDING, STANDING, STANDING], 2);
});

Deno.test("the first rank with another version is named, with both", () => {
  const { message, code } = endOf(STANDING, STANDING, { ...STANDING, version: "0.9.0" });
  assert.match(message, /^rank 2 has lce 0\.9\.0, but rank 0 has 1\.0\.0/);
  assert.equal(code, 2);
});

Deno.test("a rank that failed is named before one that differs, and its exit code kept", () => {
  const failure = { text: "a file is missing", code: 4 };
  const { message, code } = endOf(STANDING, { ...STANDING, plan: "" }, { ...STANDING, failure });
  assert.equal(message, "rank 2: a file is missing");
  assert.equal(code, 4);
});

Deno.test("what failed on all ranks alike is said once, without a rank", () => {
  const failed = { ...STANDING, failure: { text: "a file is missing", code: 4 } };
  assert.equal(endOf(failed, failed).message, "a file is missing");
});

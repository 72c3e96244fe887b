import assert from "node:assert/strict";
import * as z from "zod";
import { issueText, tellingIssues } from "./issues.ts";
import { shown } from "./shown.ts";

const schema = z.strictObject({
  count: z.int().min(1).max(9),
  share: z.number().positive().lt(1),
  type: z.enum(["f32", "f16"]),
  filter: z.union([z.number(), z.literal("auto")]),
  list: z.array(z.enum(["a", "b"])).min(1),
  yes: z.boolean(),
}).partial();

const CASES: readonly [unknown, string][] = [
  [{ count: 1.5 }, "must be a whole number"],
  [{ count: "x" }, "must be a number"],
  [{ count: 0 }, "must be at least 1"],
  [{ count: 10 }, "must be at most 9"],
  [{ share: 0 }, "must be more than 0"],
  [{ share: 1 }, "must be less than 1"],
  [{ share: Infinity }, "must be a finite number"],
  [{ type: "f8" }, "must be one of f32, f16"],
  [{ filter: "high" }, "must be a number, or auto"],
  [{ list: [] }, "must have at least 1 entry"],
  [{ list: "a" }, "must be a list"],
  [{ yes: 1 }, "must be true or false"],
  [{ odd: 1 }, "has the unknown field odd"],
];
for (const [value, text] of CASES) {
  Deno.test(`${shown(value)} ${text}`, () => {
    assert.deepEqual(schema.safeParse(value).error?.issues.map(issueText), [text]);
  });
}

Deno.test("of several bounds of one value the nearest is told, of several values each", () => {
  const bounded = z.object({ a: z.int().max(9).max(99), b: z.int().min(3).min(30) });
  const { issues } = bounded.safeParse({ a: 1e18, b: -1e18 }).error!;
  assert.deepEqual(tellingIssues(issues).map((issue) => `${issue.path} ${issueText(issue)}`), [
    "a must be at most 9",
    "b must be at least 30",
  ]);
});

/**
 * What is wrong with a value, in plain words: what a check found, without the
 * words of the library that checked.
 *
 * @module
 */
import type * as z from "zod";

/** What a value must be, by what zod calls it. */
const KINDS: Readonly<Record<string, string>> = {
  int: "a whole number",
  number: "a number",
  boolean: "true or false",
  string: "text",
  array: "a list",
  object: "a map",
  record: "a map",
};

/** Says what a value must be; the sentence's subject, the value itself, is the caller's. */
export function issueText(issue: z.core.$ZodIssue): string {
  switch (issue.code) {
    case "invalid_type":
      // The one kind of number that is none is told by what was received.
      return "received" in issue
        ? "must be a finite number"
        : `must be ${KINDS[issue.expected] ?? issue.expected}`;
    case "too_small":
      return bound(issue.origin, issue.inclusive ? "at least" : "more than", issue.minimum);
    case "too_big":
      return bound(issue.origin, issue.inclusive ? "at most" : "less than", issue.maximum);
    case "invalid_value":
      return `must be ${issue.values.length > 1 ? "one of " : ""}${issue.values.join(", ")}`;
    case "unrecognized_keys":
      return `has the unknown ${issue.keys.length > 1 ? "fields" : "field"} ${
        issue.keys.join(", ")
      }`;
    case "invalid_union":
      return alternatives(issue.errors);
    default:
      return issue.message;
  }
}

/**
 * Returns the issues less the bounds that another one makes needless: of several on one
 * side of a value, the nearest to what is allowed remains.
 */
export function tellingIssues(issues: readonly z.core.$ZodIssue[]): z.core.$ZodIssue[] {
  return issues.filter((issue) =>
    !issues.some((other) => other !== issue && outdoes(other, issue))
  );
}

/** Returns what is wrong with a value in one line: the field and the fault of each issue that tells something. */
export function issuesLine(issues: readonly z.core.$ZodIssue[]): string {
  return tellingIssues(issues)
    .map((issue) => `${issue.path.join(".")} ${issueText(issue)}`).join("; ");
}

/** Returns whether a value that meets one bound meets another of the same value as well. */
function outdoes(one: z.core.$ZodIssue, other: z.core.$ZodIssue): boolean {
  if (one.path.join(".") !== other.path.join(".")) return false;
  if (one.code === "too_big" && other.code === "too_big") return one.maximum < other.maximum;
  if (one.code === "too_small" && other.code === "too_small") return one.minimum > other.minimum;
  return false;
}

function bound(origin: string, than: string, limit: number | bigint): string {
  return origin === "array"
    ? `must have ${than} ${limit} ${Number(limit) === 1 ? "entry" : "entries"}`
    : `must be ${than} ${limit}`;
}

/** Returns what a value must be where there are several ways to be right. */
function alternatives(errors: readonly (readonly z.core.$ZodIssue[])[]): string {
  const ways = errors.flatMap(([first]) => first ? [issueText(first)] : []);
  const distinct = [...new Set(ways)].map((way) => way.replace(/^must be /, ""));
  return `must be ${distinct.join(", or ")}`;
}

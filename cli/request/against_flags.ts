/**
 * Setting a result beside an earlier one's file: the flags, and what becomes of what
 * is worse than it was.
 *
 * @module
 */
import type { Command } from "commander";
import { formatBytes } from "../../planner/units.ts";
import { EXIT, UsageError } from "../exit.ts";
import type { Output } from "../output.ts";
import { readArgument } from "./settings.ts";

/** What the flags say. */
export interface AgainstFlags {
  readonly against?: string;
  /** A share of what it was. */
  readonly failOver?: number;
}

/** Adds `--against` and `--fail-over`, whose meanings are the command's. */
export function againstFlags(
  command: Command,
  { against, failOver }: Readonly<Record<keyof AgainstFlags, string>>,
): Command {
  return command
    .option("--against <file>", against)
    .option("--fail-over <percent>", failOver, (text: string) => readArgument(parseShare, text));
}

/** Refuses a share of nothing. @throws {UsageError} */
export function checkAgainst({ against, failOver }: AgainstFlags): void {
  if (failOver === undefined || against !== undefined) return;
  throw new UsageError("--fail-over: needs --against, the run that time and memory grew from");
}

/** Returns the most by which time or memory may have grown: a share of what it was. */
export function parseShare(text: string): number {
  const match = /^(\d+(?:\.\d+)?)\s*%?$/.exec(text.trim());
  if (match) return Number(match[1]) / 100;
  throw new SyntaxError(`"${text}" is no share: write a percentage, such as 10%`);
}

/** Returns whether a figure grew by more than a share of what it was. */
export function grew(now: number, earlier: number, share: number): boolean {
  return now > (1 + share) * earlier;
}

/** Returns a change without its sign, as `12 %`. */
export function percentText(change: number): string {
  const percent = 100 * Math.abs(change);
  return `${Number(percent < 1 ? percent.toPrecision(1) : percent.toFixed(0))} %`;
}

/**
 * Returns whether a planned figure is more or less than an earlier one's, which has no
 * noise: `same`, `12 % more`.
 */
export function changeText(
  now: number,
  earlier: number,
  format: (figure: number) => string = formatBytes,
): string {
  if (now === earlier) return "same";
  const size = earlier === 0 ? format(now) : percentText(now / earlier - 1);
  return `${size} ${now < earlier ? "less" : "more"}`;
}

/**
 * Says what is worse than in an earlier run, and returns the exit code: where `advice` is
 * given, that is said, and nothing fails.
 */
export function reportWorse(
  path: string,
  worse: readonly string[],
  output: Output,
  advice?: string,
): number {
  if (worse.length === 0) return EXIT.ok;
  output.note(`Worse than in ${path}:\n${worse.map((line) => `  ${line}`).join("\n")}`);
  if (advice === undefined) return EXIT.verification;
  output.note(advice);
  return EXIT.ok;
}

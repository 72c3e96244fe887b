/**
 * What a command that plans is asked: a problem with the head, the adapter or the teacher that it is
 * asked with, how it is split, and what is to be looked for or swept.
 *
 * @module
 */
import type { CodebookHead } from "../../planner/heads/codebook.ts";
import type { Parallelism } from "../../planner/parallel.ts";
import type { Problem } from "../../planner/problem.ts";
import type { Axis } from "../../planner/sweep.ts";
import { checkPictures } from "../commands/sweep.ts";
import { requestOf } from "./flags.ts";
import { type Modes, modesShape } from "./modes_shape.ts";
import type { ConfigFiles, RequestedModel } from "./model.ts";
import {
  checkAdapter,
  checkCodes,
  checkDistill,
  checkFusion,
  checkRanks,
  checkTogether,
  withLeast,
} from "./plan_modes.ts";
import { checkModes, parallelismOf, type Request } from "./request.ts";

/** A question, checked. */
export interface PlanQuestion {
  readonly modes: Modes;
  readonly request: Request;
  readonly model: RequestedModel | undefined;
  /** The problem over ids, with the least value of what is looked for or swept. */
  readonly asked: Problem;
  /** A head of codes, where some stand for the ids. */
  readonly head: CodebookHead | undefined;
  /** What is planned: over codes, where there are some. */
  readonly problem: Problem;
  readonly parallelism: Parallelism | undefined;
  /** What is swept. */
  readonly axes: readonly Axis[];
  /** Published methods beside a sweep, where any are named. */
  readonly methods: readonly string[] | undefined;
}

/**
 * Checks flags and files together.
 *
 * @param how whether a picture may replace a file, and what of a plan file is another command's.
 * @throws {UsageError} where a flag is at fault, or two contradict each other.
 * @throws {InputError} where a file is.
 */
export async function questionOf(
  given: Record<string, unknown>,
  files: ConfigFiles,
  { force = false, ignored = [] }: {
    readonly force?: boolean;
    readonly ignored?: readonly (keyof Modes)[];
  } = {},
): Promise<PlanQuestion> {
  const { ...modes } = checkModes(given, files);
  for (const name of ignored) delete modes[name];
  const flags = Object.fromEntries(
    Object.entries(given).filter(([name]) => !(name in modesShape)),
  );
  const { axes, methods } = await checkPictures({ ...modes, force }, flags);
  checkTogether(modes, flags);
  // The smallest point stands for the sweep: where it is no problem, none is.
  const least = axes.map(({ name, values }) => [name, Math.min(...values)]);
  const { problem: plain, request, model } = await requestOf({
    ...withLeast(modes.largest, flags),
    ...Object.fromEntries(least),
    // What a strategy can do goes by the heads there are.
    ...(modes.distill ? { distill: modes.distill } : {}),
    ...(modes.fusion ? { fusion: true } : {}),
  }, files);
  checkRanks(modes, request);
  const asked = checkFusion(checkDistill(checkAdapter(plain, modes), modes), modes);
  const head = modes.codes === undefined ? undefined : checkCodes(asked, modes.codes);
  return {
    modes,
    request,
    model,
    asked,
    head,
    problem: head?.problem ?? asked,
    parallelism: parallelismOf(request),
    axes,
    methods,
  };
}

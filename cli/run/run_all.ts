/**
 * Running the fixtures of `lce run` one after the other.
 *
 * @module
 */
import { UnsupportedCaseError } from "../../fixtures/files/case.ts";
import { openAdapter, withAdapterOf } from "../../fixtures/files/adapter_file.ts";
import { withCodebookOf } from "../../fixtures/files/codebook_file.ts";
import type { Fixture } from "../../fixtures/fixture.ts";
import type { ReferenceMode } from "../../fixtures/reference/scope.ts";
import { drawSample } from "../../fixtures/verify/draw_sample.ts";
import { fixtureAt } from "../../fixtures/reference/fused.ts";
import { withDirection } from "../../fixtures/sub_tokens.ts";
import type { Verification } from "../../fixtures/verify/verify.ts";
import { RankError } from "../../kernels/ranks/errors.ts";
import type { AcquiredDevice } from "../../kernels/run/device.ts";
import type { Parallelism } from "../../planner/parallel.ts";
import type { PlanOptions } from "../../planner/plan.ts";
import { ONLY_HEAD } from "../../planner/heads/head.ts";
import type { Problem } from "../../planner/problem.ts";
import { rowSeeds } from "../../planner/sampling.ts";
import { problemSchema } from "../../planner/problem_schema.ts";
import { EXIT, explain, UsageError } from "../exit.ts";
import type { Output } from "../output.ts";
import { progressLines } from "../progress.ts";
import type { Crew } from "../request/crew.ts";
import { checkStrategy } from "../request/contradictions.ts";
import { checkWith } from "../request/request.ts";
import { checkRounds, defaultPass } from "../request/run_flags.ts";
import type { Setting, Settings } from "../request/settings.ts";
import { type Found, once, thoroughly, together } from "./run_fixture.ts";
import { type Source, Tally } from "./sources.ts";

/** How fixtures are run. */
export interface Runs {
  /** That of the fixture, where it is left out. */
  readonly pass: Problem["pass"] | undefined;
  /** What of a problem wins over the fixture's. */
  readonly settings: Settings<keyof Problem & Setting>;
  /** What ids are drawn by, where they are. */
  readonly sample: number | undefined;
  /** What a sample of tokens is drawn by, where the weight's gradient is from one. */
  readonly sampledSeed: number;
  /** File of a codebook that stands for the weight. */
  readonly codebook: string | undefined;
  /** File or folder of an adapter on the head. */
  readonly adapter: string | undefined;
  readonly reference: ReferenceMode;
  /** Tokens of a round. */
  readonly round: number | undefined;
  readonly options: PlanOptions;
  readonly parallelism: Parallelism | undefined;
  readonly thorough: boolean;
  readonly path: string | undefined;
  readonly resume: boolean;
  readonly json: boolean;
}

/** Runs fixtures one after the other and prints what came of each; one that fails keeps no other from it. */
export async function runAll(
  sources: readonly Source[],
  acquired: AcquiredDevice,
  how: Runs,
  output: Output,
  crew?: Crew,
): Promise<Tally> {
  const tally = new Tally();
  const entries: unknown[] = [];
  for (const [index, source] of sources.entries()) {
    const { name, skippable } = source;
    const say = (line: string) =>
      output.progress(`${name} (${index + 1} of ${sources.length}): ${line}`);
    try {
      const found = await runOne(source, acquired, how, say, output.note, crew);
      // Of a crew the first rank alone has found anything.
      if (!found) continue;
      tally.ran(found.ok);
      if (how.json) entries.push(found.json());
      else output.print(found.text({ width: output.width }) + "\n");
    } catch (error) {
      if (error instanceof UnsupportedCaseError && skippable) {
        output.note(`Skipped: ${error.message}`);
        continue;
      }
      const { code, text } = explain(error);
      // A device that failed may fail everything after it; a defect of ours is no fixture's.
      if (code === EXIT.device || code === EXIT.internal || sources.length === 1) throw error;
      // Ranks that did not hear of it wait for this one.
      if (crew && !(error instanceof RankError && error.everywhere)) throw error;
      tally.failed(code);
      output.note(`lce: ${text}`);
      if (how.json) entries.push({ fixture: name, ok: false, error: text, exitCode: code });
    }
  }
  if (how.json) output.print(JSON.stringify(entries, null, 2));
  else if (sources.length > 1) output.print(tally.summary());
  return tally;
}

/** Opens a fixture and runs it. */
async function runOne(
  { open }: Source,
  acquired: AcquiredDevice,
  {
    pass,
    settings,
    sample,
    sampledSeed,
    codebook,
    adapter,
    options,
    parallelism,
    reference,
    thorough,
    ...kept
  }: Runs,
  say: (line: string) => void,
  note: (text: string) => void,
  crew: Crew | undefined,
): Promise<Found | undefined> {
  const { path, round, resume } = kept;
  const prepare = async () => {
    say("reading");
    const opened = await open();
    const coded = codebook === undefined ? opened : await withCodebookOf(codebook, opened);
    const fixture = adapter === undefined
      ? coded
      : await withAdapterOf(await openAdapter(adapter), coded);
    if (thorough && fixture.problem.fusion) {
      throw new UsageError(
        `--thorough: tries training, and ${fixture.name} has heads that are fused: leave one of them out`,
      );
    }
    for (const remark of fixture.notes ?? []) note(`${fixture.name}: ${remark}`);
    const problem = checkWith(problemSchema(), {
      ...fixture.problem,
      ...(thorough ? {} : { pass: pass ?? defaultPass(fixture, options.strategy) }),
      ...(fixture.problem.fusion
        ? searchSettings(settings, path)
        : besides(settings, fixture.problem.statistics)),
    });
    checkStrategy(options.strategy, problem);
    checkRounds({ round, resume }, path, problem.pass);
    const posed = await withDirection({ ...fixture, problem });
    if (sample === undefined) return posed;
    const seeds = rowSeeds(sample, problem.tokens);
    return { ...posed, tensors: { ...posed.tensors, seeds } };
  };
  const progressOf = ({ problem: { tokens } }: Fixture) =>
    progressLines(say, { running: { count: tokens, of: "tokens" } });
  if (crew) return await together(crew, prepare, acquired, { options, reference }, progressOf);
  const prepared = await drawSample(await prepare(), acquired, options, sampledSeed);
  const progress = progressOf(prepared);
  return thorough
    ? await thoroughly(prepared, acquired, progress)
    : await once(prepared, acquired, {
      ...{ parallelism, options, reference, path, round, resume, progress, note },
      next: prepared.problem.fusion && listsOf(settings)
        ? (found) => atStrengths(found, listsOf(settings)!)
        : undefined,
    });
}

/** Returns settings with the statistics that a fixture has anyway, as its expected results may be of them. */
function besides(settings: Runs["settings"], had: Problem["statistics"]): Runs["settings"] {
  return { ...settings, statistics: [...new Set([...had, ...settings.statistics ?? []])] };
}

/** What is asked of each token's softmax, which is not known before its strength is. */
type Lists = Pick<Runs["settings"], "statistics" | "topK" | "sampleTemperature">;

/** Returns what of some settings is such, if anything is. */
function listsOf({ statistics, topK, sampleTemperature }: Runs["settings"]): Lists | undefined {
  if (!statistics?.length && !topK && sampleTemperature === undefined) return undefined;
  return {
    ...(statistics ? { statistics } : {}),
    ...(topK ? { topK } : {}),
    ...(sampleTemperature === undefined ? {} : { sampleTemperature }),
  };
}

/** Returns those of the settings that a search has. @throws {UsageError} where a file would lack the others. */
function searchSettings(settings: Runs["settings"], path: string | undefined): Runs["settings"] {
  const { statistics: _, topK: __, sampleTemperature: ___, ...others } = settings;
  if (path === undefined || !listsOf(settings)) return others;
  throw new UsageError(
    `--output ${path}: holds what a search finds; --statistics, --top-k and --sample of fused heads are another run, at its strengths: leave one of them out`,
  );
}

/** Returns the fixture of the head that heads are at the strengths which a search found, with what is asked of it. */
async function atStrengths({ fixture, results }: Verification, lists: Lists): Promise<Fixture> {
  const sum = await fixtureAt(fixture, results.strength!);
  return {
    ...sum,
    name: `${sum.name}, at these strengths`,
    problem: checkWith(problemSchema(), {
      ...sum.problem,
      heads: sum.problem.heads.map((head) => ({ ...head, name: ONLY_HEAD })),
      ...lists,
    }),
  };
}

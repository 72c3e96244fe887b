/**
 * What `lce run --output` writes: results per token, and gradients where the file
 * can hold matrices. Gradients leave as the run produces them, and the file is
 * there whole or not at all.
 *
 * @module
 */
import { bytesOf } from "../../fixtures/elements.ts";
import { SafetensorsWriter } from "../../fixtures/files/safetensors_writer.ts";
import { writeWhole } from "../../fixtures/files/write.ts";
import { type Fixture, givenTargets } from "../../fixtures/fixture.ts";
import type { GradientStores } from "../../fixtures/verify/compare.ts";
import type { Verification } from "../../fixtures/verify/verify.ts";
import { adapterGradient } from "../../planner/heads/adapter.ts";
import { learnerOf, type Problem } from "../../planner/problem.ts";
import { problemJson } from "../../planner/problem_schema.ts";
import { resultWidth, tokenResults } from "../../planner/schedule/layout.ts";
import {
  axisOf,
  GRADIENT_NAMES,
  type GradientName,
  gradientOf,
  gradientWidth,
  headIn,
  RESULTS,
  TOKEN_RESULTS,
  type TokenResultName,
} from "../../planner/schedule/results.ts";
import { hasTensor, snakeCase } from "../../planner/schedule/tensors.ts";
import { textJson } from "../report/run.ts";
import { checkNewFile } from "./new_file.ts";
import { checkJournal } from "./run_journal.ts";

/** A file under way. */
export interface RunOutput {
  /** Where gradients go while the run goes on. */
  readonly stores: GradientStores;
  /** Writes what else there is, and puts the file in its place. @throws {InputError} */
  finish(verification: Verification): Promise<void>;
  /** Leaves nothing of the file. */
  abort(): Promise<void>;
}

/** Refuses a name that says nothing of the format, and a file that is there. @throws {UsageError} */
export async function checkRunOutput(
  path: string,
  how: { readonly force: boolean; readonly resume: boolean },
): Promise<void> {
  await checkNewFile("--output", path, {
    force: how.force,
    ending: /\.(safetensors|json|csv)$/i,
    holds: "the name must end in .safetensors, .json or .csv, which says what the file holds",
  });
  await checkJournal(path, how);
}

/** Begins a file, in the format that its name says. @throws {InputError} when it cannot be written. */
export async function openRunOutput(path: string, fixture: Fixture): Promise<RunOutput> {
  if (/\.safetensors$/i.test(path)) return await openTensors(path, fixture);
  const text = /\.csv$/i.test(path) ? csvOf : jsonOf;
  return {
    stores: {},
    finish: (verification) => writeWhole(path, new TextEncoder().encode(text(verification))),
    abort: () => Promise.resolve(),
  };
}

/** Returns the arrays of results per token that a problem has. */
function columnsOf(problem: Problem): TokenResultName[] {
  const rows = tokenResults(problem);
  return TOKEN_RESULTS.filter((name) => rows.includes(RESULTS[name].row));
}

/** Returns what a file calls an array of results. */
function titleOf(name: TokenResultName): string {
  return RESULTS[name].row;
}

async function openTensors(path: string, fixture: Fixture): Promise<RunOutput> {
  const { name, problem, adapter } = fixture;
  const { tokens } = problem;
  const wanted = GRADIENT_NAMES.filter((of) => {
    const head = problem.heads[headIn(of)];
    return head !== undefined && hasTensor(RESULTS[of].tensor, problem, head);
  });
  const shapeOf = (of: GradientName) => {
    const rows = axisOf(of) === "tokens" ? tokens : problem.heads[headIn(of)]!.vocab;
    return gradientOf(of) === "bias" ? [rows] : [rows, gradientWidth(problem, of)];
  };
  // Of an adapter's two the run finds that by its products, from which that of A follows.
  const gradients = wanted.filter((of) => !(adapter && of === "gradHidden"));
  const ofA = adapter && wanted.includes("gradHidden") ? [loraAOf(fixture)] : [];
  const titleIn = (of: GradientName) =>
    adapter && of === "gradWeight" ? "grad_lora_B" : snakeCase(of);
  const writer = await SafetensorsWriter.create(
    path,
    {
      targets: { dtype: "I32", shape: [tokens] },
      ...Object.fromEntries(
        columnsOf(problem).map((column) => {
          const { row, type, list } = RESULTS[column];
          const shape = list ? [tokens, resultWidth(problem, row)] : [tokens];
          return [row, { dtype: type === "u32" ? "U32" : "F32", shape }];
        }),
      ),
      ...Object.fromEntries(
        gradients.map((of) => [titleIn(of), { dtype: "F32", shape: shapeOf(of) }]),
      ),
      ...Object.fromEntries(ofA.map(({ shape }) => ["grad_lora_A", { dtype: "F32", shape }])),
    },
    { fixture: name, problem: JSON.stringify(problemJson(problem)) },
  );
  return {
    stores: Object.fromEntries(gradients.map((of) => [of, writer.store(titleIn(of))])),
    async finish({ fixture, results }) {
      await writer.store("targets").write(0, bytesOf(givenTargets(fixture)));
      for (const column of columnsOf(problem)) {
        await writer.store(titleOf(column)).write(0, bytesOf(results[column]!));
      }
      for (const { gradient } of ofA) {
        await writer.store("grad_lora_A").write(0, bytesOf(gradient(results.gradHidden!)));
      }
      await writer.commit();
    },
    abort: () => writer.abort(),
  };
}

/** Returns what the gradient of an adapter's `A` is, from that by its products. */
function loraAOf({ problem, adapter }: Fixture) {
  const { rank, scale, states } = adapter!;
  const { tokens } = problem;
  const hidden = learnerOf(problem).hidden - rank;
  return {
    shape: [rank, hidden],
    gradient: (byProducts: ArrayLike<number>) =>
      Float32Array.from(
        adapterGradient(byProducts, states, { tokens, hidden, rank }),
        (value) => scale * value,
      ),
  };
}

/**
 * Returns a row for each token; nothing where the target is ignored. In CSV numbers of a list are
 * apart by spaces.
 */
function rowsOf({ fixture, results }: Verification) {
  const { problem, tensors } = fixture;
  const columns = columnsOf(problem);
  const given = givenTargets(fixture);
  const valuesOf = (column: TokenResultName, token: number) => {
    const { row, list } = RESULTS[column];
    const values = results[column]!;
    const width = resultWidth(problem, row);
    return list ? [...values.subarray(width * token, width * (token + 1))] : values[token]!;
  };
  const rows = Array.from(tensors.targets, (target, token) => ({
    token,
    target: given[token]!,
    values: columns.map((column) =>
      target === problem.ignoreIndex ? undefined : valuesOf(column, token)
    ),
  }));
  return { columns: columns.map(titleOf), rows };
}

function csvOf(verification: Verification): string {
  const { columns, rows } = rowsOf(verification);
  const lines = rows.map(({ token, target, values }) =>
    [token, target, ...values.map((value) => Array.isArray(value) ? value.join(" ") : value ?? "")]
      .join(",")
  );
  return [["token", "target", ...columns].join(","), ...lines, ""].join("\n");
}

function jsonOf(verification: Verification): string {
  const { fixture: { name, problem }, results } = verification;
  const { columns, rows } = rowsOf(verification);
  const summary = {
    fixture: name,
    problem: problemJson(problem),
    loss: results.loss ?? null,
    ...textJson(verification),
    tokens: rows.map(({ token, target, values }) => ({
      token,
      target,
      ...Object.fromEntries(columns.map((column, index) => [column, values[index] ?? null])),
    })),
  };
  return JSON.stringify(summary, null, 2) + "\n";
}

/**
 * Ranks as processes against what they should give, for `mpi_device_test.ts`: every
 * case is run by all four ranks over MPI and, where the sums' order does not matter,
 * by four simulated ones in the first. Many cases in one process, for a process takes longer to start than a case.
 *
 *     mpirun -n 4 deno run --allow-all cli/testing_mpi.ts
 *
 * The first rank prints what it found of each case, a line of JSON each.
 *
 * @module
 */
import { withCodebook } from "../fixtures/codebook.ts";
import { decodeElements, encodeElements } from "../fixtures/elements.ts";
import type { Fixture } from "../fixtures/fixture.ts";
import { makeSynthetic } from "../fixtures/synthetic.ts";
import type { Retry } from "../fixtures/verify/once_more.ts";
import { ODD, VARIANTS } from "../fixtures/verify/testing_ranks.ts";
import {
  type ParallelVerification,
  planRanks,
  verifyPlanned,
  verifyRanks,
} from "../fixtures/verify/verify_ranks.ts";
import { concatenated } from "../host/concatenated.ts";
import { RankError } from "../kernels/ranks/errors.ts";
import type { Bytes, Exchange } from "../kernels/ranks/exchange.ts";
import { Requests } from "../kernels/ranks/mpi/requests.ts";
import { EMULATED } from "../kernels/testing/alone.ts";
import { joinMpi, MpiTeam } from "../kernels/ranks/mpi/team.ts";
import type { AcquiredDevice } from "../kernels/run/device.ts";
import type { Results } from "../kernels/run/results.ts";
import type { Parallelism } from "../planner/parallel.ts";
import type { PlanOptions } from "../planner/plan.ts";
import type { MatrixBody } from "../planner/schedule/bodies.ts";
import { feasibleTiles } from "../planner/schedule/tile.ts";
import { SPECIFICATION_DEFAULTS } from "../planner/device.ts";
import { headOf, type ProblemInput } from "../planner/problem.ts";
import { parseProblem } from "../planner/problem_schema.ts";
import type { Collective } from "../planner/schedule/schedule.ts";
import { Crew } from "./request/crew.ts";
import { together } from "./run/run_fixture.ts";
import { openDevice } from "./request/device.ts";

/** What the first rank says of a case. */
export interface CaseFound {
  readonly name: string;
  /** Why ranks did not begin, where they did not. */
  readonly refused?: string;
  /** Whether numbers, memory and traffic are right, as `lce run` judges them. */
  readonly ok?: boolean;
  /** Results that are not those of the simulation bit for bit, where sums are of two terms, which have one sum. */
  readonly differ?: readonly string[];
  /** Collectives, and what is wrong with what came of them. */
  readonly collectives?: number;
  readonly wrong?: readonly string[];
  /** Why ranks ran once more, if they did. */
  readonly retried?: Retry;
}

/** The case of which one rank has values that halves do not hold. */
export const WIDE = "values that halves do not hold";

interface Case {
  readonly fixture: Fixture;
  readonly parallelism: Parallelism;
  readonly options?: PlanOptions;
}

const FOUR: Parallelism = { tensor: 4, data: 1, sequence: false };
const SQUARE: Parallelism = { tensor: 2, data: 2, sequence: false };
const REPLICAS: Parallelism = { tensor: 1, data: 4, sequence: false };

/** Small enough for many cases, and as odd. */
const SMALL = { ...ODD, tokens: 45, vocab: 301 };

function synthetic(problem: ProblemInput): Fixture {
  return makeSynthetic(parseProblem({ pass: "train", ...problem }), 6);
}

/** Every objective over two by two ranks in all strategies by turns, then what splits differ in. */
function* cases(): Generator<Case> {
  // The smallest compiles soonest.
  const tile = feasibleTiles("registers", SPECIFICATION_DEFAULTS).at(-1)!;
  const strategies = ["windowed", "chunked", "two-stage"] as const;
  for (const [index, variant] of VARIANTS.entries()) {
    const strategy = strategies[index % strategies.length]!;
    const options = {
      ...{ tile, strategy, block: 64 },
      ...(strategy === "windowed" ? { window: 64 } : {}),
    };
    // Each strategy with gradients told at the end, and piece by piece.
    const parallelism = index < strategies.length ? SQUARE : { ...SQUARE, overlap: true };
    const problem = { ...variant, tokens: 131, vocab: SMALL.vocab };
    yield { fixture: synthetic(problem), parallelism, options };
  }
  const smoothed = { ...SMALL, labelSmoothing: 0.1, bias: true, zLoss: 1e-3 };
  yield { fixture: synthetic(smoothed), parallelism: FOUR };
  yield { fixture: synthetic({ ...smoothed, pass: "forward" }), parallelism: FOUR };
  yield { fixture: synthetic({ ...smoothed, classWeight: true }), parallelism: REPLICAS };
  yield { fixture: synthetic({ ...SMALL, gradientFilter: "auto" }), parallelism: SQUARE };
  for (const split of [FOUR, SQUARE]) {
    // 11 x 21 elements of 16 bits on each rank: half a word is left over.
    const problem = { ...SMALL, tokens: 44, dtype: "bf16" } as const;
    yield { fixture: synthetic(problem), parallelism: { ...split, sequence: true } };
  }
  yield { fixture: codebook(), parallelism: FOUR };
  // Fewer rows than ranks: no more than there are may split them.
  yield { fixture: synthetic({ ...SMALL, vocab: 3 }), parallelism: SQUARE };
  yield { fixture: synthetic({ ...SMALL, vocab: 3 }), parallelism: FOUR };
}

/** Returns a head whose 301 ids share 37 codes. */
function codebook(): Fixture {
  const fixture = makeSynthetic(parseProblem({ ...SMALL, pass: "train" }), 6);
  const count = 37;
  const rows = fixture.tensors.weight.subarray(0, 4 * SMALL.hidden * count);
  const codes = Int32Array.from({ length: SMALL.vocab }, (_, id) => id * id % count);
  return withCodebook(fixture, { rows, count, codes });
}

/** A collective with what this rank gave and got. */
interface Kept {
  readonly collective: Collective;
  readonly given: Bytes;
  readonly got: Bytes;
}

/** Keeps what goes through an exchange. */
function kept(exchange: Exchange, all: Kept[]): Exchange {
  return {
    ...exchange,
    async combine(collective, [given], ranks) {
      const before = given!.slice();
      const [got] = await exchange.combine(collective, [given!], ranks);
      all.push({ collective, given: before, got: got!.slice() });
      return [got!];
    },
  };
}

/** Unit roundoff of f32. */
const ROUNDOFF = 2 ** -24;

/**
 * Returns what is wrong with what a group got. All got the same; a max, and what is only moved, is
 * exact; a sum of n terms is within `(n - 1) u (1 + n u)` of the sum of their absolute values,
 * in whatever order they were added (Higham, Accuracy and Stability of Numerical Algorithms, 4.2).
 */
function wrongWith(
  { op, type, what }: Collective,
  given: readonly Bytes[],
  got: readonly Bytes[],
): string[] {
  const ranks = given.length;
  const scattered = op === "reduce-scatter-sum";
  const whole = scattered ? concatenated(Uint8Array, got) : got[0]!;
  if (!scattered && got.some((bytes) => !same(bytes, whole))) {
    return [`${what}: ranks got different`];
  }
  if (op === "all-gather") {
    return same(whole, concatenated(Uint8Array, given)) ? [] : [`${what}: not what was given`];
  }
  const numbers = (bytes: Bytes) =>
    type === "u32" ? new Uint32Array(bytes.slice().buffer) : new Float32Array(bytes.slice().buffer);
  const terms = given.map(numbers);
  const exact = op !== "all-reduce-sum" && !scattered || type === "u32";
  const allowed = exact ? 0 : (ranks - 1) * ROUNDOFF * (1 + ranks * ROUNDOFF);
  for (const [index, value] of numbers(whole).entries()) {
    const each = terms.map((numbers) => numbers[index]!);
    const right = op === "all-reduce-max"
      ? Math.max(...each)
      : op === "all-reduce-min"
      ? Math.min(...each)
      : each.reduce((sum, term) => sum + term, 0);
    if (value === right || Number.isNaN(value) && Number.isNaN(right)) continue;
    const size = each.reduce((sum, term) => sum + Math.abs(term), 0);
    if (!(Math.abs(value - right) <= allowed * size)) {
      return [`${what}: ${value} at ${index}, not ${right}`];
    }
  }
  return [];
}

function same(a: Bytes, b: Bytes): boolean {
  return a.length === b.length && a.every((byte, index) => byte === b[index]);
}

/** Returns the names of results that are not the same to the last bit. */
function differences(a: Results, b: Results): string[] {
  const bits = (value: unknown) =>
    ArrayBuffer.isView(value)
      ? new Uint8Array(value.buffer, value.byteOffset, value.byteLength).join()
      : String(value);
  return Object.keys({ ...a, ...b }).filter((name) =>
    bits(a[name as keyof Results]) !== bits(b[name as keyof Results])
  );
}

/** Brings what ranks kept of each collective to the first, and returns what is wrong with what its group got. */
async function judged({ team, parallelism: { tensor } }: Crew, own: readonly Kept[]) {
  const wrong: string[] = [];
  for (const { collective, given, got } of own) {
    const [allGiven, allGot] = [await team.gather(given), await team.gather(got)];
    if (team.rank !== 0) continue;
    const inGroup = (_: Bytes, rank: number) =>
      (collective.group === "tensor" ? Math.floor(rank / tensor) : rank % tensor) === 0;
    wrong.push(...wrongWith(collective, allGiven.filter(inGroup), allGot.filter(inGroup)));
  }
  return wrong;
}

/** Runs values in bf16 of which one rank has some that halves do not hold, in matrices if they do. */
async function wide(team: MpiTeam, acquired: AcquiredDevice): Promise<CaseFound> {
  const made = makeSynthetic(
    parseProblem({ tokens: 40, hidden: 40, vocab: 301, dtype: "bf16" }),
    6,
  );
  const { hidden: depth, vocab } = headOf(made.problem);
  const changed = (key: "hidden" | "weight", change: (value: number, at: number) => number) =>
    encodeElements("bf16", decodeElements("bf16", made.tensors[key]).map(change));
  // Of the last row small values count, and halves cannot hold them beside its large one.
  const tensors = {
    ...made.tensors,
    weight: changed("weight", (value, at) => at > depth * (vocab - 1) ? value * 2 ** -30 : value),
    hidden: changed("hidden", (value, at) => at % depth > 0 ? value * 2 ** 30 : 0),
  };
  // The device has no matrices, but tiles that do without.
  const { fragment } = EMULATED.body as MatrixBody;
  const fast = { flopsPerSecond: 1e15, parallelInvocations: 1 };
  const profile = {
    ...acquired.profile,
    matrices: [{ ...fragment, component: "f16", result: "f32" }],
    rates: {
      ...{ flopsPerSecond: 1e9, bytesPerSecond: 1e11, secondsPerDispatch: 1e-5 },
      parallelInvocations: 512,
      matrix: { ...fast, tiles: [{ ...EMULATED, rate: 1 }] },
    },
  };
  const found = await together(
    new Crew(team, FOUR),
    () => Promise.resolve({ ...made, tensors }),
    { ...acquired, profile },
    { options: {}, reference: "auto" },
    () => () => {},
  );
  const { retried } = (found?.json() ?? {}) as { retried?: Retry };
  return { name: WIDE, ok: found?.ok ?? false, ...(retried ? { retried } : {}) };
}

async function run(
  { fixture, parallelism, options = {} }: Case,
  crew: Crew,
  acquired: AcquiredDevice,
): Promise<Omit<CaseFound, "name"> | undefined> {
  let found: ParallelVerification | undefined;
  const own: Kept[] = [];
  try {
    const planned = await crew.agreed(() =>
      planRanks(fixture, acquired, parallelism, options, crew.team.rank)
    );
    const exchange = kept(crew.exchange, own);
    found = await verifyPlanned(planned, acquired, { crew: { team: crew.team, exchange } });
  } catch (error) {
    if (error instanceof RankError && error.everywhere) return { refused: error.message };
    throw error;
  }
  const wrong = await judged(crew, own);
  if (!found) return undefined;
  const judgement = { ok: found.ok, collectives: own.length, wrong };
  if (Math.max(parallelism.tensor, parallelism.data) > 2) return judgement;
  const simulated = await verifyRanks(fixture, acquired, parallelism, options);
  return { ...judgement, differ: differences(found.results, simulated.results) };
}

/** Serves a byte of the last rank's after the first has worked for longer than ranks wait for one another. */
async function serving({ requests: { mpi, rank, ranks }, differs }: MpiTeam): Promise<CaseFound> {
  const milliseconds = 500;
  const impatient = new MpiTeam(new Requests(mpi, rank, ranks, milliseconds, 3), differs);
  const byte = await impatient.serve(
    () => Promise.resolve(Uint8Array.of(rank)),
    async (readOf) => {
      await new Promise((resolve) => setTimeout(resolve, 3 * milliseconds));
      return (await readOf(ranks - 1, 0, 1))[0];
    },
  );
  return { name: "serving", ok: byte === ranks - 1 };
}

// deno-lint-ignore no-console -- what it is for
const print = (found: CaseFound) => console.log(JSON.stringify(found));

if (import.meta.main) {
  const team = joinMpi({
    timeoutSeconds: 120,
    codes: { silent: 3, differs: 2 },
    env: (name) => Deno.env.get(name),
  });
  const acquired = await openDevice();
  try {
    const served = await serving(team);
    if (team.rank === 0) print(served);
    const fallen = await wide(team, acquired);
    if (team.rank === 0) print(fallen);
    for (const each of cases()) {
      const { parallelism, options, fixture: { problem } } = each;
      const found = await run(each, new Crew(team, parallelism), acquired);
      const name = JSON.stringify({ parallelism, options, problem });
      if (team.rank === 0) print({ name, ...found });
    }
    team.finalize();
  } catch (error) {
    // deno-lint-ignore no-console -- what it is for
    console.error(error);
    team.abort(70);
  }
}

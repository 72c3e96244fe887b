/**
 * Peak memory of published methods as measured: on one H100 for this project, and
 * as their projects published it. Each figure says how far a model may be off and
 * why; what no model explains says so, and stays off.
 *
 * @module
 */
import type { Dtype } from "../../planner/dtype.ts";
import type { Span } from "../../planner/peers/peer.ts";

/** What a published figure counts besides the method's own memory. */
export interface Beside {
  /** Arrays like the weight. */
  readonly weights: number;
  /** Arrays like the hidden states. */
  readonly hiddens: number;
  /** Lists of targets, of 8 bytes each. */
  readonly targets: number;
  /** Workspaces of the matrix library, in MiB. */
  readonly workspaceMebibytes: number;
}

/** A figure. */
export interface Figure {
  readonly method: string;
  readonly tokens: number;
  readonly hidden: number;
  readonly vocab: number;
  readonly dtype: Dtype;
  readonly softcap?: number;
  readonly span: Span;
  readonly mebibytes: number;
  readonly kind: "measured" | "published";
  readonly source: string;
  readonly beside?: Beside;
  /** How far off the model may be, in MiB; for figures measured here `allowance()` says. */
  readonly tolerance?: { readonly mebibytes: number; readonly why: string };
  /** Why no model explains the figure. */
  readonly unexplained?: string;
}

type Shape = Pick<Figure, "tokens" | "hidden" | "vocab" | "dtype" | "softcap">;

const GEMMA = { tokens: 8192, hidden: 2304, vocab: 256000 };
const LLAMA = { tokens: 4096, hidden: 4096, vocab: 128256 };

/** A method's figures without gradients and with, measured here. */
type Measured = readonly [method: string, forward: number, train: number];

function measured(shape: Shape, rows: readonly Measured[]): Figure[] {
  return rows.flatMap(([method, forward, train]) => {
    const about = {
      ...shape,
      method,
      kind: "measured",
      source: "H100 80GB HBM3, PyTorch 2.11, Triton 3.6",
    } as const;
    return [
      { ...about, span: "forward", mebibytes: forward },
      { ...about, span: "train", mebibytes: train },
    ] as const;
  });
}

const MEASURED: readonly Figure[] = [
  ...measured({ ...GEMMA, dtype: "bf16" }, [
    ["pytorch-two-stage", 16000.0, 24000.0],
    ["pytorch-compile", 4000.1, 5161.0],
    ["cut-cross-entropy", 1.0, 1163.3],
    ["cut-cross-entropy-kahan", 1.0, 3450.3],
    ["cut-cross-entropy-exact", 0.1, 3448.3],
    ["liger", 4600.5, 4599.5],
  ]),
  ...measured({ ...LLAMA, dtype: "bf16" }, [
    ["pytorch-two-stage", 4008.0, 6012.0],
    ["pytorch-compile", 1002.0, 2036.0],
    ["cut-cross-entropy", 0.5, 1035.2],
    ["cut-cross-entropy-exact", 0.0, 3070.3],
    ["liger", 4071.3, 4071.3],
  ]),
  ...measured({ ...GEMMA, dtype: "f32" }, [
    ["pytorch-two-stage", 16000.0, 24000.0],
    ["pytorch-compile", 8000.1, 10322.0],
    ["liger", 4697.0, 4697.0],
  ]),
  ...measured({ ...LLAMA, dtype: "f32" }, [
    ["pytorch-two-stage", 4008.0, 6012.0],
    ["pytorch-compile", 2004.0, 4072.0],
    ["liger", 4134.6, 4134.6],
  ]),
];

const README = {
  ...GEMMA,
  dtype: "bf16",
  softcap: 30,
  kind: "published",
  source: "https://github.com/apple/ml-cross-entropy, README: A100, PyTorch 2.4.1, Gemma 2",
} as const;

const WHOLE = { mebibytes: 1, why: "printed to 1 MiB" };
const TENTH = { mebibytes: 0.1, why: "printed to 0.1 MiB" };
const OLD_COMPILER =
  "8 bytes a logit, as if PyTorch 2.4.1's compiler had kept an f32 gradient and its 16-bit copy beside the logits; 2.11 writes the gradient over them";

const CUT_README: readonly Figure[] = [
  {
    ...README,
    method: "cut-cross-entropy",
    span: "recording forward",
    mebibytes: 1.1,
    tolerance: TENTH,
  },
  { ...README, method: "cut-cross-entropy", span: "backward", mebibytes: 1163, tolerance: WHOLE },
  { ...README, method: "cut-cross-entropy", span: "train", mebibytes: 1164, tolerance: WHOLE },
  {
    ...README,
    method: "pytorch-compile",
    span: "recording forward",
    mebibytes: 4000.1,
    tolerance: TENTH,
  },
  {
    ...README,
    method: "pytorch-compile",
    span: "backward",
    mebibytes: 12000,
    unexplained: OLD_COMPILER,
  },
  {
    ...README,
    method: "pytorch-compile",
    span: "train",
    mebibytes: 16000.1,
    unexplained: OLD_COMPILER,
  },
  {
    ...README,
    method: "pytorch-two-stage-named",
    span: "recording forward",
    mebibytes: 24000,
    tolerance: WHOLE,
  },
  {
    ...README,
    method: "pytorch-two-stage-named",
    span: "backward",
    mebibytes: 16000,
    tolerance: WHOLE,
  },
  {
    ...README,
    method: "pytorch-two-stage-named",
    span: "train",
    mebibytes: 28000,
    tolerance: WHOLE,
  },
];

/**
 * Liger's benchmark counts all of the device's memory. What is counted besides the
 * method was inferred from PyTorch's four rows: the weights of both modules and one
 * gradient, the hidden states and their gradient, and two cuBLAS workspaces of
 * 8.125 MiB. Liger's own rows check it.
 */
const LIGER_BESIDE: Beside = { weights: 3, hiddens: 2, targets: 1, workspaceMebibytes: 16.25 };

function ligerBenchmark(method: string, rows: readonly [tokens: number, mebibytes: number][]) {
  return rows.map(([tokens, mebibytes]): Figure => ({
    ...LLAMA,
    tokens,
    dtype: "bf16",
    method,
    span: "train",
    mebibytes,
    kind: "published",
    source:
      "https://github.com/linkedin/Liger-Kernel, benchmark/data/all_benchmark_data.csv: A100, Liger 0.4.2",
    beside: LIGER_BESIDE,
    tolerance: { mebibytes: 1, why: "the allocator may leave 1 MiB of a large block unsplit" },
  }));
}

const LIGER_CSV: readonly Figure[] = [
  ...ligerBenchmark("liger-0.4", [
    [4096, 4245.5],
    [8192, 4467.0],
    [16384, 4910.4],
    [32768, 5794.6],
  ]),
  ...ligerBenchmark("pytorch-no-upcast", [
    [4096, 6092.3],
    [8192, 9162.3],
    [16384, 15302.4],
    [32768, 27582.5],
  ]),
];

/**
 * TRL's benchmark, inferred likewise: the weight and the hidden states, a gradient
 * of each from the step before, and two cuBLAS workspaces of 32 MiB, their size on
 * an H100.
 */
const TRL_BESIDE: Beside = { weights: 2, hiddens: 2, targets: 1, workspaceMebibytes: 64 };

function trlBenchmark(method: string, tokens: number, gibibytes: number): Figure {
  return {
    method,
    tokens,
    hidden: 2048,
    vocab: 248320,
    dtype: "bf16",
    span: "train",
    mebibytes: gibibytes * 1024,
    kind: "published",
    source: "https://github.com/huggingface/trl/pull/6858: H100",
    beside: TRL_BESIDE,
    tolerance: { mebibytes: 6, why: "printed to 0.01 GiB" },
  };
}

const TRL: readonly Figure[] = [
  trlBenchmark("pytorch-two-stage", 16384, 47.55),
  trlBenchmark("liger", 16384, 6.05),
  trlBenchmark("cut-cross-entropy", 16384, 3.09),
  trlBenchmark("cut-cross-entropy", 4096, 2.95),
];

/** Every figure. */
export const FIGURES: readonly Figure[] = [...MEASURED, ...CUT_README, ...LIGER_CSV, ...TRL];

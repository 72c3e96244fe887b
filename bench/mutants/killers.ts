/**
 * The tests that notice planted errors, by what they are about.
 *
 * @module
 */
import type { Killer } from "./mutant.ts";

const VERIFY = "fixtures/verify/verify_device_test.ts";
const EDGES = "kernels/run/edges_device_test.ts";
const LIBRARY = "kernels/run/linear_cross_entropy_device_test.ts";
const RANKS = "fixtures/verify/verify_ranks_device_test.ts";

const verifies = (filter: string): Killer => ({ test: VERIFY, filter });
const edge = (filter: string): Killer => ({ test: EDGES, filter });
const library = (filter: string): Killer => ({ test: LIBRARY, filter });
const alone = (kernels: string): Killer => ({ test: `kernels/wgsl/${kernels}_device_test.ts` });
const execute = (filter: string): Killer => ({
  test: "kernels/run/execute_device_test.ts",
  filter,
});
const ranks = (filter: string): Killer => ({ test: RANKS, filter });

/** Kernels by themselves, on stale memory. */
export const PROJECT = alone("project");
export const STORED_LOGITS = alone("stored_logits");
export const GRADIENTS = alone("gradients");
export const TOKENS = alone("tokens");
export const OPERAND_BOUND = alone("operand_bound");
export const ROW_SCALES = alone("row_scales");

/** A run in every way, as a user may ask for it. */
export const THOROUGH: Killer = {
  lce: ["run", "--thorough", "fixtures/oracle/bias.safetensors"],
};

/** Kernels in matrices that no software device has, compiled and not run: needs Dawn. */
export const NATIVE_MATRICES: Killer = { test: "kernels/run/native_matrices_test.ts" };

/** Whole schedules in matrices made of plain WGSL. */
export const MATRICES: Killer = { test: "fixtures/verify/matrices_device_test.ts" };

/** The same of values in bf16, which become halves. */
export const HALVES: Killer = { test: "fixtures/verify/halves_device_test.ts" };

/** A student and its teacher in matrices, and the most that their gradients may be. */
export const DISTILL_HALVES: Killer = {
  test: "fixtures/verify/distill_halves_device_test.ts",
};
export const DISTILL_SLOPES: Killer = {
  test: "planner/heads/distill_test.ts",
  filter: "no derivative is larger than its bound",
};

/** Against the oracle's figures, or the float64 reference. */
export const ORACLE: Killer = {
  test: "fixtures/verify/oracle_device_test.ts",
  filter: "agrees with PyTorch in every strategy",
};
export const SPLIT_ORACLE: Killer = {
  test: "fixtures/verify/oracle_device_test.ts",
  filter: "operands are split in two",
};
const random = (tier: string) =>
  verifies(`random problems agree with the reference, whatever the windows and blocks: ${tier}`);
export const RANDOM = random("f32");
export const RANDOM_HALVES = random("matrix");
export const RANDOM_SPLIT = random("split");
export const WINDOWS = verifies("windows that end within a tile");
export const TILES = verifies("every shipped tile");
export const SPANS = verifies("a weight larger than a buffer");
export const STREAMED = verifies("a streamed weight");
export const NO_TOKENS = verifies("a mean over no tokens");

/** What ordinary sizes do not reach. */
export const BANDS = edge("tiles in bands");
export const MANY_TOKENS = edge("every token counts");
export const EQUALS = edge("the smallest among equals");
export const FILTER = edge("a gradient filter");
export const PARTS = edge("hidden gradients in parts and whole");
export const SMALL_ENTROPY = edge("entropies of almost nothing");
export const MASKED = edge("ids that are masked");

/** The executor by itself. */
export const CLOCK = execute("the time of a run");
export const LARGE_UPLOAD = execute("a large tensor is uploaded in pieces");
export const REPORTED = execute("what the device reports");

export const STREAMED_SOURCE = execute("a streamed source gives");
export const AHEAD = execute("the next window is read");
export const FAILURES = execute("whatever fails");

/** Every fault of a device, at every call. */
export const FAULTS: Killer = { test: "kernels/faults_test.ts" };
export const TIMED_FAULTS: Killer = { test: "cli/bench/faults_test.ts" };
export const COMMANDS_FAULTS: Killer = { test: "cli/every_fault_test.ts" };

/** Runs on a device that refuses some memory, and files of strangers. */
export const RETRY: Killer = { test: "cli/retry_device_test.ts" };
export const FAULT_ROWS: Killer = {
  test: "cli/faults_device_test.ts",
  filter: "fault of lce run: the disk is full",
};
export const INSIDE: Killer = { test: "fixtures/files/inside_test.ts" };
export const HOSTILE: Killer = { test: "cli/hostile_test.ts" };
export const SETTINGS_FILES: Killer = { test: "cli/files/map_file_test.ts" };

export const CLASS_ROUNDS: Killer = { test: "fixtures/verify/rounds_device_test.ts" };

/** Bytes on the host, and in files. */
export const SOURCES: Killer = { test: "host/source_test.ts" };
export const FILE_RANGE: Killer = { test: "fixtures/files/file_range_test.ts" };
export const WRITER: Killer = { test: "fixtures/files/safetensors_writer_test.ts" };
export const SYNTHETIC: Killer = { test: "fixtures/synthetic_test.ts" };
/** Codes in the place of ids. */
export const CODEBOOK: Killer = { test: "fixtures/codebook_test.ts" };
export const ADAPTER_FILES: Killer = { test: "cli/adapter_device_test.ts" };
export const ADAPTER: Killer = { test: "fixtures/verify/adapter_device_test.ts" };
export const SAMPLED: Killer = { test: "fixtures/verify/sampled_device_test.ts" };
export const SUB_TOKENS: Killer = { test: "fixtures/verify/sub_tokens_device_test.ts" };
export const SUB_TOKEN_PLANS: Killer = { test: "planner/heads/sub_tokens_test.ts" };
export const FUSION_RUN: Killer = { test: "fixtures/verify/fusion_run_device_test.ts" };
export const FUSION: Killer = { test: "fixtures/verify/fusion_device_test.ts" };
export const MISMATCH: Killer = { test: "planner/heads/fusion_test.ts" };
export const LISTED: Killer = { test: "fixtures/verify/top_k_device_test.ts" };
export const DRAWN: Killer = { test: "fixtures/verify/draw_device_test.ts" };
export const PAPERS: Killer = { test: "objectives/objectives_test.ts" };
export const ALIGNMENT: Killer = { test: "kernels/run/alignment_device_test.ts" };
export const DISTILL: Killer = { test: "fixtures/verify/distill_device_test.ts" };
export const LONG_LISTS: Killer = { test: "fixtures/verify/top_k_device_test.ts" };
export const LISTS: Killer = { test: "fixtures/verify/listed_device_test.ts" };
export const DISTILL_PLANS: Killer = { test: "planner/heads/distill_test.ts" };
export const SUM_OF_HEADS: Killer = { test: "fixtures/sum_of_heads_test.ts" };
export const K_MEANS: Killer = { test: "kernels/codebook/k_means_device_test.ts" };
export const MADE_CODEBOOK: Killer = { test: "cli/codebook_device_test.ts" };
export const CODE_MAP: Killer = { test: "planner/heads/codebook_test.ts" };
export const LARGE_REFERENCE: Killer = {
  test: "fixtures/reference/reference_test.ts",
  filter: "a large weight",
};
export const FILE_WEIGHTS: Killer = {
  test: "fixtures/verify/streamed_device_test.ts",
  filter: "a weight in a file",
};

/** The public API, step after step on the same buffers. */
export const STEPS = library("step after step");
export const UPSTREAM = library("forward() then backward()");
export const ALLOCATES = library("allocates what the plan says");
export const BAD_BUFFERS = library("says what is wrong");

/** Several ranks. */
export const SPLIT_VOCABULARY = ranks("a vocabulary split unevenly");
export const SEQUENCE = ranks("hidden states split by tokens");
export const REPLICAS = ranks("replicas share the divisor");
export const PIECES = ranks("piece by piece");
export const FOUR_PROCESSES: Killer = {
  test: "cli/mpi_device_test.ts",
  filter: "four processes",
};
export const LINKS: Killer = { test: "planner/links_test.ts" };
export const LINK_TIMES: Killer = { test: "planner/links_test.ts", filter: "takes its steps" };
export const SPLITS: Killer = { test: "planner/splits_test.ts" };

const resumes = (filter: string): Killer => ({ test: "cli/resume_device_test.ts", filter });

/** Long runs that are broken off. */
export const RESUMED = resumes("broken off behind any round");
export const JOURNAL = resumes("torn or damaged");
export const INTERRUPTED = resumes("while something is written");

/** How long a dispatch takes, by the estimate. */
export const TIMELY: Killer = { test: "planner/timely_test.ts" };

/** How fast a device is, and what of that is kept. */
export const CALIBRATED: Killer = { test: "cli/bench/calibrated_test.ts" };
export const CALIBRATION: Killer = { test: "kernels/measure/calibrate_device_test.ts" };
export const MADE_UP: Killer = { test: "kernels/measure/calibrate_test.ts" };
export const TUNING: Killer = { test: "cli/bench/tune_test.ts" };
export const KEPT: Killer = { test: "cli/files/kept_test.ts" };

/** What is set beside an earlier plan or run, and what is given to others. */
export const PLAN_AGAINST: Killer = { test: "cli/plan_against_test.ts" };
export const ROWS_AGAINST: Killer = { test: "cli/bench/against_test.ts" };
export const EMITTED: Killer = { test: "cli/emit_device_test.ts" };
export const REPORTS: Killer = { test: "cli/report_test.ts" };

/**
 * PyTorch's own `linear_cross_entropy` with options, which works on chunks of
 * tokens and computes gradients in the forward pass.
 *
 * @module
 */
import { dimensionsOf, headOf, type Problem } from "../problem.ts";
import type { Peer, Phase } from "./peer.ts";
import { nextPowerOfTwo, returnedGradients, type Size, type Sizes, sizes } from "./sizes.ts";

const DOCUMENTATION =
  "https://docs.pytorch.org/docs/2.13/generated/torch.nn.LinearCrossEntropyOptions.html";

/**
 * Returns the rows of a chunk: as many as make its logits about as large as the hidden states,
 * capped (pytorch/pytorch pull request 187838).
 */
export function pytorchChunkRows(problem: Problem): number {
  const { tokens, hidden, vocab } = dimensionsOf(problem);
  const ratio = nextPowerOfTwo(Math.ceil(tokens / Math.ceil(vocab / hidden)));
  const most = 2 ** Math.floor(Math.log2(Math.max(1, tokens * vocab / (4 * hidden))));
  return Math.min(ratio, most, tokens);
}

/**
 * Returns the phases of the chunk loop and of what it returns, from the arrays of its accumulation
 * policy.
 */
function chunked(
  policy: string,
  title: string,
  formula: string,
  arrays: (problem: Problem, size: Sizes, rows: number) => Record<string, Size | undefined>,
): Peer {
  return {
    method: `pytorch-linear-cross-entropy-${policy}`,
    title,
    source: `${DOCUMENTATION}, acc_policy="${policy}": ${formula}`,
    note:
      "the formula that PyTorch publishes, for 16-bit storage on CUDA; no measurement held here",
    limits: {
      options: ["bias", "classWeight", "labelSmoothing"],
      dtypes: ["bf16", "f16"],
    },
    forward(problem, recording): Phase[] {
      const size = sizes(problem);
      const rows = pytorchChunkRows(problem);
      if (!recording) return [{ step: "chunk", live: { "logits": size.logitRows(rows, 4) } }];
      return [
        { step: "chunk and its gradients", live: arrays(problem, size, rows) },
        { step: "return", live: returnedGradients(problem) },
      ];
    },
    backward: (problem) => [{ step: "scale in place", live: returnedGradients(problem) }],
  };
}

/** Accumulates in f32 wherever it adds. */
export const FUSED_ACCURATE: Peer = chunked(
  "accurate",
  "PyTorch linear_cross_entropy, accurate",
  "4BC + 10CF + 4BF + 4NF",
  (_, { logitRows, hiddenRows, weight, hiddenGradient, weightGradient, biasGradient }, rows) => ({
    "logits": logitRows(rows, 4),
    "weight in f32": weight(4),
    "weight gradient of the chunk": weightGradient(4),
    "weight gradient": weightGradient(),
    "hidden states of the chunk in f32": hiddenRows(rows, 4),
    "hidden gradient": hiddenGradient(4),
    "bias gradient": biasGradient(),
  }),
);

/** Accumulates in the storage type. */
export const FUSED_COMPACT: Peer = chunked(
  "compact",
  "PyTorch linear_cross_entropy, compact",
  "6BC + 2CF + 4BF + 2NF (f16: 4BC)",
  (
    problem,
    { logitRows, hiddenRows, hiddenGradient, weightGradient, biasGradient },
    rows,
  ) => ({
    "logits": logitRows(rows, headOf(problem).dtype === "f16" ? 2 : 4),
    "logit gradient": logitRows(rows),
    "weight gradient": weightGradient(),
    "hidden states of the chunk in f32": hiddenRows(rows, 4),
    "hidden gradient": hiddenGradient(),
    "bias gradient": biasGradient(),
  }),
);

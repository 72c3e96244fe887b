/**
 * Megatron-LM's and verl's linear cross-entropy: the forward pass keeps statistics
 * of each token and vocabulary split, the backward pass recomputes the logits, of
 * one split at a time where it stores them.
 *
 * @module
 */
import { headOf, type Problem } from "../problem.ts";
import type { Peer, Phase } from "./peer.ts";
import { type Size, sizes } from "./sizes.ts";

/** Vocabulary ids of a split. Megatron's can be set by environment variables; these are the defaults. */
const SPLIT = { megatron: 3072, verlForward: 1024, verlBackward: 9504 };

/** Returns the statistics of `each` bytes for each token and vocabulary split. */
function perSplit(problem: Problem, split: number, each: number): Size {
  return sizes(problem).logitColumns(Math.ceil(headOf(problem).vocab / split), each);
}

/** Megatron-LM's kernels for Blackwell. */
export const MEGATRON: Peer = {
  method: "megatron",
  title: "Megatron-LM linear cross-entropy",
  source:
    "https://github.com/NVIDIA/Megatron-LM, branch dev, commit d48bd6be0a, megatron/core/fusions/linear_cross_entropy/blackwell/entry.py",
  note:
    "Blackwell only; from the second split on, the product of the split before is still named while the next one is computed",
  limits: { options: [], dtypes: ["bf16", "f16"], hiddenMultiple: 64 },
  forward(problem, recording) {
    const { tokens } = sizes(problem);
    const statistics = { "maxima": tokens(4), "sums": tokens(4) };
    return [
      {
        step: "splits",
        live: {
          ...statistics,
          "target logits": tokens(4),
          "maxima and sums of splits": perSplit(problem, SPLIT.megatron, 8),
        },
      },
      { step: "return", live: recording ? statistics : {} },
    ];
  },
  backward(problem) {
    const { tokens, hidden, weight, logitColumns } = sizes(problem);
    // It computes both gradients whether or not they are wanted.
    const live = {
      "maxima": tokens(4),
      "sums": tokens(4),
      "hidden gradient in f32": hidden(4),
      "weight gradient": weight(),
      "logit gradient of a split": logitColumns(SPLIT.megatron),
      "product": hidden(4),
    };
    const again = headOf(problem).vocab > SPLIT.megatron;
    return [
      {
        step: "splits",
        live: { ...live, "product of the split before": again ? hidden(4) : undefined },
      },
      { step: "convert", live: { ...live, "converted hidden gradient": hidden() } },
    ];
  },
};

/** Statistics and results of each token that verl's forward pass leaves. */
function verlKept(problem: Problem) {
  const { tokens } = sizes(problem);
  return {
    "maxima, sums and weighted logits": tokens(12),
    "log-probabilities and entropies": tokens(8),
  };
}

function verl(
  mode: string,
  title: string,
  note: string | undefined,
  backward: (problem: Problem) => Phase[],
): Peer {
  return {
    method: `verl-${mode}`,
    title,
    source:
      "https://github.com/volcengine/verl, commit b178a3cd5, verl/utils/kernel/kernels.py, efficient_entropy_forward and efficient_entropy_backward",
    ...(note === undefined ? {} : { note }),
    limits: {
      options: ["logitScale", "entropy"],
      dtypes: ["bf16", "f16"],
      hiddenMultiple: 128,
    },
    forward: (problem, recording) => [
      {
        step: "splits",
        live: {
          ...verlKept(problem),
          "maxima, sums and weighted logits of splits": perSplit(problem, SPLIT.verlForward, 12),
        },
      },
      { step: "return", live: recording ? verlKept(problem) : {} },
    ],
    backward,
  };
}

/** Logit gradients of one split of the vocabulary at a time; the default. */
export const VERL_SPLIT: Peer = verl(
  "split",
  "verl, vocabulary in splits",
  "the default; adds the hidden gradient up in the storage type",
  (problem) => {
    const { hidden, weight, logitColumns } = sizes(problem);
    const live = {
      ...verlKept(problem),
      "hidden gradient": hidden(),
      "weight gradient": weight(),
    };
    const buffer = logitColumns(SPLIT.verlBackward);
    const columns = headOf(problem).vocab % SPLIT.verlBackward;
    const last = columns === 0 ? buffer : logitColumns(columns);
    const splits = Math.ceil(headOf(problem).vocab / SPLIT.verlBackward);
    return [
      {
        step: "a split",
        live: {
          ...live,
          "logit gradient of the split": buffer,
          "product": splits > 2 || (splits > 1 && columns === 0) ? hidden() : undefined,
        },
      },
      {
        step: "cut off the last split's padding",
        live: {
          ...live,
          "logit gradient of the split": buffer,
          "its columns that exist": columns === 0 ? undefined : last,
        },
      },
      {
        step: "last split",
        live: {
          ...live,
          "logit gradient of the split": last,
          "product": splits > 1 ? hidden() : undefined,
        },
      },
    ];
  },
);

/** All logit gradients, then two products. */
export const VERL_SEPARATE: Peer = verl(
  "separate",
  "verl, all logit gradients",
  undefined,
  (problem) => {
    const { hidden, weight, logits } = sizes(problem);
    return [{
      step: "gradients",
      live: {
        ...verlKept(problem),
        "hidden gradient": hidden(),
        "weight gradient": weight(),
        "logit gradient": logits(),
      },
    }];
  },
);

/** No logit gradients: tiles are added to f32 gradients, which are returned so. */
export const VERL_FUSED: Peer = verl(
  "fused",
  "verl, fused gradients",
  "returns gradients in f32",
  (problem) => {
    const { hidden, weight } = sizes(problem);
    return [{
      step: "gradients",
      live: {
        ...verlKept(problem),
        "hidden gradient": hidden(4),
        "weight gradient": weight(4),
      },
    }];
  },
);

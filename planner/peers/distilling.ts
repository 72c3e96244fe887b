/**
 * Methods of distillation: a student's head that learns from a teacher's.
 *
 * @module
 */
import type { Problem } from "../problem.ts";
import { ligerChunkRows } from "./liger.ts";
import type { Peer, Phase } from "./peer.ts";
import { returnedGradients, type Size, sizes } from "./sizes.ts";

/** Liger's chunk loop, which computes gradients in the forward pass, recording or not. */
function chunkLoop(problem: Problem): Phase[] {
  const { logits, logitRows, weight } = sizes(problem);
  const rows = ligerChunkRows(problem);
  const each = logitRows(rows, 4);
  const live = {
    ...returnedGradients(problem, "always"),
    "loss of each logit": logits(4),
    "teacher's logits of the chunk": each,
    "student's log-softmax, then its gradient": each,
    "teacher's log-softmax": each,
  };
  return [
    {
      step: "gradient by logits",
      live: {
        ...live,
        "student's logits": each,
        "softmax": each,
        "its part of the gradient": each,
      },
    },
    {
      step: "weight gradient",
      live: { ...live, "logit gradient": logitRows(rows), "product": weight() },
    },
  ];
}

/** Liger's fused linear JSD, of which both divergences of Kullback and Leibler are the ends. */
export const LIGER_JSD: Peer = {
  method: "liger-jsd",
  title: "Liger's fused linear JSD",
  source:
    "https://github.com/linkedin/Liger-Kernel, commit 0eaa2d5d, src/liger_kernel/ops/fused_linear_jsd.py",
  note: "keeps the loss of every logit of every token, in f32",
  limits: { options: [], reductions: ["mean"] },
  forward: (problem, recording) => [
    ...chunkLoop(problem),
    { step: "return", live: recording ? returnedGradients(problem, "always") : {} },
  ],
  backward: (problem) => [{ step: "scale in place", live: returnedGradients(problem, "always") }],
};

/** Rows of a chunk of TRL's, by default. */
const TRL_ROWS = 256;

/** What TRL has throughout: hidden states of both heads in the order of their chunks. */
function gathered(problem: Problem): Record<string, Size> {
  const { stored, hidden } = sizes(problem);
  const { hidden: E } = problem.heads[1]!;
  return {
    "student's hidden states, sorted": hidden(),
    "teacher's hidden states, sorted": { each: stored, count: problem.tokens * E, symbol: "NE" },
  };
}

/** The most that a chunk of TRL's takes, whether it is computed first or recomputed. */
function trlChunk(problem: Problem): Record<string, Size> {
  const each = sizes(problem).logitRows(Math.min(TRL_ROWS, problem.tokens), 4);
  const arrays = ["logits", "log-softmax"].flatMap((of) => [`student's ${of}`, `teacher's ${of}`]);
  return Object.fromEntries(
    [...arrays, "teacher's softmax", "difference", "divergence of each logit"]
      .map((name) => [name, each]),
  );
}

/** TRL's chunks, each a checkpoint: nothing of it is kept for the backward pass. */
export const TRL_CHUNKS: Peer = {
  method: "trl-chunks",
  title: "TRL, divergence by chunks",
  source:
    "https://github.com/huggingface/trl, pull request 6526, trl/trainer/distillation_trainer.py, _chunked_divergence_loss, chunks of 256 tokens",
  note: "read in the source, not measured",
  limits: { options: [], reductions: ["mean"] },
  forward: (problem, recording) => [
    { step: "chunk", live: { ...gathered(problem), ...trlChunk(problem) } },
    { step: "return", live: recording ? gathered(problem) : {} },
  ],
  backward(problem) {
    const { hidden, weight, logitRows } = sizes(problem);
    const each = logitRows(Math.min(TRL_ROWS, problem.tokens), 4);
    const live = {
      ...gathered(problem),
      ...returnedGradients(problem),
      "gradient of the sorted hidden states": hidden(),
    };
    return [
      { step: "recompute a chunk", live: { ...live, ...trlChunk(problem) } },
      {
        step: "weight gradient",
        live: {
          ...live,
          "student's log-softmax": each,
          "teacher's log-softmax": each,
          "gradient by logits": each,
          "product": weight(),
        },
      },
    ];
  },
};

/** What autograd keeps of two heads: both log-softmaxes in f32, beside what its backward pass makes. */
function kept(problem: Problem): Record<string, Size> {
  const { logits } = sizes(problem);
  return { "student's log-softmax": logits(4), "teacher's log-softmax": logits(4) };
}

/** `kl_div(log_softmax, log_softmax)` in PyTorch, with every logit stored. */
export const TWO_HEADS: Peer = {
  method: "pytorch-kl",
  title: "PyTorch, kl_div of two log_softmax",
  source: "by the definition: both heads' log-probabilities and the gradient of one, in f32",
  note: "least that autograd needs: the logits themselves are freed as soon as they can be",
  limits: { options: [], open: true },
  forward: (problem, recording) => [
    {
      step: "log_softmax of the student's logits",
      live: { ...kept(problem), "student's logits": sizes(problem).logits(4) },
    },
    { step: "return", live: recording ? kept(problem) : {} },
  ],
  backward: (problem) => [
    {
      step: "gradient by logits",
      live: {
        ...kept(problem),
        "gradient by log-probabilities": sizes(problem).logits(4),
        "gradient by logits": sizes(problem).logits(4),
      },
    },
    {
      step: "gradients",
      live: { ...returnedGradients(problem), "gradient by logits": sizes(problem).logits(4) },
    },
  ],
};

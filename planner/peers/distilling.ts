/**
 * Methods of distillation: a student's head that learns from a teacher's.
 *
 * @module
 */
import type { Divergence } from "../heads/distill.ts";
import type { Problem } from "../problem.ts";
import { ligerChunkRows } from "./liger.ts";
import type { Peer, Phase } from "./peer.ts";
import { returnedGradients, type Size, sizes } from "./sizes.ts";

/** Divergences of Kullback and Leibler between two softmaxes. */
const OF_SOFTMAXES: readonly Divergence[] = ["forward-kl", "reverse-kl"];

/** With that of a mixture, whose ends they are. */
const OR_MIXED: readonly Divergence[] = [...OF_SOFTMAXES, "jsd"];

/** Returns arrays of the same size by their names. */
function alike(each: Size, ...names: readonly string[]): Record<string, Size> {
  return Object.fromEntries(names.map((name) => [name, each]));
}

/** Both log-softmaxes and a log-weight each, in one array of twice the size: the logsumexp's backward pass has it. */
const STACKED = ["student's part of the mixture", "teacher's part of the mixture"] as const;

/** What `logsumexp` of two stacked arrays takes at most, its result and that stack included. */
const MIXING = [
  ...STACKED,
  "larger of both",
  "student's part less the larger",
  "teacher's part less the larger",
  "mixture",
] as const;

/** What autograd keeps of a mixture and the divergences of student and teacher from it. */
const MIXED_KEPT = [
  ...STACKED,
  "mixture",
  "teacher's softmax",
  "student's softmax",
  "student's difference from the mixture",
] as const;

/** The most of a mixture's divergence while it is recorded: its halves, and both times their weights. */
const MIXED_RECORDED = [
  ...MIXED_KEPT,
  "teacher's divergence of each logit",
  "student's divergence of each logit",
  "teacher's, weighed",
  "student's, weighed",
  "divergence of each logit",
] as const;

/** What `logsumexp_backward` makes of a stack of two, in one expression, beside what it is given. */
const UNMIXING = [
  "gradient by the mixture",
  "student's part less the mixture",
  "teacher's part less the mixture",
  "student's share of the mixture",
  "teacher's share of the mixture",
  "gradient by the student's part",
  "gradient by the teacher's part",
] as const;

/** What there is of a mixture's divergence when its parts get their gradients. */
const AT_UNMIXING = [
  "student's log-softmax",
  "gradient by the student's log-softmax",
  ...STACKED,
  "mixture",
  ...UNMIXING,
] as const;

/** Returns whether the divergence is that of a mixture. */
function isMixed({ distill }: Problem): boolean {
  return distill?.divergence === "jsd";
}

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

/** Liger's fused linear JSD, whose ends are both divergences of Kullback and Leibler: the same arrays for each. */
export const LIGER_JSD: Peer = {
  method: "liger-jsd",
  title: "Liger's fused linear JSD",
  source:
    "https://github.com/linkedin/Liger-Kernel, commit 0eaa2d5d, src/liger_kernel/ops/fused_linear_jsd.py",
  note: "keeps the loss of every logit of every token, in f32",
  limits: { options: [], reductions: ["mean"], divergences: OR_MIXED },
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

/** Both heads' logits and log-softmaxes, which TRL's functions hold by name to their end. */
const TRL_NAMED = [
  "student's logits",
  "student's log-softmax",
  "teacher's logits",
  "teacher's log-softmax",
] as const;

/**
 * The most that a chunk of TRL's takes. Of two softmaxes that is the same whether it is computed first
 * or recomputed; of a mixture, what is recorded is more.
 */
function trlChunk(problem: Problem, recording: boolean): Record<string, Size> {
  const each = sizes(problem).logitRows(Math.min(TRL_ROWS, problem.tokens), 4);
  const most = !isMixed(problem)
    ? ["teacher's softmax", "difference", "divergence of each logit"]
    : recording
    ? MIXED_RECORDED
    : MIXING;
  return alike(each, ...TRL_NAMED, ...most);
}

/** TRL's chunks, each a checkpoint: nothing of it is kept for the backward pass. */
export const TRL_CHUNKS: Peer = {
  method: "trl-chunks",
  title: "TRL, divergence by chunks",
  source:
    "https://github.com/huggingface/trl, pull request 6526, trl/trainer/distillation_trainer.py, _chunked_divergence_loss, chunks of 256 tokens",
  note: "read in the source, not measured",
  limits: { options: [], reductions: ["mean"], divergences: OR_MIXED },
  forward: (problem, recording) => [
    { step: "chunk", live: { ...gathered(problem), ...trlChunk(problem, false) } },
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
      { step: "recompute a chunk", live: { ...live, ...trlChunk(problem, true) } },
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

/** Both heads' logits as models return them, and over the temperature: held until the loss is there. */
const GKD_NAMED = [
  "student's logits",
  "teacher's logits",
  "student's logits over the temperature",
  "teacher's logits over the temperature",
  "student's log-softmax",
  "teacher's log-softmax",
] as const;

/** What the divergence of TRL's GKD takes at most, beside what is named. */
function gkdMost(problem: Problem, recording: boolean): readonly string[] {
  if (isMixed(problem)) return recording ? MIXED_RECORDED : MIXING;
  const three = ["softmax it is a mean under", "difference", "divergence of each logit"];
  // The student's softmax and the difference are both recorded while tokens are picked.
  return recording && problem.distill?.divergence === "reverse-kl"
    ? [...three, "divergence of each logit that counts"]
    : three;
}

/** What autograd keeps of TRL's GKD. */
function gkdKept(problem: Problem): Record<string, Size> {
  const log = "student's log-softmax";
  const kept: Readonly<Partial<Record<Divergence, readonly string[]>>> = {
    "forward-kl": ["teacher's softmax"],
    "reverse-kl": ["student's softmax", "difference"],
    jsd: MIXED_KEPT,
  };
  return alike(sizes(problem).logits(), log, ...kept[problem.distill!.divergence]!);
}

/** TRL's trainer of generalised knowledge distillation, with every logit stored, in the type of the models. */
export const TRL_GKD: Peer = {
  method: "trl-gkd",
  title: "TRL's GKD, of all logits",
  source:
    "https://github.com/huggingface/trl, commit 054a0dab, trl/experimental/gkd/gkd_trainer.py, generalized_jsd_loss",
  note: "read in the source, not measured; without Liger",
  limits: { options: ["bias"], open: true, reductions: ["mean"], divergences: OR_MIXED },
  forward: (problem, recording) => [
    {
      step: "divergence",
      live: alike(sizes(problem).logits(), ...GKD_NAMED, ...gkdMost(problem, recording)),
    },
    { step: "return", live: recording ? gkdKept(problem) : {} },
  ],
  backward(problem) {
    const each = sizes(problem).logits();
    // Gradients of one array are made of another's, which is then let go of.
    const first = isMixed(problem)
      ? ["teacher's, by its weight", "student's, by its weight"]
      : ["gradient by each logit's divergence"];
    const second = problem.distill!.divergence === "forward-kl"
      ? ["gradient by the difference"]
      : ["gradient by the softmax", "gradient by the difference"];
    return [
      {
        step: "gradient by the difference",
        live: { ...gkdKept(problem), ...alike(each, ...first, ...second) },
      },
      ...(isMixed(problem)
        ? [{
          step: "gradient by the mixture's parts",
          live: alike(each, ...AT_UNMIXING),
        }]
        : []),
      {
        step: "gradients",
        live: { ...returnedGradients(problem), "gradient by logits": each },
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
  limits: { options: [], open: true, divergences: OF_SOFTMAXES, unmodelled: ["jsd"] },
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

/** Rows of a chunk of ms-swift's, as its documentation proposes. */
const SWIFT_ROWS = 512;

/** What ms-swift's forward pass leaves: gradients, which its backward pass multiplies. */
function swiftGradients(problem: Problem, note = ""): Record<string, Size | undefined> {
  const { hidden, weightGradient, biasGradient } = sizes(problem);
  return {
    [`hidden gradient${note}`]: hidden(),
    [`weight gradient${note}`]: weightGradient(4),
    [`bias gradient${note}`]: biasGradient(4),
  };
}

/** ms-swift's chunks, which compute gradients in the forward pass, recording or not. */
function swiftLoop(problem: Problem): Phase[] {
  const { stored, hidden, hiddenRows, logitRows, weight, weightGradient } = sizes(problem);
  const rows = Math.min(SWIFT_ROWS, problem.tokens);
  const each = logitRows(rows, 4);
  const teachers = problem.tokens * problem.heads[1]!.hidden;
  const live = {
    ...swiftGradients(problem),
    "student's hidden states that count": hidden(),
    "teacher's hidden states that count": { each: stored, count: teachers, symbol: "NE" },
    "student's logits over the temperature": each,
    "teacher's logits over the temperature": each,
  };
  const divergence = isMixed(problem)
    ? [...MIXED_KEPT, "student's divergence of each logit"]
    : ["softmax that it is a mean under", "difference", "divergence of each logit"];
  const logs = ["student's log-softmax", "teacher's log-softmax"];
  return [
    { step: "divergence of a chunk", live: { ...live, ...alike(each, ...logs, ...divergence) } },
    ...(isMixed(problem)
      ? [{
        step: "gradient by the mixture's parts",
        live: { ...live, ...alike(each, ...AT_UNMIXING) },
      }]
      : []),
    {
      step: "weight gradient of a chunk",
      live: {
        ...live,
        "gradient by logits": logitRows(rows),
        "hidden gradient of the chunk": hiddenRows(rows),
        "product": weightGradient() ? weight() : undefined,
      },
    },
  ];
}

/** ms-swift's full-vocabulary divergence by chunks, of a teacher whose hidden states are kept. */
export const SWIFT_CHUNKS: Peer = {
  method: "ms-swift-chunks",
  title: "ms-swift, divergence by chunks",
  source:
    "https://github.com/modelscope/ms-swift, pull request 10114, _ChunkedJSD in a revision of it, over jsd_loss of commit 3602360a, swift/rlhf_trainers/gkd_loss.py, chunks of 512 tokens",
  note: "read in the source, not measured; the pull request is open, and describes Liger's loop",
  limits: { options: ["bias"], reductions: ["mean"], divergences: OR_MIXED },
  forward: (problem, recording) => [
    ...swiftLoop(problem),
    { step: "return", live: recording ? swiftGradients(problem) : {} },
  ],
  backward(problem) {
    const { stored, weightGradient } = sizes(problem);
    return [{
      step: "times the gradient of the loss",
      live: {
        ...swiftGradients(problem),
        ...swiftGradients(problem, ", multiplied"),
        "weight gradient as stored": stored < 4 ? weightGradient() : undefined,
      },
    }];
  },
};

/** What dual-head distillation's criterion has recorded when it returns, and the logits that its caller holds. */
function dualHeadKept(problem: Problem): Record<string, Size> {
  const each = sizes(problem).logits(4);
  return {
    "student's logits": each,
    "teacher's logits": each,
    "sigmoid": each,
    "sigmoid, clamped": each,
    "one less it": each,
    "target": each,
    "one less the target": each,
  };
}

/** DHKD's criterion of every logit by itself, in PyTorch. */
export const DUAL_HEAD: Peer = {
  method: "dhkd",
  title: "DHKD, BinaryKL in PyTorch",
  source:
    "https://github.com/penghui-yang/DHKD, commit 7976c69, distiller_zoo/BinaryKL.py and BinaryKLNorm.py",
  note: "read in the source, not measured; in f32, as its networks are",
  limits: { options: [], open: true, divergences: ["binary-kl", "binary-kl-norm"] },
  forward: (problem, recording) => [
    {
      step: "the second kl_div",
      live: {
        ...dualHeadKept(problem),
        "divergence of the first kind": sizes(problem).logits(4),
        "logarithm": sizes(problem).logits(4),
        "target times its logarithm": sizes(problem).logits(4),
        "target times the student's": sizes(problem).logits(4),
        "divergence of the second kind": sizes(problem).logits(4),
      },
    },
    { step: "return", live: recording ? dualHeadKept(problem) : {} },
  ],
  backward: (problem) => [
    {
      step: "gradient by the sigmoid",
      live: {
        ...dualHeadKept(problem),
        "gradient of the first kind": sizes(problem).logits(4),
        "gradient of the second kind": sizes(problem).logits(4),
        "their sum": sizes(problem).logits(4),
      },
    },
    {
      step: "gradients",
      live: {
        ...dualHeadKept(problem),
        ...returnedGradients(problem),
        "gradient by logits": sizes(problem).logits(4),
      },
    },
  ],
};

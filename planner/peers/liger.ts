/**
 * Liger-Kernel's fused linear cross-entropy: chunks of tokens whose logits are
 * stored, with the gradients computed in the forward pass.
 *
 * @module
 */
import { learnerOf, type Problem } from "../problem.ts";
import type { Peer, PeerAbout, Phase } from "./peer.ts";
import { nextPowerOfTwo, returnedGradients, sizes } from "./sizes.ts";

const FILE = "src/liger_kernel/ops/fused_linear_cross_entropy.py";
const SOURCE = `https://github.com/linkedin/Liger-Kernel, commit ead96b61, ${FILE}`;

/**
 * Returns the rows of a chunk: as many as make its logits one to two times as large as the hidden
 * states.
 */
export function ligerChunkRows(problem: Problem): number {
  const { tokens } = problem;
  const { hidden, vocab } = learnerOf(problem);
  return Math.min(nextPowerOfTwo(Math.ceil(tokens / Math.ceil(vocab / hidden))), tokens);
}

/** What the forward pass leaves: gradients that the backward pass only scales, in place. */
const results = (problem: Problem) => returnedGradients(problem, "always");

/**
 * Returns the chunk loop with gradients, whose weight gradient is added up in elements of `each`
 * bytes.
 */
function gradientLoop(problem: Problem, each: number): Phase[] {
  const { stored, tokens, logitRows, weight, weightGradient, biasGradient } = sizes(problem);
  const chunk = logitRows(ligerChunkRows(problem));
  const wide = each > stored;
  const live = {
    ...results(problem),
    "weight gradient": weightGradient(each),
    "bias gradient": biasGradient(each),
    "loss per token": tokens(4),
    "predicted ids": problem.statistics.includes("predicted") ? tokens(8) : undefined,
    "logits of the chunk, then their gradient": chunk,
  };
  const product = weightGradient() && !wide;
  return [
    {
      step: "project, the chunk before still named",
      live: {
        ...live,
        "logits of the chunk before": ligerChunkRows(problem) < problem.tokens ? chunk : undefined,
      },
    },
    {
      step: "weight gradient",
      live: {
        ...live,
        "product": product ? weight() : undefined,
        "product in f32": product && stored < 4 ? weight(4) : undefined,
        "logit gradient times upstream": problem.reduction === "none" ? chunk : undefined,
      },
    },
    {
      step: "convert",
      live: { ...live, "converted weight gradient": wide ? weightGradient() : undefined },
    },
  ];
}

/** Returns the chunk loop without gradients. */
function lossLoop(problem: Problem): Phase[] {
  const { tokens, logitRows, hidden } = sizes(problem);
  const chunk = logitRows(ligerChunkRows(problem));
  return [{
    step: "project, the chunk before still named",
    live: {
      "hidden gradient": hidden(),
      "loss per token": tokens(4),
      "predicted ids": problem.statistics.includes("predicted") ? tokens(8) : undefined,
      "logits of the chunk": chunk,
      "logits of the chunk before": ligerChunkRows(problem) < problem.tokens ? chunk : undefined,
    },
  }];
}

function liger(
  accumulator: (stored: number) => number,
  about: PeerAbout,
): Peer {
  const loop = (problem: Problem) => gradientLoop(problem, accumulator(sizes(problem).stored));
  const deferred = ({ reduction }: Problem) => reduction === "none";
  return {
    ...about,
    limits: {
      options: ["bias", "softcap", "labelSmoothing", "classWeight", "zLoss", "predicted"],
    },
    forward: (problem, recording) => [
      ...(deferred(problem) ? lossLoop(problem) : loop(problem)),
      { step: "return", live: recording && !deferred(problem) ? results(problem) : {} },
    ],
    backward: (problem) =>
      deferred(problem) ? loop(problem) : [{ step: "scale in place", live: results(problem) }],
  };
}

const ALWAYS_GRADIENTS =
  "parameters that require a gradient get it computed in every forward pass, recording or not";

/** Adds the weight gradient up in the storage type. */
export const LIGER: Peer = liger((stored) => stored, {
  method: "liger",
  title: "Liger",
  source: `${SOURCE}, accum_dtype=None`,
  note: `${ALWAYS_GRADIENTS}; later commits add in place, without the two products`,
});

/** Adds the weight gradient up in f32, in place; in f32 storage it is the same as {@linkcode LIGER}. */
export const LIGER_F32: Peer = liger(() => 4, {
  method: "liger-f32",
  title: "Liger, f32 accumulator",
  source: `${SOURCE}, accum_dtype=torch.float32 with PyTorch 2.8 or later`,
  note: ALWAYS_GRADIENTS,
});

/** Liger as it was until 0.4: logits converted to f32 and back, the weight gradient added in place. */
export const LIGER_0_4: Peer = {
  method: "liger-0.4",
  title: "Liger 0.4",
  source: `https://github.com/linkedin/Liger-Kernel, commit e11c2d6c, ${FILE}`,
  note: ALWAYS_GRADIENTS,
  limits: { options: [], reductions: ["mean"], dtypes: ["bf16", "f16"] },
  forward(problem, recording) {
    const { tokens, logitRows } = sizes(problem);
    const rows = ligerChunkRows(problem);
    return [
      {
        step: "convert, the chunk before still named",
        live: {
          ...results(problem),
          "loss per token": tokens(4),
          "logits": logitRows(rows),
          "logits in f32": logitRows(rows, 4),
          "logit gradient of the chunk before": rows < problem.tokens ? logitRows(rows) : undefined,
        },
      },
      { step: "return", live: recording ? results(problem) : {} },
    ];
  },
  backward: (problem) => [{ step: "scale in place", live: results(problem) }],
};

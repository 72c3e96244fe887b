/**
 * Unsloth's fused loss on CUDA: autograd over chunks of tokens, as many as a memory
 * target allows.
 *
 * @module
 */
import { bytesPerElement } from "../dtype.ts";
import { headOf, type Problem } from "../problem.ts";
import type { Peer } from "./peer.ts";
import { bytesOf, returnedGradients, sizes } from "./sizes.ts";

/** Memory target in bytes: half of what is free, at most this; 8 GiB are taken to be free. */
const TARGET = 4 * 2 ** 30;
/** Bytes of a chunk that its planner expects for each logit. */
const EXPECTED_PER_LOGIT = 16;

/** What the forward pass leaves. */
const results = (problem: Problem) => returnedGradients(problem, "always");

/**
 * Returns the rows of a chunk. What no chunking can shrink, the hidden gradient and the head's
 * gradient twice, is first taken off the target, unless it is all of it; one chunk, or a multiple
 * of four.
 */
export function unslothChunkRows(problem: Problem): number {
  const { hidden, logits, weightGradient, biasGradient } = sizes(problem);
  const fixed = bytesOf(hidden()) +
    [weightGradient(), biasGradient()].reduce(
      (sum, size) => sum + (size ? 2 * bytesOf(size) : 0),
      0,
    );
  const target = fixed < TARGET ? TARGET - fixed : TARGET;
  const wanted = bytesOf(logits(EXPECTED_PER_LOGIT)) / target;
  const chunks = wanted <= 1 ? 1 : Math.min(4 * Math.ceil(wanted / 4), problem.tokens);
  return Math.ceil(problem.tokens / chunks);
}

/** `unsloth_fused_ce_loss` on CUDA. */
export const UNSLOTH: Peer = {
  method: "unsloth",
  title: "Unsloth",
  source:
    "https://github.com/unslothai/unsloth-zoo, commit 002a0c99, unsloth_zoo/fused_losses/cross_entropy_loss.py, UnslothFusedLoss",
  note:
    "with at least 8 GiB free, and the eager chain of its comment, 14 bytes for each 16-bit logit: where torch.compile works it takes less; commit ce232d6c planned with 4 bytes. Gradients are computed in every forward pass",
  limits: { options: ["bias", "softcap", "logitScale"], reductions: ["mean", "sum"] },
  forward(problem, recording) {
    const { logitRows, hiddenRows, weightGradient } = sizes(problem);
    const rows = unslothChunkRows(problem);
    const copies = bytesPerElement(headOf(problem).dtype) < 4;
    return [
      {
        step: "loss of a chunk and its gradient",
        live: {
          ...results(problem),
          "logits": copies ? logitRows(rows) : undefined,
          "logits after tanh": headOf(problem).softcap === undefined ? undefined : logitRows(rows),
          "logits in f32": logitRows(rows, 4),
          "log-softmax": logitRows(rows, 4),
          "logit gradient in f32": logitRows(rows, 4),
        },
      },
      {
        step: "gradients of the chunk",
        live: {
          ...results(problem),
          "logit gradient": logitRows(rows),
          "hidden gradient of the chunk": hiddenRows(rows),
          "weight gradient of the chunk": weightGradient(),
        },
      },
      { step: "return", live: recording ? results(problem) : {} },
    ];
  },
  backward(problem) {
    const { hidden, weightGradient, biasGradient } = sizes(problem);
    return [{
      step: "scale into copies",
      live: {
        ...results(problem),
        "scaled hidden gradient": hidden(),
        "scaled weight gradient": weightGradient(),
        "scaled bias gradient": biasGradient(),
      },
    }];
  },
};

/**
 * Cut Cross-Entropy (Wijmans et al., arXiv 2411.09009): tiles of logits stay in
 * registers, gradients are added into global memory tile by tile under locks.
 *
 * @module
 */
import { headOf } from "../problem.ts";
import type { Peer, PeerAbout } from "./peer.ts";
import { type Size, sizes } from "./sizes.ts";

/** Tokens, ids and hidden columns that one lock guards. */
const LOCK = { rows: 128, columns: 64 };

/** What tells the presets apart. */
interface Preset {
  /** Skips tiles of small gradients, in an order of ids found in the forward pass. */
  readonly filter: boolean;
  /** Adds gradients up in f32. */
  readonly wide: boolean;
}

/** Locks, of 4 bytes each. */
const locks = (count: number): Size => ({ each: 4, count, symbol: "L" });

function cutCrossEntropy(
  { filter, wide }: Preset,
  about: PeerAbout,
): Peer {
  return {
    ...about,
    limits: { options: ["bias", "softcap", "zLoss"] },
    forward(problem, recording) {
      const { tokens, vocab } = sizes(problem);
      const statistics = {
        "log-sum-exp": tokens(4),
        "mean logits": filter ? vocab(4) : undefined,
      };
      return [
        { step: "valid tokens", live: { "indices": tokens(8), "indices in 32 bits": tokens(4) } },
        {
          step: "log-sum-exp",
          live: { ...statistics, "locks": locks(Math.ceil(problem.tokens / LOCK.rows)) },
        },
        { step: "target logits", live: { ...statistics, "target logits": tokens(4) } },
        { step: "return", live: recording ? statistics : {} },
      ];
    },
    backward(problem) {
      const { stored, tokens, vocab, hiddenGradient, weightGradient, biasGradient } = sizes(
        problem,
      );
      const each = wide ? 4 : stored;
      const casts = each > stored;
      const ifFiltered = (bytes: number) => filter ? vocab(bytes) : undefined;
      const kept = { "log-sum-exp": tokens(4), "mean logits": ifFiltered(4) };
      const lockRows = (wanted: unknown, rows: number) => wanted ? Math.ceil(rows / LOCK.rows) : 0;
      const accumulated = {
        ...kept,
        "order of ids": ifFiltered(4),
        "hidden gradient": hiddenGradient(each),
        "weight gradient": weightGradient(each),
        "bias gradient": biasGradient(4),
        "locks": locks(
          Math.ceil(headOf(problem).hidden / LOCK.columns) *
            (lockRows(hiddenGradient(), problem.tokens) +
              lockRows(weightGradient(), headOf(problem).vocab)),
        ),
      };
      const ifCast = (size: Size | undefined) => casts ? size : undefined;
      return [
        {
          step: "sort ids",
          live: {
            ...kept,
            "sorted": ifFiltered(4),
            "indices": ifFiltered(8),
            "order of ids": ifFiltered(4),
          },
        },
        { step: "gradients", live: accumulated },
        {
          step: "convert the weight gradient",
          live: { ...accumulated, "converted weight gradient": ifCast(weightGradient()) },
        },
        {
          step: "convert the hidden gradient",
          live: {
            ...accumulated,
            "weight gradient": weightGradient(),
            "converted hidden gradient": ifCast(hiddenGradient()),
          },
        },
      ];
    },
  };
}

const SOURCE =
  "https://github.com/apple/ml-cross-entropy, commit d42911f, cut_cross_entropy/cce.py, cce_lse_forward.py and cce_backward.py";
const ALWAYS_ORDERED =
  "parameters that require a gradient have their mean logits taken even without recording";

/** Gradients in the storage type, small ones skipped. */
export const CUT: Peer = cutCrossEntropy({ filter: true, wide: false }, {
  method: "cut-cross-entropy",
  title: "Cut Cross-Entropy",
  source: `${SOURCE}, preset cce`,
  note: `skips gradients below a threshold; ${ALWAYS_ORDERED}`,
});

/** Gradients in f32, small ones of the hidden states skipped. */
export const CUT_KAHAN: Peer = cutCrossEntropy({ filter: true, wide: true }, {
  method: "cut-cross-entropy-kahan",
  title: "Cut Cross-Entropy, Kahan",
  source: `${SOURCE}, preset cce_kahan_full_c with Triton 3.2 or later`,
  note:
    `adds up in f32, which replaced Kahan's summation, and skips in the hidden gradient only; ${ALWAYS_ORDERED}`,
});

/** Gradients in f32, none skipped. */
export const CUT_EXACT: Peer = cutCrossEntropy({ filter: false, wide: true }, {
  method: "cut-cross-entropy-exact",
  title: "Cut Cross-Entropy, exact",
  source: `${SOURCE}, preset cce_exact with Triton 3.2 or later`,
});

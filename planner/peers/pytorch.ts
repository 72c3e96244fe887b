/**
 * PyTorch as most programs use it: project to all logits, then cross-entropy, run
 * eagerly or compiled.
 *
 * @module
 */
import { headOf, type Problem } from "../problem.ts";
import type { Peer, PeerAbout, Phase } from "./peer.ts";
import { returnedGradients, type Sizes, sizes } from "./sizes.ts";

/** How an eager program writes its loss. */
interface EagerStyle {
  /** Converts logits to f32 before the loss. */
  readonly upcast: boolean;
  /** Names the stored logits, so that they outlive their conversion. */
  readonly named: boolean;
}

/** Softcap keeps the output of tanh for its own backward pass. */
function tanhKept(problem: Problem, { logits }: Sizes) {
  return headOf(problem).softcap === undefined ? undefined : logits();
}

function eagerForward(
  problem: Problem,
  recording: boolean,
  { upcast, named }: EagerStyle,
): Phase[] {
  const size = sizes(problem);
  const { logits, stored } = size;
  const tanh = recording ? tanhKept(problem, size) : undefined;
  const copies = upcast && stored < 4;
  const wide = upcast ? logits(4) : logits();
  const kept = copies && named ? { "logits as projected": logits() } : {};
  return [
    { step: "project", live: { "logits": logits() } },
    {
      step: "softcap",
      live: { "logits": logits(), "logits after tanh": tanhKept(problem, size) },
    },
    {
      step: "convert",
      live: { tanh, "logits": logits(), "logits in f32": copies ? wide : undefined },
    },
    { step: "log-softmax", live: { tanh, ...kept, "logits": wide, "log-softmax": wide } },
    { step: "return", live: recording ? { tanh, "log-softmax": wide } : {} },
  ];
}

function eagerBackward(problem: Problem, { upcast }: EagerStyle): Phase[] {
  const size = sizes(problem);
  const { logits, stored } = size;
  const tanh = tanhKept(problem, size);
  const copies = upcast && stored < 4;
  const wide = upcast ? logits(4) : logits();
  return [
    {
      step: "gradient of log-softmax",
      live: {
        tanh,
        "log-softmax": wide,
        "gradient of the picked entries": wide,
        "logit gradient": wide,
      },
    },
    {
      step: "convert",
      live: {
        tanh,
        "logit gradient in f32": wide,
        "logit gradient": copies ? logits() : undefined,
      },
    },
    {
      step: "gradient of tanh",
      live: { tanh, "logit gradient": logits(), "before the softcap": tanh },
    },
    {
      step: "gradients",
      live: {
        "logit gradient": logits(),
        ...returnedGradients(problem),
      },
    },
  ];
}

function eager(
  style: EagerStyle,
  about: PeerAbout,
): Peer {
  return {
    ...about,
    limits: { options: ["bias", "softcap", "logitScale", "classWeight"], open: true },
    forward: (problem, recording) => eagerForward(problem, recording, style),
    backward: (problem) => eagerBackward(problem, style),
  };
}

/** `cross_entropy((hidden @ weight.T).float(), targets)`. */
export const TWO_STAGE: Peer = eager({ upcast: true, named: false }, {
  method: "pytorch-two-stage",
  title: "PyTorch, f32 logits",
  source:
    "PyTorch 2.11, F.cross_entropy((hidden @ weight.T).float(), targets), measured on an H100",
});

/** `logits = hidden @ weight.T; cross_entropy(logits.float(), targets)`. */
export const TWO_STAGE_NAMED: Peer = eager({ upcast: true, named: true }, {
  method: "pytorch-two-stage-named",
  title: "PyTorch, f32 logits, stored logits still named",
  source:
    "https://github.com/apple/ml-cross-entropy, commit d42911f, the baseline of its benchmark; Hugging Face models write it so",
  note: "as above, but a name keeps the stored logits alive while the loss is computed",
});

/** `cross_entropy(hidden @ weight.T, targets)`. */
export const NO_UPCAST: Peer = eager({ upcast: false, named: false }, {
  method: "pytorch-no-upcast",
  title: "PyTorch, logits in the storage type",
  source:
    "https://github.com/linkedin/Liger-Kernel, commit ead96b61, TorchLMHeadCE in benchmark/scripts/benchmark_fused_linear_cross_entropy.py",
  note: "a 16-bit log-softmax loses accuracy that the others keep",
});

/** `torch.compile` of the two stages. */
export const COMPILED: Peer = {
  method: "pytorch-compile",
  title: "PyTorch, torch.compile",
  source: "PyTorch 2.11, torch.compile of the two stages in f32, measured on an H100",
  note: "the conversion to f32 is fused away, and the gradient takes the place of the logits",
  limits: { options: ["bias", "softcap", "logitScale", "classWeight"], open: true },
  forward(problem, recording) {
    const { logits, tokens } = sizes(problem);
    const live = { "logits": logits(), "row maxima and sums": tokens(8) };
    return [{ step: "project and reduce", live }, { step: "return", live: recording ? live : {} }];
  },
  backward(problem) {
    const { logits } = sizes(problem);
    return [{
      step: "gradients",
      live: {
        "logits, then their gradient": logits(),
        ...returnedGradients(problem),
      },
    }];
  },
};

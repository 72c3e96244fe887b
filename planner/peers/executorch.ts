/**
 * ExecuTorch's WebGPU backend: all logits in f32, then a fused cross-entropy that
 * writes all of their gradient in the forward pass.
 *
 * @module
 */
import type { Peer } from "./peer.ts";
import { returnedGradients, sizes } from "./sizes.ts";

/** `et_vk.fused_ce` after a linear operator of its own. */
export const EXECUTORCH_WEBGPU: Peer = {
  method: "executorch-webgpu",
  title: "ExecuTorch WebGPU",
  source:
    "https://github.com/pytorch/executorch, commit cff6f4dd32, backends/webgpu/runtime/ops/fused_ce/FusedCe.cpp and backends/vulkan/custom_ops_lib.py, fused_ce_backward",
  note:
    "binds all logits at once, so their bytes must also fit the device's maxStorageBufferBindingSize",
  limits: { options: ["bias"], dtypes: ["f32"], reductions: ["mean"], maxTokens: 65535 },
  forward(problem, recording) {
    const { logits, tokens } = sizes(problem);
    const gradient = { "logit gradient": logits() };
    return [
      {
        step: "cross-entropy",
        live: { "logits": logits(), ...gradient, "loss per token": tokens(4) },
      },
      { step: "return", live: recording ? gradient : {} },
    ];
  },
  backward(problem) {
    const { logits } = sizes(problem);
    return [{
      step: "gradients",
      live: {
        "logit gradient": logits(),
        "scaled logit gradient": logits(),
        ...returnedGradients(problem),
      },
    }];
  },
};

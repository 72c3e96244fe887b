/**
 * The largest batch that fits a budget with the layer and with logits, predicted and then run with
 * the device's allocations counted.
 *
 * @module
 */
import { Ledger } from "../../kernels/measure/ledger.ts";
import type { DeviceProfile, PlanOptions } from "../../mod.ts";
import { largestFit, Transformer, type TransformerSizes } from "./model.ts";

/** What fits by one method. */
export interface LargestBatch {
  readonly method: string;
  /** Tokens of the batch; 0 where not even one sequence fits. */
  readonly tokens: number;
  /** Bytes of every buffer. */
  readonly predictedBytes: number;
  /** Most bytes that were allocated at once over a step of training. */
  readonly measuredBytes: number;
  /** Loss of that step. */
  readonly loss: number;
}

/** Whether logits are there is the only difference. */
const METHODS: Readonly<Record<string, PlanOptions>> = {
  "without logits": { strategy: "windowed" },
  "with logits": { strategy: "two-stage" },
};

/** Finds the largest batch of each method, and takes a step of it. */
export async function largestBatches(
  device: GPUDevice,
  profile: DeviceProfile,
  sizes: TransformerSizes,
  text: Uint32Array,
  budget: number,
): Promise<LargestBatch[]> {
  const found: LargestBatch[] = [];
  for (const [method, options] of Object.entries(METHODS)) {
    const fit = largestFit(sizes, text.length, profile, { ...options, budget });
    if (!fit) {
      found.push({ method, tokens: 0, predictedBytes: 0, measuredBytes: 0, loss: NaN });
      continue;
    }
    const ledger = new Ledger(device);
    const model = await Transformer.create(device, fit, text);
    try {
      const [loss] = await model.train(1);
      found.push({
        method,
        tokens: fit.sizes.batch * fit.sizes.context,
        predictedBytes: fit.bytes,
        measuredBytes: ledger.peakBytes,
        loss: loss!,
      });
    } finally {
      model.destroy();
      ledger.detach();
    }
  }
  return found;
}

/** Returns them as a table for people. */
export function formatBatches(batches: readonly LargestBatch[]): string {
  const cell = (value: number) => value.toLocaleString("en").padStart(14);
  return [
    "                tokens that fit predicted bytes  measured bytes",
    ...batches.map(({ method, tokens, predictedBytes, measuredBytes }) =>
      `${method.padEnd(16)} ${cell(tokens)} ${cell(predictedBytes)}  ${cell(measuredBytes)}`
    ),
  ].join("\n");
}

/**
 * What the ranks of a job tell each other, as steps of a schedule: the
 * statistics of the vocabulary's shards are reduced before the loss, the hidden
 * gradient's terms after the backward pass (Megatron-LM's vocabulary-parallel
 * cross-entropy, arXiv 1909.08053, section 3); replicas add up what `mean`
 * divides by, the loss and the weight's gradient.
 *
 * Nothing here does anything for a rank that is alone.
 *
 * @module
 */
import { trainedColumns } from "../heads/head.ts";
import { weightColumns } from "../problem.ts";
import type { Collective, Range, Slice } from "./schedule.ts";
import { hasReducedLoss, tokenStride, totalIndex, WORD } from "./layout.ts";
import { gatheredOf, gatheredRows, statisticsOf } from "./statistics.ts";
import { elementBytes, hasTensor, keysOf, tensorName, tensorOf } from "./tensors.ts";
import type { Workspace } from "./workspace.ts";

/** Returns a collective on `elements` of a type; in place unless told where the outcome goes. */
function collective(
  of: Omit<Collective, "kind" | "bytes" | "target"> & { readonly target?: readonly Slice[] },
): Collective {
  const bytes = of.elements * elementBytes(of.type);
  return { kind: "collective", target: of.source, ...of, bytes };
}

/** Returns some words of a buffer. */
function words({ buffer, offset }: Slice, start: number, count: number): Slice {
  return { buffer, offset: offset + WORD * start, bytes: WORD * count };
}

/** Returns the collectives that make one set of statistics for the tokens of adjacent blocks. */
export function vocabParallelReduce(
  workspace: Workspace,
  blocks: readonly Range[],
): { readonly max: Collective; readonly others: readonly Collective[] } {
  const stride = tokenStride(workspace.problem);
  const start = blocks[0]!.start;
  const elements = blocks.reduce((sum, { count }) => sum + count, 0);
  const rowsIn = (tensor: "statistics" | "gathered", first: number, count: number) =>
    Array.from(
      { length: count },
      (_, row) => words(workspace.tensor(tensor), (first + row) * stride + start, elements),
    );
  const of = { group: "tensor", pass: "forward" } as const;
  const [max, ...reduced] = statisticsOf(workspace.problem).flatMap(
    ({ name: what, type, width, acrossRanks: op, row }) =>
      op === "all-gather"
        ? []
        : rowsIn("statistics", row, width).map((source) =>
          collective({ ...of, op, what, type, elements, source: [source] })
        ),
  );
  const rowOf = new Map(statisticsOf(workspace.problem).map(({ name, row }) => [name, row]));
  const ranks = Array.from({ length: workspace.share?.tensor ?? 1 }, (_, rank) => rank);
  const gathered = gatheredOf(workspace.problem).map(({ name: what, type, width, row }) =>
    collective({
      ...of,
      op: "all-gather",
      what,
      type,
      elements: ranks.length * width * elements,
      source: rowsIn("statistics", rowOf.get(what)!, width),
      target: ranks.flatMap((rank) =>
        rowsIn("gathered", rank * gatheredRows(workspace.problem) + row, width)
      ),
    })
  );
  return { max: max!, others: [...reduced, ...gathered] };
}

/** Returns the gathering of each head's hidden states from each rank's rows, under sequence parallelism. */
export function gatherHidden({ share, problem, heads }: Workspace): Collective[] {
  if (!share?.sequence) return [];
  return heads.map((buffers) =>
    collective({
      op: "all-gather",
      group: "tensor",
      pass: "forward",
      what: tensorName(problem, buffers.head, "hidden"),
      type: buffers.head.dtype,
      elements: problem.tokens * buffers.head.hidden,
      source: buffers.ownBuffers("hidden"),
      target: buffers.buffers("hidden"),
    })
  );
}

/** Returns what `mean` divides by, from all replicas. */
export function sumTotals(workspace: Workspace): Collective[] {
  const { share, problem } = workspace;
  const needed = hasReducedLoss(problem) && problem.reduction === "mean";
  if (!needed || share === undefined || share.data === 1) return [];
  return ([["kept", "u32"], ["keptWeight", "f32"]] as const).map(([what, type]) =>
    collective({
      op: "all-reduce-sum",
      group: "data",
      pass: "forward",
      what,
      type,
      elements: 1,
      source: [words(workspace.tensor("totals"), totalIndex(what), 1)],
    })
  );
}

/** Returns the loss of all replicas from theirs. */
export function sumLoss(workspace: Workspace): Collective[] {
  if (workspace.share === undefined || workspace.share.data === 1) return [];
  return [collective({
    op: "all-reduce-sum",
    group: "data",
    pass: "forward",
    what: "loss",
    type: "f32",
    elements: 1,
    source: [workspace.tensor("loss")],
  })];
}

/** What rows of a gradient are of: a hidden state's, or a weight's and a bias's. */
export type GradientAxis = "tokens" | "vocab";

/**
 * Returns the sums of gradients that have terms on several ranks: that of the hidden
 * states, which every row of the weight adds to, or of weight and bias, which every
 * token does.
 *
 * @param rows of the gradient: all of them, where they are left out.
 */
export function sumGradients(
  { share, problem, heads }: Workspace,
  axis: GradientAxis,
  rows?: Range,
): Collective[] {
  if (share === undefined) return [];
  return heads.flatMap((buffers) =>
    keysOf("gradient").flatMap((key) => {
      const { head } = buffers;
      const byTokens = tensorOf(key).axis === "tokens";
      const group = byTokens ? "tensor" : "data";
      if (byTokens !== (axis === "tokens")) return [];
      if (share[group] === 1 || !hasTensor(key, problem, head)) return [];
      const all = byTokens ? problem.tokens : head.vocab;
      const columns = byTokens ? trainedColumns(head) : weightColumns(problem, head);
      const { start, count } = rows ?? { start: 0, count: all };
      const source = key === "grad_bias"
        ? [words(buffers.vector(key), start, count)]
        : rows
        ? [buffers.write(key, rows).slice]
        : buffers.buffers(key);
      return collective({
        op: byTokens && share.sequence ? "reduce-scatter-sum" : "all-reduce-sum",
        group,
        what: tensorName(problem, head, key),
        elements: count * (key === "grad_bias" ? 1 : columns),
        source,
        target: key === "grad_hidden" && !rows ? buffers.ownBuffers(key) : source,
        pass: "backward",
        type: "f32",
      });
    })
  );
}

/**
 * Distillation by a graph on logits: what goes together in a student's most likely ids is to go
 * together as in its teacher's.
 *
 * InfiGFusion (arXiv 2505.13893) names the parts: the sorted top-k of each model's logits, a graph
 * of co-activation by sums of outer products, a score of each node, and the distance of sorted
 * scores, which is fast where a Gromov-Wasserstein distance is not. What is published does not say
 * how nodes are normalised and scored. Here both are defined by us: values are log-probabilities,
 * edges are means over tokens, and a node's score is the mean of its edges. With that the loss is
 * Mémoli's first lower bound of the Gromov-Wasserstein distance (Mémoli 2011, section 6, without its factor of 1/2, at
 * p = 1), which {@linkcode graphOnLogits} says why.
 *
 * @module
 */
import { perToken } from "./objective.ts";

/** The most likely ids of two models on the same tokens. */
export interface GraphBatch {
  /** `[tokens, K]`: log-probabilities of the student's most likely ids, as `topLogprobs` of results. */
  readonly student: ArrayLike<number>;
  /** `[tokens, K]`: of the teacher's, whose ids may be another vocabulary's. */
  readonly teacher: ArrayLike<number>;
  /** How many ids a token has: nodes of the graphs. */
  readonly topK: number;
  /** `[tokens]`: how much each token counts in the edges; 1 where it is left out, 0 where it is ignored. */
  readonly weight?: ArrayLike<number> | undefined;
}

/** The distance of two graphs, with its derivatives. */
export interface GraphLoss {
  /** The distance. */
  readonly loss: number;
  /** `[tokens, K]`: its derivatives by the student's log-probabilities. */
  readonly student: Float64Array;
}

/** The score of each node, and the sum of each token's values, from which its edges are never built. */
interface Scores {
  readonly nodes: Float64Array;
  readonly sums: Float64Array;
}

/**
 * Returns how far the graph of a student's most likely ids is from its teacher's.
 *
 * With values `z` `[tokens, K]`, in falling order for each token, edges are `C = Zᵀ Z / N` and
 * scores `f_i = 1/K Σ_j C_ij`; the loss is `1/K Σ_i |f↓_i - g↓_i|`, between the student's scores
 * and the teacher's, both sorted. As `f = Zᵀ (Z 1) / (N K)`, that takes `O(N K)`, and no edge is
 * built.
 *
 * It is no more than the Gromov-Wasserstein distance of both graphs, their nodes weighed alike: for
 * any coupling `T`, `Σ |C_ik - D_jl| T_ij T_kl ≥ Σ_ij T_ij |Σ_kl (C_ik - D_jl) T_kl| =
 * Σ_ij T_ij |f_i - g_j|`, of which the least over all couplings is that of sorted scores.
 *
 * The derivative by a log-probability is that of any statistic: `backward()` takes it with the id
 * of a place in the list as target, place by place.
 *
 * @throws {RangeError} when a list is missing of some token, or nothing counts.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * const student = [-0.5, -1.5, -0.25, -2]; // two tokens, two ids each
 * assert.equal(graphOnLogits({ student, teacher: student, topK: 2 }).loss, 0);
 * const teacher = [-0.5, -1.5, -0.25, -3];
 * const { loss, student: slopes } = graphOnLogits({ student, teacher, topK: 2 });
 * assert(loss > 0 && slopes[3]! > 0); // the student's second id is too likely
 * ```
 */
export function graphOnLogits({ student, teacher, topK, weight }: GraphBatch): GraphLoss {
  if (!(Number.isInteger(topK) && topK >= 1)) {
    throw new RangeError(`Cannot make a graph of ${topK} ids: give how many each token has`);
  }
  const tokens = student.length / topK;
  if (!Number.isInteger(tokens) || teacher.length !== student.length) {
    throw new RangeError(
      `Cannot compare ${student.length} log-probabilities of the student with ${teacher.length} of the teacher: give ${topK} of each token from both`,
    );
  }
  const counts = weight ? perToken("weights", weight, tokens) : new Float64Array(tokens).fill(1);
  const total = Array.from(counts).reduce((sum, count) => sum + count, 0);
  if (!(total > 0)) throw new RangeError("Cannot make a graph of no tokens: none counts");
  const scale = 1 / (total * topK);
  const ours = scoresOf(student, counts, topK, scale);
  const theirs = scoresOf(teacher, counts, topK, scale).nodes.toSorted();

  // Where each node is among the sorted ones; what is above its counterpart pulls down.
  const order = [...ours.nodes.keys()].sort((a, b) => ours.nodes[a]! - ours.nodes[b]! || a - b);
  const pull = new Float64Array(topK);
  let loss = 0;
  order.forEach((node, place) => {
    const away = ours.nodes[node]! - theirs[place]!;
    loss += Math.abs(away) / topK;
    pull[node] = Math.sign(away) / topK;
  });

  const slopes = new Float64Array(tokens * topK);
  for (let token = 0; token < tokens; token++) {
    const share = counts[token]! * scale;
    if (share === 0) continue;
    let pulled = 0;
    for (let node = 0; node < topK; node++) pulled += pull[node]! * student[token * topK + node]!;
    for (let node = 0; node < topK; node++) {
      slopes[token * topK + node] = share * (pull[node]! * ours.sums[token]! + pulled);
    }
  }
  return { loss, student: slopes };
}

function scoresOf(
  values: ArrayLike<number>,
  counts: ArrayLike<number>,
  topK: number,
  scale: number,
): Scores {
  const [nodes, sums] = [new Float64Array(topK), new Float64Array(counts.length)];
  for (let token = 0; token < counts.length; token++) {
    if (counts[token] === 0) continue;
    for (let node = 0; node < topK; node++) sums[token]! += values[token * topK + node]!;
    const share = counts[token]! * scale * sums[token]!;
    for (let node = 0; node < topK; node++) nodes[node]! += share * values[token * topK + node]!;
  }
  return { nodes, sums };
}

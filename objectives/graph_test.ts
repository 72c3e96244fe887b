import assert from "node:assert/strict";
import { graphOnLogits } from "./graph.ts";
import { Random } from "../fixtures/random.ts";

const random = new Random(12);

/** Returns sorted log-probabilities of some tokens, `[tokens, K]`. */
function lists(tokens: number, topK: number, spread = 3): Float64Array {
  const all = new Float64Array(tokens * topK);
  for (let token = 0; token < tokens; token++) {
    let value = -random.uniform();
    for (let node = 0; node < topK; node++) {
      all[token * topK + node] = value;
      value -= spread * random.uniform();
    }
  }
  return all;
}

/** Returns the edges, which the loss never builds. */
function edges(values: ArrayLike<number>, topK: number): number[][] {
  const tokens = values.length / topK;
  return Array.from({ length: topK }, (_, i) =>
    Array.from({ length: topK }, (_, j) => {
      let sum = 0;
      for (let n = 0; n < tokens; n++) sum += values[n * topK + i]! * values[n * topK + j]!;
      return sum / tokens;
    }));
}

/** What the Gromov-Wasserstein distance is the least of, for some coupling. */
function distortion(c: number[][], d: number[][], coupling: number[][]): number {
  let sum = 0;
  const each = [...c.keys()];
  for (const i of each) {
    for (const j of each) {
      for (const k of each) {
        for (const l of each) {
          sum += Math.abs(c[i]![k]! - d[j]![l]!) * coupling[i]![j]! * coupling[k]![l]!;
        }
      }
    }
  }
  return sum;
}

function permutations(count: number): number[][] {
  if (count === 0) return [[]];
  return permutations(count - 1).flatMap((rest) =>
    Array.from({ length: count }, (_, place) => rest.toSpliced(place, 0, count - 1))
  );
}

/** Returns a coupling of nodes that weigh alike: a mixture of permutations, as each is (Birkhoff). */
function mixture(topK: number, of: readonly number[][]): number[][] {
  const weights = of.map(() => random.uniform() ** 4);
  const total = weights.reduce((a, b) => a + b, 0);
  return Array.from(
    { length: topK },
    (_, i) =>
      Array.from(
        { length: topK },
        (_, j) =>
          of.reduce(
            (sum, to, index) => sum + (to[i] === j ? weights[index]! / total / topK : 0),
            0,
          ),
      ),
  );
}

Deno.test("the distance of graphs is the definition's, from edges that are built", () => {
  for (const [tokens, topK] of [[1, 1], [7, 3], [20, 8]] as const) {
    const [student, teacher] = [lists(tokens, topK), lists(tokens, topK, 1)];
    const scores = (values: Float64Array) =>
      edges(values, topK).map((row) => row.reduce((a, b) => a + b, 0) / topK)
        .sort((a, b) => b - a);
    const theirs = scores(teacher);
    const defined = scores(student)
      .reduce((sum, f, node) => sum + Math.abs(f - theirs[node]!) / topK, 0);
    const { loss } = graphOnLogits({ student, teacher, topK });
    assert(Math.abs(loss - defined) < 1e-13 * (1 + defined), `${loss} ${defined}`);
  }
});

Deno.test("no coupling of the nodes has less distortion than the loss: it is a lower bound", () => {
  for (let trial = 0; trial < 40; trial++) {
    const topK = 2 + trial % 3;
    const [student, teacher] = [lists(5, topK), lists(5, topK, 0.5 + 3 * random.uniform())];
    const { loss } = graphOnLogits({ student, teacher, topK });
    const [c, d] = [edges(student, topK), edges(teacher, topK)];
    const all = permutations(topK);
    const couplings = [
      ...all.map((to) => mixture(topK, [to])),
      ...Array.from({ length: 50 }, () => mixture(topK, all)),
    ];
    for (const coupling of couplings) {
      const most = distortion(c, d, coupling);
      assert(loss <= most * (1 + 1e-12), `${loss} ${most}`);
    }
  }
});

Deno.test("the bound is reached: by a graph and itself, and where all edges differ alike", () => {
  const same = lists(5, 4);
  assert.equal(graphOnLogits({ student: same, teacher: same, topK: 4 }).loss, 0);
  // One token, one node: a single edge.
  const { loss } = graphOnLogits({ student: [-1], teacher: [-3], topK: 1 });
  assert.equal(loss, 8);
  assert.equal(distortion([[1]], [[9]], [[1]]), 8);
});

Deno.test("what nodes are called does not matter: columns may be in any order", () => {
  for (let trial = 0; trial < 10; trial++) {
    // Alike, so that scores of one lie between those of the other.
    const [student, teacher] = [lists(6, 4), lists(6, 4)];
    const { loss } = graphOnLogits({ student, teacher, topK: 4 });
    const moved = teacher.map((_, at) => teacher[at - at % 4 + (3 * (at % 4) + 1) % 4]!);
    const other = graphOnLogits({ student, teacher: moved, topK: 4 }).loss;
    assert(Math.abs(other - loss) < 1e-14 * (1 + loss), `${other} ${loss}`);
  }
});

Deno.test("its derivatives are those of finite differences in float64, with weights", () => {
  const [student, teacher] = [lists(9, 4), lists(9, 4, 1)];
  const weight = [1, 0, 2, 0.5, 1, 1, 0, 3, 1];
  const at = (values: Float64Array) => graphOnLogits({ student: values, teacher, topK: 4, weight });
  const { student: slopes } = at(student);
  // The loss is of the second degree but for its signs: central differences round alone.
  const step = 1e-6;
  student.forEach((value, index) => {
    const [more, less] = [1, -1].map((sign) => at(student.with(index, value + sign * step)).loss);
    const difference = (more! - less!) / (2 * step);
    assert(Math.abs(difference - slopes[index]!) < 1e-8, `${index}: ${difference}`);
    if (weight[Math.floor(index / 4)] === 0) assert.equal(slopes[index], 0);
  });
  assert(slopes.some((slope) => Math.abs(slope) > 1e-3));
});

Deno.test("lists that do not fit together are refused", () => {
  assert.throws(() => graphOnLogits({ student: [-1, -2], teacher: [-1], topK: 1 }), /2 .* 1 of/);
  assert.throws(() => graphOnLogits({ student: [-1], teacher: [-1], topK: 2 }), /give 2 of each/);
  assert.throws(() => graphOnLogits({ student: [-1], teacher: [-1], topK: 0 }), /graph of 0 ids/);
  const none = { student: [-1], teacher: [-1], topK: 1, weight: [0] };
  assert.throws(() => graphOnLogits(none), /none counts/);
});

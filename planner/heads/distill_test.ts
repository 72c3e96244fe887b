import assert from "node:assert/strict";
import { parseProblem } from "../problem_schema.ts";
import { Random } from "../../fixtures/random.ts";
import {
  type DistillInput,
  type Divergence,
  DIVERGENCES,
  mirrored,
  mostSlope,
  withoutEnds,
} from "./distill.ts";

function distillOf(distill: DistillInput) {
  const heads = [
    { name: "student", hidden: 8, vocab: 40 },
    { name: "teacher", hidden: 16, vocab: 40 },
  ];
  return parseProblem({ tokens: 5, heads, distill }).distill!;
}

Deno.test("a mixture ends where Liger and TRL end it, and is of both halves by default", () => {
  assert.deepEqual(
    distillOf({ divergence: "jsd", beta: 0 }),
    distillOf({ divergence: "forward-kl" }),
  );
  assert.deepEqual(
    distillOf({ divergence: "jsd", beta: 1 }),
    distillOf({ divergence: "reverse-kl" }),
  );
  assert.equal(distillOf({ divergence: "jsd" }).beta, 0.5);
  assert.equal(distillOf({ divergence: "jsd", beta: 0.25 }).beta, 0.25);
  for (const beta of [-0.1, 1.5, NaN]) {
    assert.throws(() => distillOf({ divergence: "jsd", beta }), /beta/);
  }
  assert.throws(
    () => distillOf({ divergence: "forward-kl", beta: 0.5 }),
    /has a beta of 0.5, which only jsd has, not forward-kl/,
  );
});

Deno.test("the mirror of a mirror is the divergence itself", () => {
  for (const divergence of DIVERGENCES) {
    const distill = distillOf({ divergence, ...(divergence === "jsd" ? { beta: 0.25 } : {}) });
    assert.deepEqual(mirrored(mirrored(distill)), withoutEnds(distill));
  }
  assert.equal(mirrored(distillOf({ divergence: "jsd", beta: 0.25 })).beta, 0.75);
});

/** Each divergence of logits `x` from a teacher's, `y`, as its definition has it. */
const DEFINITIONS: Readonly<
  Record<Divergence, (x: number[], y: number[], beta: number) => number>
> = {
  "forward-kl": (x, y) => klOf(logsOf(y), logsOf(x)),
  "reverse-kl": (x, y) => klOf(logsOf(x), logsOf(y)),
  jsd(x, y, beta) {
    const [p, q] = [logsOf(x), logsOf(y)];
    const m = p.map((log, id) => Math.log((1 - beta) * Math.exp(log) + beta * Math.exp(q[id]!)));
    return beta * klOf(q, m) + (1 - beta) * klOf(p, m);
  },
  "binary-kl": (x, y) => sumOf(x, (value, id) => binary(y[id]!, value)),
  "reverse-binary-kl": (x, y) => sumOf(x, (value, id) => binary(value, y[id]!)),
  "binary-kl-norm": (x, y) => sumOf(x, (value, id) => binary(0, value - y[id]!)),
};

const sumOf = (x: number[], term: (value: number, id: number) => number) =>
  x.reduce((sum, value, id) => sum + term(value, id), 0);
const softplus = (x: number) => Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x)));
/** The divergence of a chance from another's, by their logits. */
const binary = (of: number, from: number) =>
  (of - from) / (1 + Math.exp(-of)) - softplus(of) + softplus(from);
const logsOf = (x: number[]) => {
  const top = Math.max(...x);
  const lse = top + Math.log(sumOf(x, (value) => Math.exp(value - top)));
  return x.map((value) => value - lse);
};
const klOf = (p: number[], q: number[]) => sumOf(p, (log, id) => Math.exp(log) * (log - q[id]!));

Deno.test("no derivative is larger than its bound, and some come near; where there is none they grow with the logits", () => {
  const random = new Random(5);
  const step = 1e-4;
  for (const divergence of DIVERGENCES) {
    for (const beta of divergence === "jsd" ? [0.03, 0.5, 0.97] : [0]) {
      const of = DEFINITIONS[divergence];
      const most = mostSlope({ divergence, beta, temperature: 1, weight: 1, ceWeight: 0 });
      let [nearest, largest] = [0, 0];
      for (let nth = 0; nth < 3000; nth++) {
        const scale = 2 ** (nth % 7 - 2);
        const logits = () => Array.from({ length: 2 + nth % 3 }, () => scale * random.normal());
        const [x, y] = [logits(), logits()];
        const at = (moved: number) => of(x.with(0, x[0]! + moved), y, beta);
        const slope = Math.abs(at(step) - at(-step)) / (2 * step);
        largest = Math.max(largest, slope);
        if (!most) continue;
        const bound = most.size + (most.divergence ? at(0) : 0);
        // What central differences are good to.
        assert(slope <= bound + 1e-6, `${divergence} ${beta}: ${slope}, more than ${bound}`);
        nearest = Math.max(nearest, slope / bound);
      }
      const what = `${divergence} ${beta}: ${nearest} of the bound, ${largest}`;
      assert(most ? nearest > 0.25 : largest > 3, what);
    }
  }
});

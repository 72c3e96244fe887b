import assert from "node:assert/strict";
import { casesNear } from "./testing.ts";
import { dpo } from "./dpo.ts";
import { grpo } from "./grpo.ts";
import { orpo } from "./orpo.ts";
import { simpo } from "./simpo.ts";
import { Random } from "../fixtures/random.ts";

const random = new Random(3);
const logprob = Array.from({ length: 24 }, () => -0.05 - 4 * random.uniform() ** 2);
const entropy = Array.from({ length: 24 }, () => 3 * random.uniform());

for (const [name, { loss, defined }] of Object.entries(casesNear(logprob))) {
  Deno.test(`${name} has the loss that its paper defines`, () => {
    const values = { logprob, entropy };
    const [ours, theirs] = [loss(values).loss, defined(values)];
    // Products of probabilities and their logarithms: a few dozen roundings in float64.
    assert(Math.abs(ours - theirs) < 1e-13 * (1 + Math.abs(theirs)), `${ours} ${theirs}`);
  });

  Deno.test(`${name} differentiates as finite differences in float64 do`, () => {
    // Central differences are off by the third derivative times step^2 / 6, and by 1e-16 / step.
    const step = 1e-6;
    const { upstream } = loss({ logprob, entropy });
    for (const row of ["logprob", "entropy"] as const) {
      ({ logprob, entropy })[row].forEach((value, token) => {
        const at = (moved: number) => {
          const values = { logprob, entropy };
          return loss({ ...values, [row]: values[row].with(token, moved) }).loss;
        };
        const difference = (at(value + step) - at(value - step)) / (2 * step);
        const ours = upstream[row][token]!;
        assert(Math.abs(difference - ours) < 1e-8, `${row} ${token}: ${difference} ${ours}`);
      });
    }
    assert(upstream.lse.every((slope) => slope === 0));
    assert(upstream.logprob.some((slope) => slope !== 0));
  });
}

Deno.test("preferences that are far from even neither overflow nor vanish", () => {
  const pair = { chosen: [0, 1], rejected: [1, 2], referenceChosen: 0, referenceRejected: 0 };
  const far = dpo({ logprob: [-1e4, -1] }, [pair as never], { beta: 1 });
  assert.equal(far.loss, 9999);
  assert.deepEqual([...far.upstream.logprob], [-1, 1]);
  assert.equal(simpo({ logprob: [-1e4, -1] }, [pair as never], { beta: 1, gamma: 0 }).loss, 9999);
  // What was preferred is certain: its odds are infinite, its slope is that of the odds' limit.
  const certain = orpo({ logprob: [0, -1] }, [pair as never], { lambda: 1 });
  assert.equal(certain.loss, 0);
  const limit = -1 - 1 / (Math.E * -Math.expm1(-1));
  assert(Math.abs(certain.upstream.logprob[0]! - limit) < 1e-12);
  assert.equal(certain.upstream.logprob[1]!, 0);
});

Deno.test("what is not given, and answers that are none, are refused by name", () => {
  const answers = [{ tokens: [0, 24], advantage: 1 }] as const;
  assert.throws(() => grpo({ logprob }, { answers, sampled: logprob }), /reference's.*0 tokens/);
  assert.throws(() => grpo({ logprob }, { answers, sampled: [1] }, { beta: 0 }), /sampled by.*24/);
  const bonus = { beta: 0, entropyBonus: 1 };
  assert.throws(() => grpo({ logprob }, { answers, sampled: logprob }, bonus), /entropies/);
  for (const chosen of [[3, 3], [-1, 2], [20, 25], [0.5, 2]] as const) {
    assert.throws(() => simpo({ logprob }, [{ chosen, rejected: [0, 2] }]), /of 24/);
  }
});

/** Heads that are fused, from a file to lists of the most likely ids. */
import assert from "node:assert/strict";
import { withFolder } from "../fixtures/testing.ts";
import { EXIT } from "./exit.ts";
import { lce } from "./testing.ts";

Deno.test("lists of fused heads are another run, at the strengths that a search found", () =>
  withFolder(async (folder) => {
    const path = `${folder}/fused.safetensors`;
    const sizes = ["--tokens", "20", "--hidden", "16", "--vocab", "150", "--dtype", "f32"];
    await lce("fixture", "make", path, "--fusion", "--expert-hidden", "8", ...sizes);
    const { code, out, err } = await lce(
      "run",
      path,
      "--top-k",
      "1",
      "--strategy",
      "two-stage",
      "--json",
    );
    assert.equal(code, EXIT.ok, err);
    const [search] = JSON.parse(out);
    const namesOf = ({ agreement }: typeof search) =>
      agreement.checks.map(({ name }: { name: string }) => name);
    assert.deepEqual(namesOf(search).filter((name: string) => /strength|top|sampled/.test(name)), [
      "strength",
    ]);
    assert.equal(search.problem.topK, 0);
    assert.equal(search.next.problem.hidden, 16 + 8 + 8);
    for (const name of ["topIds", "topLogprobs"]) {
      assert(namesOf(search.next).includes(name), name);
    }
    // Either has the loss of the other: both are of the same logits.
    assert(Math.abs(search.loss - search.next.loss) < 1e-5);
    for (const { memory, host, ok } of [search, search.next]) assert(memory.ok && host.ok && ok);
    const csv = `${folder}/strengths.csv`;
    assert.equal((await lce("run", path, "--output", csv)).code, EXIT.ok);
    assert.match(
      await Deno.readTextFile(csv),
      /^token,target,loss,lse,logprob,predicted,strength\n/,
    );
    for (
      const [flags, message] of [
        [["--top-k", "2", "--output", csv, "--force"], /are another run, at its strengths/],
        [["--pass", "train"], /it has no gradients, so the pass must be forward/],
        [["--tensor-parallel", "2"], /large, expert, base over ranks: these agree on/],
      ] as const
    ) {
      const { code, err } = await lce("run", path, ...flags);
      assert.equal(code, EXIT.usage, err);
      assert.match(err, message);
    }
  }));

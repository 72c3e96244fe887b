/** What lce plan and lce run say of weight gradients that are not exact by intent. */
import assert from "node:assert/strict";
import { bytesOf } from "../fixtures/elements.ts";
import { SafetensorsFile, writeSafetensors } from "../fixtures/files/safetensors.ts";
import { EXIT } from "./exit.ts";
import { lce } from "./testing.ts";

const ODD = decodeURIComponent(
  new URL("../fixtures/oracle/odd-dims.safetensors", import.meta.url).pathname,
);
const HEAD = ["plan", "--vocab", "5000", "--hidden", "96", "--tokens", "1000", "--pass", "train"];

Deno.test("a run's weight gradient in sub-tokens is verified, its error told, its file narrow", async () => {
  const path = await Deno.makeTempFile({ suffix: ".safetensors" });
  try {
    const { code, out } = await lce(
      ...["run", ODD, "--sub-tokens", "5", "--output", path, "--force", "--json"],
    );
    assert.equal(code, EXIT.ok);
    const [{ problem, agreement, memory }] = JSON.parse(out);
    assert.equal(problem.subTokens, 5);
    assert(agreement.estimateError > 0.1 && agreement.estimateError < 10);
    assert.equal(memory.measuredPeakBytes, memory.predictedPeakBytes);
    const against = Object.fromEntries(
      agreement.checks.map(({ name, against }: Record<string, string>) => [name, against]),
    );
    assert.equal(against.gradHidden, "oracle");
    assert.equal(against.gradWeight, "reference");
    const file = await SafetensorsFile.open(path);
    assert.deepEqual(file.header.tensors.get("grad_weight")!.shape, [367, 5]);
  } finally {
    await Deno.remove(path);
  }
});

Deno.test("a run's weight gradient from a sample is verified, and the same by the same seed", {
  ignore: Deno.env.has("LCE_SLOW_DEVICE"),
}, async () => {
  const run = async (...more: string[]) => {
    const { code, out } = await lce("run", ODD, "--sampled-tokens", "12", "--json", ...more);
    assert.equal(code, EXIT.ok);
    return JSON.parse(out)[0];
  };
  const first = await run("--sampled-seed", "3");
  assert.equal(first.sample.seed, 3);
  assert(first.sample.tokens <= 12 && first.sample.errorBound > 0);
  assert.deepEqual((await run("--sampled-seed", "3")).sample, first.sample);
  assert.notEqual((await run()).agreement.estimateError, first.agreement.estimateError);
  const { out } = await lce("run", ODD, "--sampled-tokens", "12");
  assert.match(out, /sample +\d+ tokens, \d+ as they are and the others drawn by seed 0/);
  assert.match(out, /from the exact one it lies [\d.]+ % of that one's norm/);
});

Deno.test("a file's own direction and token weights are taken", async () => {
  const file = await SafetensorsFile.open(ODD);
  const names = ["hidden", "weight", "targets"];
  const given = await Promise.all(
    names.map(async (name) => [name, await file.read(name)] as const),
  );
  const f32 = (values: Float32Array) =>
    ({ dtype: "F32", shape: [values.length], bytes: bytesOf(values) }) as const;
  const weights = Float32Array.from({ length: 37 }, (_, token) => token % 3);
  const path = await Deno.makeTempFile({ suffix: ".safetensors" });
  const run = async (direction: readonly number[], ...flags: string[]) => {
    const tensors = [
      ...given,
      ["direction", f32(Float32Array.from(direction))],
      ["token_weights", f32(weights)],
    ] as const;
    await writeSafetensors(path, Object.fromEntries(tensors));
    return await lce("run", path, "--pass", "train", "--json", ...flags);
  };
  try {
    // The first number of each sub-token, and no other.
    const narrow = await run([1, ...new Array(9).fill(0)], "--sub-tokens", "5");
    assert.equal(narrow.code, EXIT.ok, narrow.err);
    const sampled = await run([1], "--sampled-tokens", "24");
    assert.equal(sampled.code, EXIT.ok, sampled.err);
    assert.equal(JSON.parse(sampled.out)[0].sample, undefined);
    const long = await run(new Array(10).fill(1), "--sub-tokens", "5");
    assert.equal(long.code, EXIT.input);
    assert.match(long.err, /direction has the length 3\.16.*, but 1 is needed/);
    const short = await run([1], "--sub-tokens", "5");
    assert.match(short.err, /direction has 4 bytes, but \[10, 1\]/);
  } finally {
    await Deno.remove(path);
  }
});

Deno.test("a plan says that the weight's gradient is not the exact one, and what it takes", async () => {
  const plan = async (...more: string[]) => JSON.parse((await lce(...HEAD, "--json", ...more)).out);
  const bytes = (
    { memory }: { memory: { buffers: { name: string; bytes: number }[] } },
    of: string,
  ) => memory.buffers.find(({ name }) => name === of)?.bytes;
  const narrow = await plan("--sub-tokens", "8");
  assert.equal(bytes(narrow, "grad_weight"), 4 * 5000 * 8);
  const sampled = await plan("--sampled-tokens", "100");
  assert.equal(bytes(sampled, "token_weights"), 4 * 1000);
  const exact = await plan();
  assert.equal(exact.cost.flops - sampled.cost.flops, 2 * 900 * 5000 * 96);
  const text = async (...more: string[]) => (await lce(...HEAD, ...more)).out;
  assert.match(await text("--sub-tokens", "8"), /rank one in 8 sub-tokens: not\s+the exact one/);
  assert.match(await text("--sampled-tokens", "100"), /from 100 tokens: not\s+the exact one/);
  const swept = await text("--sub-tokens", "8", "--sweep", "window=1k..2k");
  assert.match(swept, /rank one in 8 sub-tokens: not\s+the exact one/);
});

const REFUSED: readonly [string[], RegExp][] = [
  [[...HEAD, "--sub-tokens", "7"], /--sub-tokens 7: must divide the 96 columns/],
  [
    [...HEAD, "--sampled-tokens", "2k"],
    /--sampled-tokens 2048: is 2048, but there are 1000 tokens/,
  ],
  [[...HEAD.slice(0, 7), "--sub-tokens", "8"], /set the pass to train/],
  [[...HEAD, "--sub-token-scale", "2"], /give subTokens, or leave it out/],
  [[...HEAD, "--sub-tokens", "8", "--adapter-rank", "4"], /adapter/],
  [["run", "--sampled-seed", "1"], /is of --sampled-tokens/],
  [["run", "--sampled-tokens", "9", "--sampled-seed", "-1"], /whole number from 0/],
  [["run", "--thorough", "--sampled-tokens", "9"], /leave --sampled-tokens out/],
  [["run", "--thorough", "--sub-tokens", "4"], /leave --sub-tokens out/],
  [[
    "plan",
    "--vocab",
    "90",
    "--hidden",
    "8",
    "--pass",
    "train",
    "--largest",
    "tokens",
    "--sampled-tokens",
    "9",
  ], /a sample is of known tokens/],
];
for (const [args, message] of REFUSED) {
  Deno.test(`lce ${args.join(" ")} is refused, with the reason`, async () => {
    const { code, err } = await lce(...args);
    assert.equal(code, EXIT.usage, err);
    assert.match(err, message);
  });
}

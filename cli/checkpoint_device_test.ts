import assert from "node:assert/strict";
import { bytesOf } from "../fixtures/elements.ts";
import { integers, SafetensorsFile, writeSafetensors } from "../fixtures/files/safetensors.ts";
import { makeSynthetic } from "../fixtures/synthetic.ts";
import { namesIn, withFolder } from "../fixtures/testing.ts";
import { parseProblem } from "../planner/problem_schema.ts";
import { EXIT } from "./exit.ts";
import { lce } from "./testing.ts";

/** Mean loss of a head by the definition, in float64. */
function lossOf(
  weight: Float32Array,
  states: Float32Array,
  targets: Int32Array,
  bias?: Float32Array,
) {
  const hidden = states.length / targets.length;
  const losses = [...targets].flatMap((target, token) => {
    if (target === -100) return [];
    const logits = Array.from({ length: weight.length / hidden }, (_, id) => {
      let sum = bias?.[id] ?? 0;
      for (let d = 0; d < hidden; d++) {
        sum += weight[id * hidden + d]! * states[token * hidden + d]!;
      }
      return sum;
    });
    return [Math.log(logits.reduce((sum, logit) => sum + Math.exp(logit), 0)) - logits[target]!];
  });
  return losses.reduce((a, b) => a + b) / losses.length;
}

Deno.test("lce run on a checkpoint with lm_head.bias gives the loss with the bias, and names a tensor", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const { tensors } = makeSynthetic(
      parseProblem({ tokens: 9, hidden: 7, vocab: 45, bias: true }),
      3,
    );
    const floats = (bytes: Uint8Array) => new Float32Array(bytes.slice().buffer);
    const config = { model_type: "phi", vocab_size: 45, hidden_size: 7 };
    await Deno.writeTextFile(`${folder}/config.json`, JSON.stringify(config));
    const weight = { dtype: "F32", shape: [45, 7], bytes: tensors.weight };
    const other = { ...weight, bytes: bytesOf(floats(tensors.weight).map((value) => -value)) };
    await writeSafetensors(`${folder}/model.safetensors`, {
      "lm_head.weight": weight,
      "lm_head.bias": { dtype: "F32", shape: [45], bytes: bytesOf(tensors.bias!) },
      "draft.weight": other,
    });
    await writeSafetensors(`${folder}/activations.safetensors`, {
      hidden_states: { dtype: "F32", shape: [3, 3, 7], bytes: tensors.hidden },
      targets: { dtype: "I32", shape: [3, 3], bytes: bytesOf(tensors.targets) },
    });
    const loss = async (...args: string[]) => {
      const { code, out, err } = await lce("run", folder, "--json", ...args);
      assert.equal(code, EXIT.ok, err);
      return JSON.parse(out)[0].loss as number;
    };
    const states = floats(tensors.hidden);
    const withBias = lossOf(floats(tensors.weight), states, tensors.targets, tensors.bias);
    const without = lossOf(floats(tensors.weight), states, tensors.targets);
    // f32 sums of 7 products: some 1e-6 of logits of about 12.
    assert(Math.abs(await loss() - withBias) < 1e-4 && Math.abs(withBias - without) > 1e-2);
    const draft = lossOf(floats(other.bytes), states, tensors.targets);
    assert(Math.abs(await loss("--weight-tensor", "draft.weight") - draft) < 1e-4);
    const none = await lce("run", folder, "--weight-tensor", "none");
    assert.equal(none.code, EXIT.input);
    assert.match(none.err, /has no tensor none: it has lm_head.weight/);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("lce run takes states and targets from other files, with the shift of a model's own inputs", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const { tensors } = makeSynthetic(parseProblem({ tokens: 12, hidden: 7, vocab: 45 }), 3);
    const ids = tensors.targets.map((id) => Math.max(id, 0));
    const config = { model_type: "gpt2", vocab_size: 45, n_embd: 7 };
    await Deno.writeTextFile(`${folder}/config.json`, JSON.stringify(config));
    const weight = { dtype: "F32", shape: [45, 7], bytes: tensors.weight };
    await writeSafetensors(`${folder}/model.safetensors`, { "wte.weight": weight });
    await writeSafetensors(`${folder}/batch.safetensors`, {
      states: { dtype: "F32", shape: [3, 4, 7], bytes: tensors.hidden },
      input_ids: { dtype: "I32", shape: [3, 4], bytes: bytesOf(ids) },
    });
    const of = (name: string) => `${folder}/batch.safetensors:${name}`;
    const given = ["--hidden", of("states"), "--targets", of("input_ids"), "--shift", "1"];
    const { code, out, err } = await lce("run", folder, ...given, "--json");
    assert.equal(code, EXIT.ok, err);
    const [{ loss, perplexity, keptTokens }] = JSON.parse(out);
    const shifted = ids.map((_, token) => token % 4 === 3 ? -100 : ids[token + 1]!);
    const floats = (bytes: Uint8Array) => new Float32Array(bytes.slice().buffer);
    const truth = lossOf(floats(tensors.weight), floats(tensors.hidden), shifted);
    assert(Math.abs(loss - truth) < 1e-4, `${loss} ${truth}`);
    assert(Math.abs(perplexity - Math.exp(truth)) < 1e-3 * Math.exp(truth));
    assert.equal(keptTokens, 9);
    const refused = async (exit: number, message: RegExp, ...args: string[]) => {
      const { code, err } = await lce("run", ...args);
      assert.equal(code, exit);
      assert.match(err, message);
    };
    await refused(EXIT.usage, /--hidden states: names no tensor/, folder, "--hidden", "states");
    await refused(EXIT.usage, /--shift 0.5: must be a whole number/, folder, "--shift", "0.5");
    await refused(EXIT.usage, /--shift: is of a checkpoint: name its folder/, "--shift", "1");
    const file = `${folder}/batch.safetensors`;
    await refused(EXIT.input, /others are for checkpoint folders/, file, "--shift", "1");
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

/** What `lce fixture make` can lay out, and the file and name of the head. */
const LAYOUTS: Readonly<Record<string, { flags: string[]; files: string[]; head: string }>> = {
  tied: { flags: [], files: ["model.safetensors"], head: "model.embed_tokens.weight" },
  biased: { flags: ["--bias"], files: ["model.safetensors"], head: "model.embed_tokens.weight" },
  "wte.weight, in sequences": {
    flags: ["--tensor-name", "wte.weight", "--batch", "3"],
    files: ["model.safetensors"],
    head: "wte.weight",
  },
  "sharded, with a head and a bias of its own": {
    flags: ["--shards", "3", "--tensor-name", "lm_head.weight", "--bias"],
    files: [
      ...[1, 2, 3].map((shard) => `model-0000${shard}-of-00003.safetensors`),
      "model.safetensors.index.json",
    ],
    head: "lm_head.weight",
  },
};

Deno.test("lce run has loss, perplexity and bits per byte of every layout of a checkpoint", () =>
  withFolder(async (folder) => {
    const sizes = { tokens: 30, hidden: 7, vocab: 45 };
    const shape = Object.entries(sizes).flatMap(([name, size]) => [`--${name}`, `${size}`]);
    const floats = (bytes: Uint8Array) => new Float32Array(bytes.slice().buffer);
    const lengths = Int32Array.from({ length: 30 }, (_, token) => 1 + token % 5);
    const file = `${folder}/bytes.safetensors`;
    await writeSafetensors(file, {
      lengths: { dtype: "I32", shape: [30], bytes: bytesOf(lengths) },
    });
    for (const [name, { flags, files, head }] of Object.entries(LAYOUTS)) {
      const place = `${folder}/model`;
      const own = ["--dtype", "f32", "--seed", "5", "--force"];
      const made = await lce("fixture", "make", place, ...shape, ...own, ...flags);
      assert.equal(made.code, EXIT.ok, made.err);
      assert.deepEqual(
        namesIn(place).filter((each) => each.startsWith("model") && files.includes(each)),
        files,
      );
      const of = (tensor: string) => `${place}/activations.safetensors:${tensor}`;
      const given = ["--hidden", of("hidden_states"), "--targets", of("targets")];
      const { code, out, err } = await lce(
        ...["run", "--checkpoint", place, ...given, "--bytes", `${file}:lengths`, "--json"],
      );
      assert.equal(code, EXIT.ok, `${name}: ${err}`);
      const [found] = JSON.parse(out);
      const { tensors } = makeSynthetic(
        parseProblem({ ...sizes, bias: flags.includes("--bias") }),
        5,
      );
      const { targets } = tensors;
      const states = floats(tensors.hidden);
      const truth = lossOf(floats(tensors.weight), states, targets, tensors.bias);
      assert(Math.abs(found.loss - truth) < 1e-4, `${name}: ${found.loss} ${truth}`);
      const kept = [...targets.keys()].filter((token) => targets[token] !== -100);
      assert(kept.length < 30);
      assert.equal(found.keptTokens, kept.length);
      assert(Math.abs(found.perplexity - Math.exp(truth)) < 1e-4 * Math.exp(truth));
      const textBytes = kept.reduce((sum, token) => sum + lengths[token]!, 0);
      assert.equal(found.textBytes, textBytes);
      const bits = truth * kept.length / Math.LN2 / textBytes;
      assert(Math.abs(found.bitsPerByte - bits) < 1e-4 * bits, name);
      const last = files.filter((each) => each.endsWith(".safetensors")).at(-1)!;
      assert((await SafetensorsFile.open(`${place}/${last}`)).has(head));
    }
    const refused = async (exit: number, message: RegExp, ...args: string[]) => {
      const { code, err } = await lce(...args);
      assert.equal(code, exit);
      assert.match(err, message);
    };
    const run = ["run", "--checkpoint", `${folder}/model`];
    await refused(
      EXIT.usage,
      /--bytes 0: must be a whole number, 1 or more/,
      ...run,
      "--bytes",
      "0",
    );
    await refused(EXIT.usage, /--bytes: is of a checkpoint/, "run", "--bytes", "9");
    const wrong = [...run, "--bytes", `${folder}/model/activations.safetensors:hidden_states`];
    await refused(EXIT.input, /"hidden_states" is F32/, ...wrong);
    const make = ["fixture", "make", `${folder}/new`, "--tokens", "12"];
    await refused(EXIT.usage, /12 tokens do not divide into 5 sequences/, ...make, "--batch", "5");
    await refused(EXIT.usage, /--shards/, ...make, "--shards", "0");
  }));

Deno.test("lce run names what a checkpoint's own name for its head is, and refuses a quantised one", () =>
  withFolder(async (folder) => {
    const place = `${folder}/model`;
    const make = ["fixture", "make", place, "--tokens", "4", "--hidden", "4", "--vocab", "9"];
    const { out } = await lce(...make, "--tensor-name", "net.out", "--dtype", "f32");
    assert.match(out, /--weight-tensor net.out/);
    const unnamed = await lce("run", "--checkpoint", place);
    assert.equal(unnamed.code, EXIT.input);
    assert.match(unnamed.err, /has net.out. If one of them is it, --weight-tensor names it/);
    const named = await lce("run", "--checkpoint", place, "--weight-tensor", "net.out", "--json");
    assert.equal(named.code, EXIT.ok, named.err);
    await writeSafetensors(`${place}/model.safetensors`, {
      "lm_head.qweight": { dtype: "I32", shape: [1], bytes: new Uint8Array(4) },
    });
    const quantised = await lce("run", "--checkpoint", place);
    assert.equal(quantised.code, EXIT.input);
    assert.match(quantised.err, /lm_head.qweight is of a quantised head/);
  }));

Deno.test("lce plan says the host's memory of a run, with its matrices in files, and a run has it", async () => {
  const sizes = ["--tokens", "96", "--hidden", "128", "--vocab", "5003", "--dtype", "bf16"];
  for (const flags of [[], ["--weights", "streamed", "--window", "512"], ["--pass", "train"]]) {
    const own = ["--device", "auto", "--host-io", "--json"];
    const planned = await lce("plan", ...sizes, ...own, ...flags);
    const { host } = JSON.parse(planned.out);
    const { code, out, err } = await lce("run", "--json", ...flags);
    assert.equal(code, EXIT.ok, err);
    const [found] = JSON.parse(out);
    assert.equal(found.host.measuredPeakBytes, host.peakBytes, flags.join(" "));
    assert.equal(host.heldBytes + host.piecesBytes + host.resultBytes, host.peakBytes);
  }
  const callers = await lce("plan", ...sizes, "--json");
  assert.equal(JSON.parse(callers.out).host, null);
});

/** Widens bf16, which is the upper half of an f32. */
function widened(bytes: Uint8Array): Float32Array {
  const halves = new Uint16Array(bytes.slice().buffer);
  return new Float32Array(Uint32Array.from(halves, (half) => half << 16).buffer);
}

Deno.test("a real vocabulary with contexts of real text: loss, bits per byte and gradients", async () => {
  const folder = decodeURIComponent(new URL("../fixtures/glove-small", import.meta.url).pathname);
  const of = (name: string) => `${folder}/activations.safetensors:${name}`;
  const { out, err } = await lce("run", folder, "--bytes", of("bytes"), "--json");
  assert.equal(err, "");
  const [found] = JSON.parse(out);
  assert(found.ok && found.agreement.coverage.complete);
  const file = await SafetensorsFile.open(`${folder}/activations.safetensors`);
  const model = await SafetensorsFile.open(`${folder}/model.safetensors`);
  const weight = widened((await model.read("wte.weight")).bytes);
  const states = widened((await file.read("hidden_states")).bytes);
  const targets = integers(await file.read("targets"), "targets");
  const truth = lossOf(weight, states, targets);
  // f32 sums of 100 products, of logits up to some 20.
  assert(Math.abs(found.loss - truth) < 1e-4, `${found.loss} ${truth}`);
  const lengths = integers(await file.read("bytes"), "bytes").reduce((a, b) => a + b);
  assert.equal(found.textBytes, lengths);
  const bits = truth * targets.length / Math.LN2 / lengths;
  assert(Math.abs(found.bitsPerByte - bits) < 1e-4 * bits);
  // As real ones are, softmaxes are of every kind: some sure of a word, some of hardly any.
  const surest = [...targets.keys()].map((token) => {
    const logits = Array.from({ length: 300 }, (_, id) => {
      let sum = 0;
      for (let d = 0; d < 100; d++) sum += weight[100 * id + d]! * states[100 * token + d]!;
      return sum;
    });
    const most = Math.max(...logits);
    return 1 / logits.reduce((sum, logit) => sum + Math.exp(logit - most), 0);
  });
  assert(Math.min(...surest) < 0.1 && Math.max(...surest) > 0.6);
  const trained = await lce("run", folder, "--pass", "train", "--weights", "streamed", "--json");
  assert.equal(trained.code, EXIT.ok, trained.err);
  assert(JSON.parse(trained.out)[0].agreement.coverage.complete);
});

Deno.test("the commands of docs/checkpoints.md do what it says", {
  ignore: Deno.env.has("LCE_SLOW_DEVICE"),
}, () =>
  withFolder(async (folder) => {
    const page = await Deno.readTextFile(new URL("../docs/checkpoints.md", import.meta.url));
    const [, block] = /```sh\n([\s\S]*?)```/.exec(page)!;
    const commands = block!.trim().split("\n");
    assert.equal(commands.length, 6);
    for (const command of commands) {
      const args = command.replaceAll("demo/", `${folder}/`).split(" ").slice(1);
      const { code, err } = await lce(...args);
      assert.equal(code, EXIT.ok, `${command}: ${err}`);
    }
    assert.deepEqual(namesIn(folder), ["biased", "gpt2", "losses.csv", "sharded", "tied"]);
  }));

Deno.test("what each rank takes of the host is planned from the checkpoint's config, and measured", () =>
  withFolder(async (folder) => {
    const sizes = ["--tokens", "23", "--hidden", "10", "--vocab", "301", "--bias"];
    assert.equal((await lce("fixture", "make", `${folder}/model`, ...sizes)).code, EXIT.ok);
    for (const pass of ["forward", "train"]) {
      const split = ["--tensor-parallel", "3", "--data-parallel", "2", "--pass", pass, "--json"];
      const [run] = JSON.parse((await lce("run", `${folder}/model`, ...split)).out);
      const job = [...sizes, "--dtype", "bf16", "--host-io", "--device", "auto"];
      const plan = JSON.parse((await lce("plan", ...job, ...split)).out);
      const planned = plan.perRank.map(({ host }: { host: { peakBytes: number } }) =>
        host.peakBytes
      );
      const measured = run.perRank.map((rank: { measuredHostPeakBytes: number }) =>
        rank.measuredHostPeakBytes
      );
      assert.deepEqual(planned, measured);
      // Parts of two sizes in either direction, and a plan of the largest.
      assert.equal(new Set(planned).size, 4);
      assert.equal(plan.host.peakBytes, Math.max(...planned));
    }
    // Nothing is the host's where tensors are the caller's.
    const callers = await lce("plan", ...sizes, "--tensor-parallel", "3", "--json");
    assert.deepEqual(
      JSON.parse(callers.out).perRank.map(({ host }: { host: null }) => host),
      [null, null, null],
    );
  }));

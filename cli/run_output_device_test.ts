import assert from "node:assert/strict";
import { floats, integers, SafetensorsFile } from "../fixtures/files/safetensors.ts";
import { namesIn, withFolder } from "../fixtures/testing.ts";
import { EXIT } from "./exit.ts";
import { lce } from "./testing.ts";

const ORACLE = decodeURIComponent(new URL("../fixtures/oracle", import.meta.url).pathname);
/** A case with ignored tokens and, from PyTorch, its results and gradients. */
const CASE = `${ORACLE}/ignore-index.safetensors`;

/** Returns PyTorch's results. */
async function expected(name: string): Promise<number[]> {
  return [...floats(await (await SafetensorsFile.open(CASE)).read(`expected.${name}`), name)];
}

async function targets(): Promise<{ ids: number[]; ignored: number }> {
  const file = await SafetensorsFile.open(CASE);
  return {
    ids: [...integers(await file.read("targets"), "targets")],
    ignored: Number(file.header.metadata.ignore_index),
  };
}

function assertClose(ours: number[], theirs: number[], tolerance: number): void {
  assert.equal(ours.length, theirs.length);
  ours.forEach((value, at) => {
    const allowed = tolerance * (1 + Math.abs(theirs[at]!));
    assert(Math.abs(value - theirs[at]!) < allowed, `${at}: ${value} ${theirs[at]}`);
  });
}

Deno.test("lce run --output writes losses per token as JSON and CSV, and the perplexity of them", () =>
  withFolder(async (folder) => {
    const { ids, ignored } = await targets();
    const kept = ids.map((_, token) => token).filter((token) => ids[token] !== ignored);
    assert(kept.length < ids.length && kept.length > 2);
    const losses = (await expected("per_token")).filter((_, token) => ids[token] !== ignored);
    const json = `${folder}/x.json`;
    const { code, out, err } = await lce("run", CASE, "--json", "--output", json);
    assert.equal(code, EXIT.ok, err);
    const found = JSON.parse(await Deno.readTextFile(json));
    assertClose(kept.map((token) => found.tokens[token].loss), losses, 2e-5);
    assert.deepEqual(found.tokens.map(({ target }: { target: number }) => target), ids);
    ids.forEach((id, token) => assert(id !== ignored || found.tokens[token].loss === null));
    const perplexity = Math.exp(losses.reduce((a, b) => a + b) / losses.length);
    const [entry] = JSON.parse(out);
    for (const told of [found, entry]) {
      assert(Math.abs(told.perplexity - perplexity) < 1e-4 * perplexity);
      assert.equal(told.keptTokens, kept.length);
    }
    assert.equal(entry.host.measuredPeakBytes, entry.host.predictedPeakBytes);
    assert(entry.host.residentPeakBytes > entry.host.measuredPeakBytes);

    const csv = `${folder}/x.csv`;
    assert.equal((await lce("run", CASE, "--output", csv)).code, EXIT.ok);
    const [header, ...lines] = (await Deno.readTextFile(csv)).trimEnd().split("\n");
    assert.match(header!, /^token,target,loss,lse,logprob/);
    const rows = lines.map((line) => line.split(","));
    assertClose(kept.map((token) => Number(rows[token]![2])), losses, 2e-5);
    ids.forEach((id, token) => {
      assert.deepEqual(rows[token]!.slice(0, 2), [`${token}`, `${id}`]);
      assert(id !== ignored || rows[token]!.slice(2).every((value) => value === ""));
    });
  }));

Deno.test("lce run --output writes gradients as they come, streamed or not, whole or not at all", () =>
  withFolder(async (folder) => {
    const run = async (name: string, ...args: string[]) => {
      const path = `${folder}/${name}.safetensors`;
      const { code, err } = await lce("run", CASE, "--pass", "train", "--output", path, ...args);
      assert.equal(code, EXIT.ok, err);
      return await SafetensorsFile.open(path);
    };
    const file = await run("resident");
    const { ids, ignored } = await targets();
    assert.deepEqual([...integers(await file.read("targets"), "targets")], ids);
    const losses = [...floats(await file.read("loss"), "loss")];
    const truth = (await expected("per_token")).map((value, at) => ids[at] === ignored ? 0 : value);
    assertClose(losses, truth, 2e-5);
    for (const name of ["grad_hidden", "grad_weight"]) {
      const stored = await file.read(name);
      assertClose([...floats(stored, name)], await expected(name), 1e-4);
    }
    const window = ["--window", "64"];
    const streamed = await run("streamed", "--weights", "streamed", ...window);
    const again = await run("again", "--weights", "resident", ...window);
    for (const name of again.header.tensors.keys()) {
      assert.deepEqual(await streamed.read(name), await again.read(name), name);
    }
    assert.deepEqual(namesIn(folder).length, 3);
    const there = `${folder}/streamed.safetensors`;
    assert.match((await lce("run", CASE, "--output", there)).err, /exists already; --force/);
    // Where nothing fits, nothing is left.
    const failed = await lce(
      "run",
      CASE,
      "--budget",
      "1000",
      "--output",
      `${folder}/no.safetensors`,
    );
    assert.equal(failed.code, EXIT.doesNotFit);
    assert.deepEqual(namesIn(folder).length, 3);
  }));

Deno.test("lce run --statistics writes entropy and the likeliest id of each token, as PyTorch has them", () =>
  withFolder(async (folder) => {
    const path = `${folder}/x.json`;
    const asked = ["--statistics", "entropy,predicted", "--top-k", "1", "--output", path];
    const { code, out, err } = await lce("run", CASE, "--pass", "forward", ...asked, "--json");
    assert.equal(code, EXIT.ok, err);
    const [{ agreement: { checks } }] = JSON.parse(out);
    const against = (name: string) =>
      checks.find((check: { name: string }) => check.name === name)?.against;
    assert.deepEqual([against("entropy"), against("predicted")], ["oracle", "oracle"]);
    const { tokens } = JSON.parse(await Deno.readTextFile(path));
    const kept = tokens.filter(({ loss }: { loss: number | null }) => loss !== null);
    assert(kept.length > 2);
    for (const { entropy, predicted, topk_ids } of kept) {
      assert(entropy > 0);
      assert.deepEqual([predicted], topk_ids);
    }
    const mistyped = await lce("run", CASE, "--statistics", "entrpy");
    assert.equal(mistyped.code, EXIT.usage);
    assert.match(mistyped.err, /entropy/);
  }));

Deno.test("lce run --output is of one fixture, run once, and in a format that there is", async () => {
  const refused = async (message: RegExp, ...args: string[]) => {
    const { code, err } = await lce("run", ...args);
    assert.equal(code, EXIT.usage);
    assert.match(err, message);
  };
  await refused(/must end in .safetensors, .json or .csv/, "--output", "x.txt");
  await refused(/holds one fixture's results.*without others/, ORACLE, "--output", "x.csv");
  await refused(/without ranks/, "--tensor-parallel", "2", "--output", "x.csv");
  await refused(/without --thorough/, CASE, "--thorough", "--output", "x.csv");
});

Deno.test("lce run --sample writes an id for each token, the same in rounds and by another plan", () =>
  withFolder(async (folder) => {
    const drawn = async (...how: string[]) => {
      const path = `${folder}/${how.length}.json`;
      const flags = ["--pass", "forward", "--sample", "7", "--sample-temperature", "0.8"];
      const { code, err } = await lce("run", CASE, ...flags, "--output", path, ...how);
      assert.equal(code, EXIT.ok, err);
      const { tokens } = JSON.parse(await Deno.readTextFile(path));
      return tokens.map(({ sampled }: { sampled: number | null }) => sampled);
    };
    const { ids, ignored } = await targets();
    const found = await drawn();
    ids.forEach((id, token) => assert.equal(found[token] === null, id === ignored));
    assert.deepEqual(await drawn("--round", "32"), found);
    assert.deepEqual(await drawn("--strategy", "two-stage", "--top-k", "2"), found);
  }));

Deno.test("lce run --output writes the gradients of a teacher that learns, as they were compared", () =>
  withFolder(async (folder) => {
    const [pair, out] = [`${folder}/pair.safetensors`, `${folder}/out.safetensors`];
    const sizes = ["--tokens", "9", "--vocab", "70", "--hidden", "10", "--dtype", "f32"];
    const taught = ["--distill", "binary-kl", "--teacher-hidden", "7", "--teacher-learns"];
    const made = await lce("fixture", "make", pair, ...sizes, ...taught, "--bias");
    assert.equal(made.code, EXIT.ok, made.err);
    const run = await lce("run", pair, "--pass", "train", "--output", out, "--json");
    assert.equal(run.code, EXIT.ok, run.err);
    const [{ agreement }] = JSON.parse(run.out);
    assert(agreement.coverage.complete);
    assert.deepEqual(agreement.coverage.gradients["teacher's weight"], { rows: 70, ofRows: 70 });
    const file = await SafetensorsFile.open(out);
    assert.deepEqual(file.find("grad_weight").shape, [70, 10]);
    assert.deepEqual(file.find("grad_teacher_hidden").shape, [9, 7]);
    assert.deepEqual(file.find("grad_teacher_weight").shape, [70, 7]);
    assert(!file.has("grad_teacher_bias"));
    const gradient = floats(await file.read("grad_teacher_weight"), "grad_teacher_weight");
    assert(gradient.some((value) => Math.abs(value) > 1e-6));
    assert.deepEqual(namesIn(folder), ["out.safetensors", "pair.safetensors"]);
  }));

import assert from "node:assert/strict";
import { EXIT } from "./exit.ts";
import { lce, lceWithin } from "./testing.ts";

const ROOT = decodeURIComponent(new URL("..", import.meta.url).pathname);

Deno.test("lce run --json meets its contract on the default fixture", async () => {
  const { code, out, err } = await lce("run", "--json");
  assert.equal(code, EXIT.ok, err);
  const entries = JSON.parse(out);
  assert.equal(entries.length, 1);
  const [{ fixture, pass, strategy, agreement, memory, time, ok, rates }] = entries;
  assert.equal(rates, "assumed");
  assert.deepEqual([fixture, pass, strategy, ok], ["tiny-lm", "forward", "fused", true]);
  assert(agreement.ok && agreement.checks.length >= 3);
  for (const check of agreement.checks) {
    assert.equal(check.against, "reference");
    assert(check.normRel <= check.tolerance && check.ok);
  }
  assert.equal(memory.predictedPeakBytes, memory.measuredPeakBytes);
  assert(memory.ok && time.ms > 0 && time.tflops > 0);
  const { coverage } = agreement;
  assert.deepEqual(coverage, {
    rows: 96,
    ofRows: 96,
    gradients: {},
    givenStatistics: false,
    complete: true,
  });
});

Deno.test("by default a training run's gradients are compared, all of them", async () => {
  const { code, out, err, progress } = await lce("run", "--pass", "train", "--json");
  assert.equal(code, EXIT.ok);
  assert.equal(err, "", "how far it is belongs to a terminal alone");
  // Each long part says that it has begun and how far it is, in the order of the work.
  const parts = progress.map((text) =>
    /tiny-lm \(1 of 1\): (.*?)(?:, (\d+) %(?:, .*)?)?$/.exec(text)!
  );
  assert.deepEqual([...new Set(parts.map(([, part]) => part))], [
    "reading",
    "checking inputs",
    "running",
    "computing the reference",
  ]);
  for (const part of ["running", "computing the reference"]) {
    const shares = parts.filter(([, name]) => name === part).map(([, , share]) => Number(share));
    assert.equal(shares[0], 0, part);
    assert(shares.length > 1 && shares.at(-1)! > 0, `${part}: ${shares}`);
    assert.deepEqual(shares, shares.toSorted((a, b) => a - b), part);
  }
  const [{ agreement }] = JSON.parse(out);
  assert.deepEqual(agreement.coverage.gradients, {
    hidden: { rows: 96, ofRows: 96 },
    weight: { rows: 5003, ofRows: 5003 },
  });
  const names = agreement.checks.map(({ name }: { name: string }) => name);
  assert(["loss", "gradHidden", "gradWeight"].every((name) => names.includes(name)));
});

Deno.test("a fixture that cannot be read does not keep the others from running", async () => {
  const folder = await Deno.makeTempDir();
  try {
    await Deno.writeTextFile(`${folder}/broken.safetensors`, "no tensors");
    const good = `${ROOT}fixtures/oracle/one-token.safetensors`;
    const paths = [`${folder}/broken.safetensors`, good];
    const people = await lce("run", ...paths);
    assert.equal(people.code, EXIT.input);
    assert.match(people.err, /^lce: .*broken\.safetensors/);
    assert.match(people.out, /^one-token: ok/);
    assert.match(people.out, /1 agree, 1 could not run\.\n$/);
    assert.match(people.progress[0]!, /broken\.safetensors \(1 of 2\): reading/);
    const { code, out } = await lce("run", ...paths, "--json");
    assert.equal(code, EXIT.input);
    const [broken, fine] = JSON.parse(out);
    assert.deepEqual([broken.ok, broken.exitCode, fine.ok], [false, EXIT.input, true]);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("logits past the largest f32 are the input's fault, and said", async () => {
  const { writeSafetensors } = await import("../fixtures/files/safetensors.ts");
  const { bytesOf } = await import("../fixtures/elements.ts");
  const folder = await Deno.makeTempDir();
  const matrix = (value: number) => ({
    dtype: "F32",
    shape: [2, 3],
    bytes: bytesOf(new Float32Array(6).fill(value)),
  } as const);
  try {
    await writeSafetensors(`${folder}/x.safetensors`, {
      hidden: matrix(3e38),
      weight: matrix(2),
      targets: { dtype: "I32", shape: [2], bytes: bytesOf(Int32Array.of(0, 1)) },
    });
    const { code, err } = await lce("run", `${folder}/x.safetensors`);
    assert.equal(code, EXIT.input);
    assert.match(err, /a logit reaches 1\.8e\+39, past the largest f32, 3\.4e\+38/);
    assert.doesNotMatch(err, /bias/);
    await writeSafetensors(`${folder}/masked.safetensors`, {
      hidden: matrix(1),
      weight: matrix(1),
      bias: { dtype: "F32", shape: [2], bytes: bytesOf(Float32Array.of(0, -3.4e38)) },
      targets: { dtype: "I32", shape: [2], bytes: bytesOf(Int32Array.of(0, 0)) },
    }, { options: JSON.stringify({ logit_scale: 2 }) });
    const masked = await lce("run", `${folder}/masked.safetensors`);
    assert.equal(masked.code, EXIT.input);
    assert.match(masked.err, /a logit reaches 6\.8e\+38, .*or raise what masks ids in the bias/);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("lce run --thorough runs a fixture in every way", async () => {
  const path = `${ROOT}fixtures/oracle/odd-dims.safetensors`;
  const { code, out, err } = await lce("run", "--thorough", path, "--json");
  assert.equal(code, EXIT.ok, err);
  const entries = JSON.parse(out);
  assert.deepEqual(
    entries.map(({ fixture }: { fixture: string }) => fixture),
    ["odd-dims", "many tokens", "a filter at work"],
  );
  const ways = entries.flatMap(({ variants }: { variants: Record<string, unknown>[] }) => variants);
  for (const strategy of ["two-stage", "fused", "windowed", "chunked"]) {
    const of = ways.filter((way: { strategy: string }) => way.strategy === strategy);
    assert(of.some(({ how }: { how: string }) => how === "steps"), strategy);
    assert(of.some(({ how }: { how: string }) => how === "host"), strategy);
    assert(new Set(of.map(({ block }: { block: number }) => block)).size > 1, strategy);
  }
  assert(
    ways.every(({ ok, repeats, how }: { ok: boolean; repeats?: boolean; how: string }) =>
      ok && (how === "steps" ? repeats === true : repeats === undefined)
    ),
  );
  const mixed = await lce("run", "--thorough", "--strategy", "fused");
  assert.equal(mixed.code, EXIT.usage);
  assert.match(mixed.err, /leave --strategy out/);
});

Deno.test("lce run for people says the same", async () => {
  const { code, out } = await lce("run", `${ROOT}fixtures/oracle/bias.safetensors`);
  assert.equal(code, EXIT.ok);
  assert.match(out, /^bias: ok\n/);
  assert.match(out, /to the byte as predicted/);
  assert.match(out, /against the oracle/);
  // A loss has the digits of an f32, a time those that people read.
  assert.match(out, /^ +loss +\d\.\d{1,6} over \d+ tokens$/m);
  assert.match(out, /^ +time +[\d.]{1,5} (µs|ms|s), [\d.]{1,5} [kMG]?FLOP\/s/m);
});

Deno.test("a wrong expectation makes lce run fail with 1", async () => {
  const { SafetensorsFile, writeSafetensors } = await import("../fixtures/files/safetensors.ts");
  const file = await SafetensorsFile.open(`${ROOT}fixtures/oracle/one-token.safetensors`);
  const tensors = Object.fromEntries(
    await Promise.all(
      [...file.header.tensors.keys()].map(async (name) => [name, await file.read(name)]),
    ),
  );
  const lse = tensors["expected.lse"];
  new DataView(lse.bytes.buffer, lse.bytes.byteOffset).setFloat32(0, 5, true);
  const folder = await Deno.makeTempDir();
  try {
    await writeSafetensors(`${folder}/x.safetensors`, tensors, file.header.metadata);
    const { code, out } = await lce("run", `${folder}/x.safetensors`, "--json");
    assert.equal(code, EXIT.verification);
    const [{ ok, agreement }] = JSON.parse(out);
    assert.equal(ok, false);
    const wrong = agreement.checks.filter(({ ok }: { ok: boolean }) => !ok);
    assert.deepEqual(wrong.map(({ name }: { name: string }) => name), ["lse"]);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("a strategy that cannot serve the pass is a usage error", async () => {
  const { code, err } = await lce("run", "--strategy", "chunked");
  assert.equal(code, EXIT.usage);
  assert.match(err, /chunked: is a training strategy/);
});

Deno.test("without an adapter lce run exits with 3 and says how to get one", async () => {
  const nowhere = "/nonexistent/icd.json";
  const { code, stderr } = await new Deno.Command("deno", {
    args: ["run", "-A", "--quiet", "cli/main.ts", "run"],
    cwd: ROOT,
    env: { VK_DRIVER_FILES: nowhere, VK_ICD_FILENAMES: nowhere, DENO_WEBGPU_BACKEND: "vulkan" },
  }).output();
  assert.equal(code, EXIT.device);
  const text = new TextDecoder().decode(stderr);
  assert.match(text, /No WebGPU adapter[\s\S]*scripts\/setup.sh/);
  assert.match(text, /VK_DRIVER_FILES is\n~\/\.cache\/lce\/swiftshader\/vk_swiftshader_icd\.json/);
});

Deno.test("lce run --tensor-parallel runs every rank, and verifies memory and traffic", async () => {
  const split = ["--tensor-parallel", "3", "--pass", "train", "--strategy", "windowed"];
  const { code, out, err } = await lce("run", ...split, "--json");
  assert.equal(code, EXIT.ok, err);
  const [{ parallel, agreement, perRank, collectives, ok }] = JSON.parse(out);
  assert.deepEqual(parallel, { tensor: 3, data: 1, sequence: false });
  assert(ok && agreement.ok);
  assert.equal(perRank.length, 3);
  for (const rank of perRank) {
    assert.equal(rank.measuredPeakBytes, rank.peakBytes);
    // Three floats per token and a gradient of 128, given and got.
    assert.equal(rank.measuredTrafficBytes, 2 * 4 * (3 * 96 + 96 * 128));
    assert(rank.ok && rank.sameResults);
  }
  assert.equal(collectives.length, 4);
});

Deno.test("lce run on ranks says the same for people", async () => {
  const { code, out } = await lce("run", "--tensor-parallel", "2", "--data-parallel", "2");
  assert.equal(code, EXIT.ok);
  assert.match(out, /^tiny-lm: ok\n/);
  assert.match(out, /4 ranks: the vocabulary split over 2, tokens split over 2 replicas/);
  assert.match(out, /ok +rank 3 +ids 2502 to 5002 +peak \d+ bytes, as planned/);
  const narrow = await lceWithin(80, "run", "--tensor-parallel", "2", "--data-parallel", "2");
  for (const line of narrow.out.split("\n")) assert(line.length <= 80, line);
});

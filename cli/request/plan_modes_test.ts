import assert from "node:assert/strict";
import { EXIT } from "../exit.ts";
import { plan } from "../../mod.ts";
import { SPECIFICATION_DEFAULTS } from "../../planner/device.ts";
import { withAdapter } from "../../planner/heads/adapter.ts";
import { DISTILLING_PEERS } from "../../planner/peers/mod.ts";
import { parseProblem } from "../../planner/problem_schema.ts";
import { lce, withFile } from "../testing.ts";

const PLAN = ["plan", "--vocab", "5000", "--hidden", "64", "--tokens", "512"];

Deno.test("--compare has the methods' measured figures, and ours", async () => {
  // Measured on an H100: 16000 and 24000 MiB, 1.0 and 1163 MiB (docs/peers.md).
  const { out, code } = await lce(
    ...["plan", "--model", "gemma-2-2b", "--tokens", "8192", "--dtype", "bf16"],
    ...["--compare", "--json"],
  );
  assert.equal(code, EXIT.ok);
  const { peers } = JSON.parse(out);
  const of = (name: string) => peers.find(({ method }: { method: string }) => method === name);
  const mebibytes = ({ forwardExtraBytes, trainExtraBytes }: Record<string, number>) =>
    [forwardExtraBytes!, trainExtraBytes!].map((bytes) => Math.round(bytes / 2 ** 20));
  assert.deepEqual(mebibytes(of("pytorch-two-stage")), [16000, 24000]);
  assert.deepEqual(mebibytes(of("cut-cross-entropy")), [1, 1163]);
  // The model's softcap keeps one more copy of 16-bit logits in training.
  assert.equal(of("pytorch-two-stage").asAsked.trainExtraBytes, 28000 * 2 ** 20);
  assert(of("lce").forwardExtraBytes < 20 * 2 ** 20);
  assert(of("lce").trainExtraBytes > 0);
});

Deno.test("--explain lists every candidate, one of them chosen", async () => {
  const { out } = await lce(...PLAN, "--pass", "train", "--explain", "--json");
  const { candidates, front, strategy } = JSON.parse(out);
  const chosen = candidates.filter(({ verdict }: { verdict: string }) => verdict === "chosen");
  assert.equal(chosen.length, 1);
  assert.equal(chosen[0].strategy, strategy);
  assert.equal(chosen[0].relativeTime, 1);
  const starred = candidates.filter(({ onFront }: { onFront: boolean }) => onFront);
  assert.equal(starred.length, front.length);
  const { out: text } = await lce(...PLAN, "--pass", "train", "--explain");
  assert.equal(text.match(/ {2}chosen$/gm)?.length, 1);
});

Deno.test("--largest tokens gives a plan that fits, and what is in the way of the next", async () => {
  const { out, code } = await lce(
    ...["plan", "--vocab", "5000", "--hidden", "64", "--pass", "train"],
    ...["--largest", "tokens", "--budget", "32MiB", "--json"],
  );
  assert.equal(code, EXIT.ok);
  const { largest, problem, memory } = JSON.parse(out);
  assert.equal(problem.tokens, largest.value);
  assert(memory.peakBytes <= 32 * 2 ** 20);
  assert.match(largest.limit, /Nothing fits/);
});

Deno.test("--codes plans over the codes and says what the codebook takes", async () => {
  const { out } = await lce(...PLAN, "--codes", "500", "--json");
  const { codebook, problem } = JSON.parse(out);
  assert.equal(problem.vocab, 500);
  assert.equal(codebook.codebookBytes, 500 * 64 * 4);
  assert.equal(codebook.weightBytes, 5000 * 64 * 4);
  assert.equal(codebook.lossFloorNats.least, Math.log(10));
});

Deno.test("--weights streamed keeps one window on the device", async () => {
  const { out } = await lce(...PLAN, "--weights", "streamed", "--window", "512", "--json");
  const plan = JSON.parse(out);
  assert.equal(plan.weights, "streamed");
  // The hidden states and one window: targets are read before any comes, and given back.
  assert.equal(plan.memory.peakByCategory.input, 4 * (512 * 64 + 512 * 64));
});

const CONTRADICTIONS: readonly [readonly string[], RegExp][] = [
  [["--largest", "tokens"], /--largest tokens .* --tokens fixes it/],
  [["--largest", "vocab"], /--largest vocab .* --vocab fixes it/],
  [["--codes", "0"], /--codes 0: .* from 1 to 5000/],
  [["--codes", "5001"], /--codes 5001: .* from 1 to 5000/],
  [["--sweep", "block=64,128", "--explain"], /--sweep and --explain cannot be given together/],
  [["--compare", "--tensor-parallel", "2"], /--compare and --tensor-parallel cannot.*one device/],
  [
    ["--sweep", "block=64", "--peers", "liger", "--tensor-parallel", "2"],
    /--peers and --tensor-parallel cannot.*one device/,
  ],
  [["--window", "7"], /window of 7 ids/],
  [["--block", "1"], /block of 1 tokens/],
  [["--gradient-filter", "auto"], /--gradient-filter auto: the forward pass has no gradients/],
  [
    ["--objective", "statistics", "--label-smoothing", "0.1"],
    /--label-smoothing 0.1: the objective/,
  ],
  [["--objective", "statistics", "--reduction", "sum"], /--reduction sum: the objective/],
  [["--statistics", "entropy,entropy"], /--statistics .*has entropy twice/],
];

for (const [flags, message] of CONTRADICTIONS) {
  Deno.test(`lce plan ${flags.join(" ")} is a usage error`, async () => {
    const { code, err, out } = await lce(...PLAN, ...flags);
    assert.equal(code, EXIT.usage);
    assert.match(err, message);
    assert.equal(out, "");
  });
}

Deno.test("lce plan says what plan() of the library says, to the byte", async () => {
  for (const pass of ["forward", "train"] as const) {
    const sizes = { vocab: 256000, hidden: 4096 };
    const { out } = await lce(
      ...["plan", "--vocab", "256000", "--hidden", "4096", "--pass", pass, "--json"],
    );
    const { memory, hostIo } = JSON.parse(out);
    const planned = plan(parseProblem({ ...sizes, pass }), SPECIFICATION_DEFAULTS);
    assert.equal(memory.peakBytes, planned.memory.peakBytes);
    assert.equal(memory.extraPeakBytes, planned.memory.extraPeakBytes);
    assert.equal(hostIo, false);
    const inputs = 4 * 4096 * (8192 + 256000);
    assert(memory.peakBytes >= (pass === "train" ? 2 : 1) * inputs, "inputs and gradients");
    assert(memory.savedRatio > 0 && memory.savedRatio < 1);
  }
});

Deno.test("--host-io plans what lce run does, in a plan file too", async () => {
  const { out } = await lce(...PLAN, "--pass", "train", "--host-io", "--json");
  const resident = JSON.parse((await lce(...PLAN, "--pass", "train", "--json")).out);
  const host = JSON.parse(out);
  assert.equal(host.hostIo, true);
  assert(host.memory.peakByCategory.staging > 0);
  assert.equal(resident.memory.peakByCategory.staging, 0);
  await withFile(
    "vocab: 5000\nhidden: 64\ntokens: 512\npass: train\nhostIo: true\n",
    async (path) => {
      const { out } = await lce("plan", "--config", path, "--json");
      assert.equal(JSON.parse(out).memory.peakBytes, host.memory.peakBytes);
    },
  );
});

Deno.test("a weight that is streamed for want of room is said first, and counted once", async () => {
  const flags = ["plan", "--vocab", "50000", "--hidden", "64", "--tokens", "512"];
  const { out, code } = await lce(...flags, "--budget", "6MiB");
  assert.equal(code, EXIT.ok);
  const [, , , buffers] = out.split("\n");
  assert.match(buffers!, /^buffers +weights streamed: .*only lce run can do it$/);
  assert.match(out, /because +with the whole weight on the device nothing fits 6.00 MiB/);
  assert.match(out, /^ +weight +12.2 MiB +input +one window at a time$/m);
  const csv = await lce(
    ...["plan", "--hidden", "64", "--vocab", "50000", "--tokens", "512"],
    ...["--sweep", "budget=6MiB,60MiB", "--format", "csv"],
  );
  const [header, ...rows] = csv.out.trimEnd().split("\n").map((line) => line.split(","));
  const column = header!.indexOf("weights");
  assert.deepEqual(rows.map((row) => row[column]), ["streamed", "resident"]);
});

Deno.test("ranks have a largest and a timeline", async () => {
  const flags = ["--hidden", "64", "--vocab", "5000", "--pass", "train", "--tensor-parallel", "3"];
  const { out, code, err } = await lce(
    ...["plan", ...flags, "--largest", "tokens", "--budget", "32MiB", "--json"],
  );
  assert.equal(code, EXIT.ok, err);
  const { largest, problem, perRank } = JSON.parse(out);
  assert.equal(problem.tokens, largest.value);
  assert(perRank.every(({ peakBytes }: { peakBytes: number }) => peakBytes <= 32 * 2 ** 20));
});

Deno.test("a plan file that splits a job is asked nothing that knows no ranks either", async () => {
  await withFile("vocab: 5000\nhidden: 64\ntensorParallel: 2\n", async (path) => {
    const { code, err, out } = await lce("plan", "--config", path, "--compare");
    assert.equal(code, EXIT.usage);
    assert.match(err, /--compare and --tensor-parallel cannot be given together/);
    assert.equal(out, "");
  });
});

Deno.test("what a plan saves is never less than nothing, and what it costs is said", async () => {
  for (const sizes of [["100", "8", "4"], ["1000", "64", "16"], ["3", "2", "70000"]]) {
    const [vocab, hidden, tokens] = sizes;
    for (const pass of ["forward", "train"]) {
      const plan = ["plan", "--vocab", vocab!, "--hidden", hidden!, "--tokens", tokens!];
      const { out } = await lce(...plan, "--pass", pass);
      const [, saved] = /^ +saved +(.*)$/m.exec(out)!;
      assert.doesNotMatch(saved!, /-\d/, `${plan} ${pass}`);
      const { memory } = JSON.parse((await lce(...plan, "--pass", pass, "--json")).out);
      const { savedBytes, savedRatio, peakBytes, twoStagePeakBytes } = memory;
      assert.equal(savedBytes, Math.max(0, twoStagePeakBytes - peakBytes));
      assert(savedRatio >= 0 && savedRatio <= 1, `${savedRatio}`);
    }
  }
});

const LARGEST_WORDS: readonly [string, RegExp][] = [
  ["tokens", /^\d+ tokens fit at the most\.$/m],
  ["vocab", /^A vocabulary of \d+ fits at the most\.$/m],
  ["hidden", /^A hidden size of \d+ fits at the most\.$/m],
];
for (const [dimension, words] of LARGEST_WORDS) {
  Deno.test(`the largest ${dimension} is told in a sentence of its own`, async () => {
    const sizes = { "--vocab": "5000", "--hidden": "64", "--tokens": "512" };
    const given = Object.entries(sizes).filter(([flag]) => flag !== `--${dimension}`).flat();
    const { out, code, err } = await lce(
      ...["plan", ...given, "--largest", dimension, "--budget", "8MiB"],
    );
    assert.equal(code, EXIT.ok, err);
    assert.match(out, words);
  });
}

Deno.test("--adapter-rank plans gradients of its columns alone, to the byte of the library's plan", async () => {
  const sizes = { tokens: 512, hidden: 96, vocab: 3000, pass: "train" } as const;
  const flags = Object.entries(sizes).flatMap(([name, value]) => [`--${name}`, `${value}`]);
  const { out } = await lce("plan", ...flags, "--adapter-rank", "8", "--json");
  const { problem, memory } = JSON.parse(out);
  assert.deepEqual([problem.heads[0].hidden, problem.heads[0].adapter], [104, 8]);
  const ours = plan(withAdapter(parseProblem(sizes), 8), SPECIFICATION_DEFAULTS).memory;
  assert.equal(memory.peakBytes, ours.peakBytes);
  // Gradients of B and of H A^T, and what any plan gives: results of a token, loss and totals.
  const results = memory.peakByCategory.output - 4 * 8 * (512 + 3000);
  assert(results > 0 && results < 32 * 512, `${results}`);
  const text = await lce("plan", ...flags, "--adapter-rank", "8");
  assert.match(text.out, /104 hidden \(8 of them an adapter's\) x 3000 vocab/);
  for (const [flag, value] of [["--codes", "64"], ["--compare"], ["--largest", "hidden"]]) {
    const args = flag === "--largest" ? flags.filter((_, i) => i !== 2 && i !== 3) : flags;
    const other = value === undefined ? [flag!] : [flag!, value];
    const { code, err } = await lce("plan", ...args, "--adapter-rank", "8", ...other);
    assert.equal(code, EXIT.usage);
    assert.match(err, /--adapter-rank and .* cannot be given together/);
  }
});

Deno.test("--distill plans a student and its teacher, to the byte of the library's plan", async () => {
  const sizes = { tokens: 512, hidden: 96, vocab: 3000, pass: "train" } as const;
  const flags = Object.entries(sizes).flatMap(([name, value]) => [`--${name}`, `${value}`]);
  const taught = ["--distill", "reverse-kl", "--teacher-hidden", "160"];
  const more = ["--temperature", "2", "--distill-weight", "0.5", "--ce-weight", "0.25"];
  const { out } = await lce("plan", ...flags, ...taught, ...more, "--compare", "--json");
  const { problem, memory, peers } = JSON.parse(out);
  const expected = parseProblem({
    tokens: 512,
    pass: "train",
    heads: [
      { name: "student", hidden: 96, vocab: 3000 },
      { name: "teacher", hidden: 160, vocab: 3000 },
    ],
    distill: { divergence: "reverse-kl", temperature: 2, weight: 0.5, ceWeight: 0.25 },
  });
  assert.deepEqual(problem, JSON.parse(JSON.stringify(expected)));
  const ours = plan(expected, SPECIFICATION_DEFAULTS).memory;
  assert.equal(memory.peakBytes, ours.peakBytes);
  assert.deepEqual(
    peers.map(({ method }: { method: string }) => method),
    [...DISTILLING_PEERS.map(({ method }) => method), "lce"],
  );
  const both = await lce("plan", ...flags, ...taught, ...more, "--teacher-learns", "--json");
  const heads = expected.heads.map((head) => ({ ...head, frozen: false }));
  const ofBoth = plan({ ...expected, heads }, SPECIFICATION_DEFAULTS).memory;
  assert.equal(JSON.parse(both.out).memory.peakBytes, ofBoth.peakBytes);
  assert(ofBoth.peakBytes >= ours.peakBytes + 4 * 160 * (512 + 3000));
  const mixed = ["--distill", "jsd", "--beta", "0.3", "--teacher-hidden", "160"];
  const ofMixture = await lce("plan", ...flags, ...mixed, "--json");
  const distill = { divergence: "jsd", beta: 0.3 } as const;
  assert.equal(
    JSON.parse(ofMixture.out).memory.peakBytes,
    plan(parseProblem({ ...expected, distill }), SPECIFICATION_DEFAULTS).memory.peakBytes,
  );
  assert.match((await lce("plan", ...flags, ...mixed)).out, /by jsd \(beta 0.3\)/);
  // A forward pass of a student may be by chunks, though that of one head is not.
  const chunked = ["--strategy", "chunked", "--json"];
  const forward = await lce("plan", ...flags.slice(0, -2), ...mixed, ...chunked);
  assert.equal(JSON.parse(forward.out).strategy, "chunked");
  const list = ["--distill", "forward-kl", "--teacher-list", "64"];
  const ofList = JSON.parse((await lce("plan", ...flags, ...list, "--compare", "--json")).out);
  const byList = { divergence: "forward-kl", listed: 64 } as const;
  const student = { ...expected, heads: [expected.heads[0]!], distill: byList };
  assert.equal(
    ofList.memory.peakBytes,
    plan(parseProblem(student), SPECIFICATION_DEFAULTS).memory.peakBytes,
  );
  assert.match(
    (await lce("plan", ...flags, ...list)).out,
    /beside a teacher of 64 ids a token, by/,
  );
  const text = await lce("plan", ...flags, ...taught);
  assert.match(text.out, /beside a teacher of 160 hidden x 3000 vocab, f32, by reverse-kl/);
  const settings = { ...sizes, distill: "reverse-kl", teacherHidden: 160, temperature: 2 };
  const file = JSON.stringify({ ...settings, distillWeight: 0.5, ceWeight: 0.25 });
  await withFile(file, async (path) => {
    const { out } = await lce("plan", "--config", path, "--json");
    assert.deepEqual(JSON.parse(out).problem, problem);
  }, ".json");
  const refused: readonly [string[], RegExp][] = [
    [["--teacher-hidden", "8"], /--teacher-hidden 8: is of a teacher: add --distill/],
    [["--teacher-learns"], /--teacher-learns true: is of a teacher: add --distill/],
    [[...taught, "--teacher-list", "64"], /--teacher-hidden cannot be given together/],
    [["--distill", "reverse-kl", "--teacher-list", "64"], /reverse-kl is not finite beyond a list/],
    [[...list, "--tensor-parallel", "2"], /Cannot split what learns from a list over ranks/],
    [[...list, "--teacher-learns"], /--teacher-list and --teacher-learns cannot/],
    [["--beta", "0.3"], /--beta 0.3: is of a teacher: add --distill/],
    [[...taught, "--beta", "0.3"], /a beta of 0.3, which only jsd has, not reverse-kl/],
    [["--distill", "jsd", "--beta", "2"], /--beta/],
    [["--distill", "forward-kl"], /needs --teacher-hidden/],
    [[...taught, "--codes", "64"], /--distill and --codes cannot be given together/],
    [[...taught, "--tensor-parallel", "2"], /student, teacher over ranks: these agree on/],
    [[...taught, "--label-smoothing", "0.1"], /ceWeight beside distill is 0/],
    [[...taught, "--distill-weight", "0"], /leaves nothing to learn/],
  ];
  for (const [args, message] of refused) {
    const { code, err } = await lce("plan", ...flags, ...args);
    assert.equal(code, EXIT.usage, err);
    assert.match(err, message);
  }
});

Deno.test("--gradient-dtype plans half of the weight's gradient, and a window of it in f32 besides", async () => {
  const args = ["plan", "--vocab", "5000", "--hidden", "64", "--tokens", "900", "--pass", "train"];
  const planned = async (...more: string[]) => {
    const { code, out, err } = await lce(
      ...[...args, "--strategy", "windowed", "--window", "512", "--json", ...more],
    );
    assert.equal(code, EXIT.ok, err);
    return JSON.parse(out);
  };
  const [plain, rounded] = [await planned(), await planned("--gradient-dtype", "bf16")];
  assert.deepEqual([plain.gradientDtype, rounded.gradientDtype], ["f32", "bf16"]);
  const size = ({ memory }: typeof plain, name: string) =>
    memory.buffers.find((buffer: { name: string }) => buffer.name === name)?.bytes;
  assert.deepEqual([size(plain, "grad_weight"), size(rounded, "grad_weight")], [
    4 * 5000 * 64,
    2 * 5000 * 64,
  ]);
  assert.equal(size(rounded, "window_gradient"), 4 * 512 * 64);
  const { out } = await lce(...args, "--gradient-dtype", "bf16");
  assert.match(
    out,
    /gradient +of the weight in bf16: a window is added up in f32 and rounded once/,
  );
  await withFile(
    "vocab: 5000\nhidden: 64\npass: train\ngradientDtype: f16\n",
    async (path) => {
      const { out } = await lce("plan", "--config", path, "--json");
      assert.equal(JSON.parse(out).gradientDtype, "f16");
    },
    ".yaml",
  );
  await withFile(JSON.stringify(plain), async (path) => {
    const { code, out } = await lce(
      ...[...args, "--gradient-dtype", "bf16", "--against", path, "--window", "512"],
    );
    // A window of it in f32 is more scratch than there was.
    assert.equal(code, EXIT.verification);
    assert.match(out, /extra peak .* % more\n {2}weight's gradient +bf16 +was f32\n/);
  }, ".json");
});

Deno.test("--fusion plans a large model's head, an expert's and its base's, and says that no peer is known", async () => {
  const flags = ["plan", "--vocab", "5000", "--hidden", "64", "--tokens", "300"];
  const fused = [...flags, "--fusion", "--expert-hidden", "24"];
  const { code, out, err } = await lce(...fused, "--json", "--compare");
  assert.equal(code, EXIT.ok, err);
  const planned = JSON.parse(out);
  const sizes = { vocab: 5000, dtype: "f32" } as const;
  const problem = parseProblem({
    tokens: 300,
    heads: [
      { name: "large", hidden: 64, ...sizes },
      { name: "expert", hidden: 24, ...sizes },
      { name: "base", hidden: 24, ...sizes },
    ],
    fusion: true,
  });
  assert.deepEqual(planned.problem, JSON.parse(JSON.stringify(problem)));
  assert.equal(
    planned.memory.peakBytes,
    plan(problem, SPECIFICATION_DEFAULTS).memory.peakBytes,
  );
  assert.deepEqual(planned.peers.map(({ method }: { method: string }) => method), ["lce"]);
  const text = await lce(...fused, "--base-hidden", "16", "--compare");
  assert.match(text.out, /guided by an expert of 24 hidden over its base of 16/);
  assert.match(text.out, /methods: none is known that fuses heads/);
  const refused: readonly [string[], RegExp][] = [
    [[...flags, "--fusion"], /--fusion: needs --expert-hidden/],
    [[...flags, "--base-hidden", "8"], /--base-hidden 8: is of heads that are fused: add --fusion/],
    [[...fused, "--codes", "64"], /--fusion and --codes cannot be given together/],
    [[...fused, "--pass", "train"], /it has no gradients, so the pass must be forward/],
    [[...fused, "--tensor-parallel", "2"], /large, expert, base over ranks: these agree on/],
  ];
  for (const [args, message] of refused) {
    const { code, err } = await lce(...args);
    assert.equal(code, EXIT.usage, err);
    assert.match(err, message);
  }
});

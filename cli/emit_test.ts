import assert from "node:assert/strict";
import { emitSchedule } from "../kernels/wgsl/manifest.ts";
import { findDevice } from "../planner/devices/profiles.ts";
import { makePlan } from "../planner/plan.ts";
import { parseProblem } from "../planner/problem_schema.ts";
import { SPECIFICATION_DEFAULTS } from "../planner/device.ts";
import { MATRIX_FEATURES } from "../planner/schedule/tile.ts";
import { EXIT } from "./exit.ts";
import { lce } from "./testing.ts";

/** The manifest that lce emit writes for some flags, and the kernels beside it. */
async function emitted(...flags: string[]) {
  const folder = await Deno.makeTempDir();
  try {
    const { code, err } = await lce("emit", folder, "--tokens", "70", "--hidden", "10", ...flags);
    assert.equal(code, EXIT.ok, err);
    const manifest = JSON.parse(await Deno.readTextFile(`${folder}/manifest.json`));
    const texts = await Promise.all(
      Object.keys(manifest.kernels).map((name) => Deno.readTextFile(`${folder}/${name}`)),
    );
    return { manifest, texts };
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

const BYTES: Readonly<Record<string, number>> = { f32: 4, u32: 4, i32: 4, f16: 2, bf16: 2 };

for (
  const flags of [
    ["--vocab", "301"],
    ["--vocab", "301", "--pass", "train", "--bias", "--class-weight", "--dtype", "bf16"],
    ["--vocab", "301", "--pass", "train", "--objective", "statistics", "--statistics", "entropy"],
    ["--vocab", "301", "--pass", "train", "--gradient-filter", "auto", "--dtype", "f16"],
    ["--vocab", "301", "--pass", "train", "--reduction", "none", "--statistics", "predicted"],
  ]
) {
  Deno.test(`the manifest tells what every tensor is: ${flags.join(" ")}`, async () => {
    const { manifest: { buffers, tensors }, texts } = await emitted(...flags);
    const bytesOf = new Map<string, number>();
    for (const { holds, bytes } of buffers) {
      if (!holds) continue;
      bytesOf.set(holds.tensor, Math.max(bytesOf.get(holds.tensor) ?? 0, holds.offset + bytes));
    }
    assert.deepEqual(Object.keys(tensors).sort(), [...bytesOf.keys()].sort());
    for (const [name, bytes] of bytesOf) {
      const { dtype, shape, rows } = tensors[name];
      const exact = shape.reduce((a: number, b: number) => a * b, BYTES[dtype]!);
      // Buffers are whole words.
      assert.equal(bytes, Math.ceil(exact / 4) * 4, name);
      if (rows) assert.equal(rows.length, shape[0], name);
    }
    assert.deepEqual(tensors.totals.rows, ["kept", "keptWeight", "totalWeight", "badTarget"]);
    for (const text of texts) assert.doesNotMatch(text, /^enable /m);
  });
}

Deno.test("the manifest asks for the limits that the plan needs, and for no others", async () => {
  const { manifest: small } = await emitted("--vocab", "301");
  assert.deepEqual(small.requires, { limits: {} });
  // A weight of 320 MB in one buffer is more than the 256 MiB that every device has.
  const { manifest: large } = await emitted("--vocab", "8000000", "--device", "h100-deno");
  const { limits } = large.requires;
  const most = Math.max(...large.buffers.map(({ bytes }: { bytes: number }) => bytes));
  assert(most > SPECIFICATION_DEFAULTS.limits.maxBufferSize);
  assert.equal(limits.maxBufferSize, most);
  for (const [name, value] of Object.entries(limits)) {
    assert((value as number) > SPECIFICATION_DEFAULTS.limits[name as "maxBufferSize"], name);
  }
});

Deno.test("the manifest asks for the features of matrices, and for what the largest kernel takes", async () => {
  const sizes = ["--vocab", "40000", "--hidden", "512", "--tokens", "2048"];
  const { manifest, texts } = await emitted(
    ...sizes,
    ...["--dtype", "f16", "--pass", "train", "--device", "h100-dawn"],
  );
  const { features, limits } = manifest.requires;
  assert.deepEqual(features, MATRIX_FEATURES);
  const workgroups = texts.map((text) => Number(/@workgroup_size\((\d+)\)/.exec(text)![1]));
  const { maxComputeInvocationsPerWorkgroup: promised } = SPECIFICATION_DEFAULTS.limits;
  const allowed = limits.maxComputeInvocationsPerWorkgroup ?? promised;
  assert(Math.max(...workgroups) <= allowed, `${workgroups}`);
  // Workgroup memory is an array of vec4s of words.
  const memory = texts.map((text) =>
    16 * Number(/var<workgroup> memory: array<vec4<u32>, (\d+)>/.exec(text)?.[1] ?? 0)
  );
  assert(Math.max(...memory) > 0);
  const { maxComputeWorkgroupStorageSize: bytes } = SPECIFICATION_DEFAULTS.limits;
  assert(Math.max(...memory) <= (limits.maxComputeWorkgroupStorageSize ?? bytes), `${memory}`);
});

Deno.test("a manifest of a student and its teacher asks for matrices, and has a record for each", () => {
  const heads = ["student", "teacher"].map((name) => ({
    ...{ name, hidden: 64, vocab: 5000, dtype: "bf16" as const },
  }));
  const problem = parseProblem({ pass: "train", heads, distill: { divergence: "forward-kl" } });
  const { schedule } = makePlan(problem, findDevice("h100-dawn")!.profile);
  const { manifest } = emitSchedule(schedule);
  assert.deepEqual(manifest.requires.features, MATRIX_FEATURES);
  for (const head of ["student", "teacher"]) {
    assert.deepEqual(manifest.tensors[`${head}_halves`]!.shape, [2, 3]);
  }
});

Deno.test("a manifest of bf16 in matrices says what halves do not hold, and how to judge it", async () => {
  const { manifest } = await emitted(
    ...["--vocab", "5000", "--hidden", "64", "--dtype", "bf16", "--device", "h100-dawn"],
  );
  assert.deepEqual(manifest.requires.features, MATRIX_FEATURES);
  const { dtype, shape, rows, note } = manifest.tensors.halves;
  assert.deepEqual([dtype, shape, rows], ["u32", [2, 3], ["hidden", "weight"]]);
  assert.match(note, /past 0.000001 results are not to be used/);
  const [record] = manifest.buffers.filter(({ name }: { name: string }) => name === "halves");
  assert.equal(record.bytes, 4 * 6);
  assert(
    manifest.steps.some(({ clear }: { clear?: { buffer: string } }) => clear?.buffer === "halves"),
  );
});

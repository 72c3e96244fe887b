import assert from "node:assert/strict";
import { EXIT } from "./exit.ts";
import { ofClass, parseSvg } from "./chart/testing.ts";
import { lce, withFile } from "./testing.ts";

const TINY = ["bench", "--shape", "32x64x256", "--repeats", "1", "--quick"];

Deno.test("a run's JSON is what the next is compared with, and every row is under a roof", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const before = await lce(...TINY, "--json");
    assert.equal(before.code, EXIT.ok, before.err);
    await Deno.writeTextFile(`${folder}/before.json`, before.out);
    const picture = `${folder}/roofline.svg`;
    const { code, out, err } = await lce(
      ...[...TINY, "--format", "json", "--against", `${folder}/before.json`],
      ...["--roofline", picture],
    );
    assert.equal(code, EXIT.ok, err);
    assert.match(err, /5 of 5 rows rest on a single repeat/);
    assert.match(err, /^Wrote .*roofline\.svg\.$/m);
    const [earlier, rows] = [JSON.parse(before.out), JSON.parse(out)];
    assert.equal(rows.length, 5);
    rows.forEach((row: Record<string, number>, index: number) => {
      assert.equal(row.againstMs, earlier[index].ms);
      assert.equal(row.againstRatio, row.ms! / row.againstMs!);
      assert.match(String(row.against), /^noise$|^\S+ % (faster|slower)$/);
      // Every strategy does what the job takes by definition, and may do some of it twice.
      const passes = String(row.pass) === "train" ? 6 : 2;
      assert(row.flops! >= passes * 32 * 64 * 256);
      // What --roofline measured stays with the rows, for lce report.
      assert(row.peakFlopsPerSecond! > 0 && row.peakBytesPerSecond! > 0);
      assert.equal(earlier[index].peakFlopsPerSecond, null);
      // Hidden states and weight are read at least once, four bytes each.
      assert(row.bytesMoved! >= 4 * (32 * 64 + 256 * 64));
    });
    const marks = ofClass(parseSvg(await Deno.readTextFile(picture)), "mark");
    assert.deepEqual(
      marks.map(({ attributes }) => attributes["data-name"]),
      rows.map((row: Record<string, string>) => `${row.strategy} ${row.pass} 32x64x256`),
    );
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("a run that got worse exits with 1 where told to, and is reported where not", async () => {
  const one = [...TINY, "--strategy", "fused", "--json"];
  const [now] = JSON.parse((await lce(...one)).out);
  assert.deepEqual([now.webgpu, now.tier], [Deno.env.get("LCE_WEBGPU") ?? "deno", "f32"]);
  const before = { ...now, ms: now.ms / 1e3, fastest: now.ms / 1e3, slowest: now.ms / 1e3 };
  await withFile(JSON.stringify([before]), async (path) => {
    const reported = await lce(...one, "--against", path);
    assert.equal(reported.code, EXIT.ok);
    assert.match(reported.err, /Worse than in .*:\n {2}32x64x256 f32 forward fused: \d+ % slower/);
    assert.match(reported.err, /--fail-over 10% would make it an exit code of 1/);
    const failed = await lce(...one, "--against", path, "--fail-over", "10%");
    assert.equal(failed.code, EXIT.verification);
  }, ".json");
  await withFile(JSON.stringify([{ ...now, vocab: 1 }]), async (path) => {
    const { code, err } = await lce(...one, "--against", path);
    assert.equal(code, EXIT.input);
    assert.match(err, /no measurement of the same strategy/);
  }, ".json");
});

Deno.test("a weight gradient in 16 bits is timed where it is rounded once, and compared with none in f32", async () => {
  const { code, out, err } = await lce(
    ...[...TINY, "--pass", "train", "--gradient-dtype", "bf16", "--json"],
  );
  assert.equal(code, EXIT.ok, err);
  const rows: Record<string, string | number>[] = JSON.parse(out);
  const types = Object.fromEntries(rows.map((row) => [row.strategy, row.gradientDtype]));
  assert.deepEqual(types, { "two-stage": "f32", windowed: "bf16", chunked: "f32" });
  const windowed = rows.filter(({ strategy }) => strategy === "windowed");
  assert("round-gradient" in (windowed[0]!.kernels as unknown as object));
  await withFile(
    JSON.stringify(rows.map((row) => ({ ...row, gradientDtype: undefined }))),
    async (path) => {
      const same = [...TINY, "--pass", "train", "--gradient-dtype", "bf16", "--against", path];
      assert.match((await lce(...same)).err, /nothing of 1 of 3 rows: .* gradient bf16 train/);
    },
    ".json",
  );
});

Deno.test("a run of which nothing fits prints its rows and exits with 5", async () => {
  const { code, out, err } = await lce("bench", "--shape", "8x2000000000x8", "--quick");
  assert.equal(code, EXIT.doesNotFit, err);
  assert.match(out, /two-stage: No schedule fits/);
  assert.match(err, /^lce: No schedule fits/);
});

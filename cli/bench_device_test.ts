import assert from "node:assert/strict";
import { EXIT } from "./exit.ts";
import { ofClass, parseSvg } from "./picture/testing.ts";
import { lce } from "./testing.ts";

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
    assert.match(err, /Wrote .*roofline\.svg\.\n$/);
    const [earlier, rows] = [JSON.parse(before.out), JSON.parse(out)];
    assert.equal(rows.length, 5);
    rows.forEach((row: Record<string, number>, index: number) => {
      assert.equal(row.againstMs, earlier[index].ms);
      assert.equal(row.againstRatio, row.ms! / row.againstMs!);
      assert.match(String(row.against), /^noise$|^\S+ % (faster|slower)$/);
      // Every strategy does what the job takes by definition, and may do some of it twice.
      const passes = String(row.pass) === "train" ? 6 : 2;
      assert(row.flops! >= passes * 32 * 64 * 256);
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

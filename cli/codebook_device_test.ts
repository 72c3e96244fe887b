import assert from "node:assert/strict";
import { bytesOf } from "../fixtures/elements.ts";
import { writeSafetensors } from "../fixtures/files/safetensors.ts";
import { EXIT } from "./exit.ts";
import { lce } from "./testing.ts";

const SIZES = ["--vocab", "700", "--hidden", "33", "--dtype", "f32"];

/** Gives a test a checkpoint whose 700 rows are 40 codes, with its codebook. */
async function withModel(use: (folder: string, codebook: string) => Promise<void>) {
  const folder = await Deno.makeTempDir();
  try {
    const made = await lce("fixture", "make", `${folder}/m`, ...SIZES, "--codes", "40");
    assert.equal(made.code, EXIT.ok, made.err);
    await use(`${folder}/m`, `${folder}/m/codebook.safetensors`);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

async function ran(...args: string[]) {
  const { code, out, err } = await lce("run", "--json", ...args);
  assert.equal(code, EXIT.ok, err);
  return JSON.parse(out)[0];
}

Deno.test("a run over codes has the loss of the whole head, and the memory that lce plan --codes says", async () => {
  await withModel(async (folder, codebook) => {
    const whole = await ran(folder, "--pass", "train");
    const codes = await ran(folder, "--pass", "train", "--codebook", codebook);
    // Two sums of f32 in different orders.
    assert(Math.abs(codes.loss - whole.loss) < 4e-6 * whole.loss, `${codes.loss}, ${whole.loss}`);
    assert(codes.memory.measuredPeakBytes < whole.memory.measuredPeakBytes / 4);
    assert.deepEqual(codes.codebook, { ids: 700 });
    const sizes = ["--tokens", "96", ...SIZES, "--codes", "40"];
    const how = ["--pass", "train", "--host-io", "--device", "auto", "--json"];
    const planned = await lce("plan", ...sizes, ...how);
    assert.equal(planned.code, EXIT.ok, planned.err);
    const { memory } = JSON.parse(planned.out);
    assert.equal(memory.peakBytes, codes.memory.measuredPeakBytes);
    assert.equal(memory.extraPeakBytes, codes.memory.measuredExtraPeakBytes);
  });
});

Deno.test("codes are split over ranks as ids are, and each rank takes what lce plan says", async () => {
  await withModel(async (folder, codebook) => {
    const whole = await ran(folder);
    const split = await ran(folder, "--codebook", codebook, "--tensor-parallel", "3");
    assert(Math.abs(split.loss - whole.loss) < 4e-6 * whole.loss);
    const sizes = ["--tokens", "96", ...SIZES, "--codes", "40", "--tensor-parallel", "3"];
    const { code, out, err } = await lce(
      "plan",
      ...sizes,
      "--host-io",
      "--device",
      "auto",
      "--json",
    );
    assert.equal(code, EXIT.ok, err);
    const { perRank, codebook: said } = JSON.parse(out);
    assert.equal(said.codes, 40);
    const peaks = (ranks: { peakBytes: number }[]) => ranks.map(({ peakBytes }) => peakBytes);
    assert.deepEqual(peaks(perRank), peaks(split.perRank));
    for (const { measuredPeakBytes, peakBytes } of split.perRank) {
      assert.equal(measuredPeakBytes, peakBytes);
    }
  });
});

Deno.test("lce run --output over codes has ids and their losses", async () => {
  await withModel(async (folder, codebook) => {
    const results = async (name: string, ...args: string[]) => {
      await ran(folder, "--output", `${folder}/${name}.json`, ...args);
      return JSON.parse(await Deno.readTextFile(`${folder}/${name}.json`));
    };
    const whole = await results("whole");
    const codes = await results("codes", "--codebook", codebook);
    assert.equal(codes.tokens.length, 96);
    codes.tokens.forEach(({ target, loss }: Record<string, number>, token: number) => {
      assert.equal(target, whole.tokens[token].target);
      if (loss !== null) assert(Math.abs(loss! - whole.tokens[token].loss) < 1e-5);
    });
  });
});

Deno.test("lce codebook make finds the codes that a weight was made of, and writes them once", async () => {
  await withModel(async (folder, codebook) => {
    const output = `${folder}/made.safetensors`;
    const make = (...args: string[]) =>
      lce("codebook", "make", folder, "--output", output, ...args);
    const { code, out, err } = await make("--codes", "40", "--json");
    assert.equal(code, EXIT.ok, err);
    const made = JSON.parse(out);
    assert.deepEqual([made.relativeError, made.settled, made.codesWithoutIds], [0, true, 0]);
    assert.deepEqual([made.codebookBytes, made.mapBytes], [40 * 33 * 4, 700 * 4]);
    const [ours, given] = [
      await ran(folder, "--codebook", output),
      await ran(folder, "--codebook", codebook),
    ];
    assert(Math.abs(ours.loss - given.loss) < 4e-6 * given.loss);

    const again = await make("--codes", "7");
    assert.equal(again.code, EXIT.usage);
    assert.match(again.err, /made\.safetensors: exists already/);
    const forced = await make("--codes", "7", "--force", "--rounds", "2");
    assert.equal(forced.code, EXIT.ok);
    assert.match(forced.out, /7 +for the rows of model\.embed_tokens\.weight/);
    assert.match(forced.out, /2 rounds .*--rounds allows more/);
    const fewer = await ran(folder, "--codebook", output);
    assert(fewer.loss > given.loss, "codes that are not the weight cost loss");
  });
});

Deno.test("impossible codebooks are refused, and nothing is written", async () => {
  await withModel(async (folder, codebook) => {
    const output = `${folder}/made.safetensors`;
    const other = `${folder}-600`;
    await lce("fixture", "make", other, "--vocab", "600", "--hidden", "33", "--dtype", "f32");
    const cases: [string[], number, RegExp][] = [
      [["run", other, "--codebook", codebook], EXIT.input, /700 ids and have 33 .* 600 and 33/],
      [["codebook", "make", folder, "--codes", "701", "--output", output], EXIT.usage, /1 to 700/],
      [["codebook", "make", folder, "--codes", "0", "--output", output], EXIT.usage, /codes/],
      [["codebook", "make", folder, "--codes", "9", "--output", "x.bin"], EXIT.usage, /must end/],
      [["codebook", "make", `${folder}/no`, "--codes", "9", "--output", output], EXIT.input, /no/],
      [["run", folder, "--codebook", `${folder}/model.safetensors`], EXIT.input, /codebook/],
      [["run", "--codebook", codebook], EXIT.input, /700 ids and have 33 .* 5003 and 128/],
      [["fixture", "make", `${folder}/x`, ...SIZES, "--codes", "701"], EXIT.usage, /1 to 700/],
      [
        ["fixture", "make", `${folder}/x`, ...SIZES, "--codes", "9", "--softcap", "30"],
        EXIT.usage,
        /a softcap is not the same over codes/,
      ],
    ];
    for (const [args, code, message] of cases) {
      const found = await lce(...args);
      assert.deepEqual([found.code, args.join(" ")], [code, args.join(" ")], found.err);
      assert.match(found.err, message);
    }
    const names = [...Deno.readDirSync(folder)].map(({ name }) => name).sort();
    assert.deepEqual(names, [
      "activations.safetensors",
      "codebook.safetensors",
      "config.json",
      "model.safetensors",
    ]);
  });
});

Deno.test("weights that cannot be compared are the input's fault, and named", async () => {
  const folder = await Deno.makeTempDir();
  try {
    for (
      const [value, message] of [[NaN, /not a finite/], [1e30, /1\.00e\+30, too large/]] as const
    ) {
      const weight = new Float32Array(6 * 5).fill(1);
      weight[17] = value;
      const tensor = { dtype: "F32", shape: [6, 5], bytes: bytesOf(weight) };
      await writeSafetensors(`${folder}/x.safetensors`, { weight: tensor });
      const made = ["--codes", "2", "--output", `${folder}/codes.safetensors`];
      const { code, err } = await lce("codebook", "make", `${folder}/x.safetensors`, ...made);
      assert.equal(code, EXIT.input, err);
      assert.match(err, message);
      assert.match(err, /x\.safetensors: weight\[3, 2\]/);
    }
    assert.deepEqual([...Deno.readDirSync(folder)].map(({ name }) => name), ["x.safetensors"]);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

import assert from "node:assert/strict";
import { EXIT } from "./exit.ts";
import { lce } from "./testing.ts";
import { openCase } from "../fixtures/files/case.ts";
import { held } from "../fixtures/fixture.ts";
import { makeSynthetic } from "../fixtures/synthetic.ts";
import { namesIn, withFolder } from "../fixtures/testing.ts";
import { parseProblem } from "../planner/problem_schema.ts";

const MAKE = ["--tokens", "5", "--hidden", "4", "--vocab", "9"];
const EMIT = ["--tokens", "40", "--hidden", "8", "--vocab", "300"];

Deno.test("fixture make takes a new or an empty folder, and one with files only by force", () =>
  withFolder(async (folder) => {
    assert.equal((await lce("fixture", "make", folder, ...MAKE)).code, EXIT.ok);
    await Deno.writeTextFile(`${folder}/model.safetensors`, "weights");
    await Deno.writeTextFile(`${folder}/tokenizer.json`, "{}");
    const refused = await lce("fixture", "make", folder, ...MAKE);
    assert.equal(refused.code, EXIT.usage);
    assert(refused.err.includes(`${folder}: is a folder with files in it; --force`), refused.err);
    assert.equal(await Deno.readTextFile(`${folder}/model.safetensors`), "weights");
    assert.equal((await lce("fixture", "make", folder, "--force", ...MAKE)).code, EXIT.ok);
    assert.deepEqual(namesIn(folder), [
      "activations.safetensors",
      "config.json",
      "model.safetensors",
      "tokenizer.json",
    ]);
    assert.match((await lce("fixture", "inspect", `${folder}/model.safetensors`)).out, /\[9, 4\]/);
    const file = await lce("fixture", "make", `${folder}/config.json`, ...MAKE);
    assert.equal(file.code, EXIT.input);
  }));

Deno.test("fixture make makes no folder that is named like a file", () =>
  withFolder(async (folder) => {
    for (const force of [[], ["--force"]]) {
      const path = `${folder}/p.safetensors`;
      const { code, err } = await lce("fixture", "make", path, ...MAKE, ...force);
      assert.equal(code, EXIT.usage, err);
      assert.match(err, /p\.safetensors: .* a folder.*without \.safetensors.*--distill/);
    }
    assert.deepEqual(namesIn(folder), []);
  }));

Deno.test("fixture make refuses what memory cannot hold before it makes anything", () =>
  withFolder(async (folder) => {
    const huge = ["--tokens", "100000000", "--hidden", "100000"];
    const { code, err } = await lce("fixture", "make", `${folder}/x`, ...huge);
    assert.equal(code, EXIT.usage);
    assert.match(err, /--tokens 100000000 --hidden 100000 .* takes .*TiB of memory/);
    assert.deepEqual(namesIn(folder), []);
  }));

Deno.test("emit leaves a host of one's own alone, and by force no kernel of an earlier plan", () =>
  withFolder(async (folder) => {
    assert.equal((await lce("emit", folder, ...EMIT, "--pass", "train")).code, EXIT.ok);
    const before = namesIn(folder);
    await Deno.writeTextFile(`${folder}/host.js`, "// mine");
    await Deno.writeTextFile(`${folder}/my-own.wgsl`, "// mine");
    const refused = await lce("emit", folder, ...EMIT);
    assert.equal(refused.code, EXIT.usage);
    assert.equal(await Deno.readTextFile(`${folder}/host.js`), "// mine");
    const forced = await lce("emit", folder, ...EMIT, "--force");
    assert.equal(forced.code, EXIT.ok, forced.err);
    const manifest = JSON.parse(await Deno.readTextFile(`${folder}/manifest.json`));
    const kernels = Object.keys(manifest.kernels);
    assert(before.some((name) => name.endsWith(".wgsl") && !kernels.includes(name)));
    assert.deepEqual(
      namesIn(folder),
      [...kernels, "host.js", "manifest.json", "my-own.wgsl"].sort(),
    );
    assert.notEqual(await Deno.readTextFile(`${folder}/host.js`), "// mine");
  }));

Deno.test("emit says why it streams no weight", () =>
  withFolder(async (folder) => {
    const { code, err } = await lce("emit", `${folder}/x`, ...EMIT, "--weights", "streamed");
    assert.equal(code, EXIT.usage);
    assert.match(err, /--weights streamed: what lce emit writes works on buffers of the host/);
    assert.deepEqual(namesIn(folder), []);
  }));

const PAIR = ["--distill", "jsd", "--beta", "0.25", "--teacher-hidden", "12", "--temperature", "2"];

Deno.test("fixture make writes a student and its teacher as one file, which is read as it was asked for", () =>
  withFolder(async (folder) => {
    const path = `${folder}/pair.safetensors`;
    const more = ["--bias", "--softcap", "20", "--ce-weight", "0.25", "--distill-weight", "4"];
    const made = await lce("fixture", "make", path, "--seed", "7", ...MAKE, ...PAIR, ...more);
    assert.equal(made.code, EXIT.ok, made.err);
    const { problem, tensors } = await held(await openCase(path));
    const sizes = { vocab: 9, dtype: "bf16", bias: true } as const;
    const expected = parseProblem({
      tokens: 5,
      heads: [
        { name: "student", hidden: 4, softcap: 20, ...sizes },
        { name: "teacher", hidden: 12, ...sizes, bias: false },
      ],
      distill: { divergence: "jsd", beta: 0.25, temperature: 2, weight: 4, ceWeight: 0.25 },
    });
    assert.deepEqual(problem, expected);
    const again = makeSynthetic(expected, 7);
    assert.deepEqual(tensors, again.tensors);
    // Every head has numbers of its own.
    assert.notDeepEqual(tensors.teacherWeight!.slice(0, 72), tensors.weight);
    assert.deepEqual(namesIn(folder), ["pair.safetensors"]);
  }));

for (
  const [args, message] of [
    [["pair", ...PAIR], /its name must end in \.safetensors/],
    [["there.safetensors", ...PAIR], /exists already; --force replaces it/],
    [["a.safetensors", ...PAIR, "--shards", "2"], /--distill and --shards cannot/],
    [["a.safetensors", ...PAIR, "--codes", "3"], /--distill and --codes cannot/],
    [["a.safetensors", "--temperature", "2"], /--temperature 2: is of a teacher: add --distill/],
    [["a.safetensors", "--distill", "reverse-kl"], /needs --teacher-hidden/],
  ] as const
) {
  Deno.test(`fixture make ${args.join(" ")} is a mistake that nothing is written for`, () =>
    withFolder(async (folder) => {
      await Deno.writeTextFile(`${folder}/there.safetensors`, "mine");
      const [name, ...flags] = args;
      const { code, err } = await lce("fixture", "make", `${folder}/${name}`, ...MAKE, ...flags);
      assert.equal(code, EXIT.usage);
      assert.match(err, message);
      assert.equal(await Deno.readTextFile(`${folder}/there.safetensors`), "mine");
      assert.deepEqual(namesIn(folder), ["there.safetensors"]);
    }));
}

Deno.test("fixture make writes heads that are fused as one file, in which each head is itself", () =>
  withFolder(async (folder) => {
    const path = `${folder}/fused.safetensors`;
    const flags = ["--fusion", "--expert-hidden", "6", "--base-hidden", "2", "--seed", "7"];
    const made = await lce("fixture", "make", path, ...MAKE, ...flags);
    assert.equal(made.code, EXIT.ok, made.err);
    const { problem, tensors } = await held(await openCase(path));
    const sizes = { vocab: 9, dtype: "bf16" } as const;
    const expected = parseProblem({
      tokens: 5,
      heads: [
        { name: "large", hidden: 4, ...sizes },
        { name: "expert", hidden: 6, ...sizes },
        { name: "base", hidden: 2, ...sizes },
      ],
      fusion: true,
      statistics: ["predicted"],
    });
    assert.deepEqual(problem, expected);
    assert.deepEqual(tensors, makeSynthetic(expected, 7).tensors);
    const capped = await lce("fixture", "make", path, ...MAKE, ...flags, "--bias", "--force");
    assert.equal(capped.code, EXIT.usage);
    assert.match(capped.err, /--fusion and --bias cannot be given together/);
  }));

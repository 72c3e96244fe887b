import assert from "node:assert/strict";
import { namesIn, withFolder } from "../fixtures/testing.ts";
import { EXIT } from "./exit.ts";
import { lce } from "./testing.ts";

const SIZES = ["--tokens", "50", "--hidden", "7", "--vocab", "45", "--dtype", "f32"];
/** What is kept of a run does not go by the device: on one that compiles slowly it is left out. */
const ONCE = { ignore: Deno.env.has("LCE_SLOW_DEVICE") };
/** Four rounds, of which the last has two tokens. */
const ROUNDS = ["--round", "16"];

/** Makes a run fail when it has written the `nth` of its records, or a part of it. */
async function brokenOffAt<T>(nth: number, run: () => Promise<T>): Promise<T> {
  const { prototype } = Deno.FsFile;
  const plain = prototype.syncData;
  let calls = 0;
  prototype.syncData = function (this: Deno.FsFile) {
    return ++calls === nth ? Promise.reject(new Error("power cut (os error 5)")) : plain.call(this);
  };
  try {
    return await run();
  } finally {
    prototype.syncData = plain;
  }
}

Deno.test(
  "a run that is broken off behind any round goes on to the same bytes, in every format",
  ONCE,
  () =>
    withFolder(async (folder) => {
      const model = `${folder}/model`;
      assert.equal((await lce("fixture", "make", model, ...SIZES)).code, EXIT.ok);
      const of = (
        name: string,
      ) => ["run", model, ...ROUNDS, "--json", "--output", `${folder}/${name}`];
      for (const format of ["safetensors", "json", "csv"]) {
        const whole = await lce(...of(`whole.${format}`));
        assert.equal(whole.code, EXIT.ok, whole.err);
        const [{ rounds, loss, keptTokens, agreement }] = JSON.parse(whole.out);
        assert.deepEqual(rounds, { tokens: 16, count: 4, ran: 4 });
        assert.deepEqual(agreement.coverage.rows, 50);
        const single = ["--json", "--force", "--output", `${folder}/single.${format}`];
        const [once] = JSON.parse((await lce("run", model, ...single)).out);
        if (format === "csv") {
          // Each token's sums are the same, however many others there are beside it.
          const [rounds, one] = await Promise.all(
            ["whole", "single"].map((name) => Deno.readTextFile(`${folder}/${name}.csv`)),
          );
          assert.equal(rounds, one);
        }
        assert.equal(keptTokens, once.keptTokens);
        // Means of f32s in another order.
        assert(Math.abs(loss - once.loss) < 1e-6 * loss);
        const bytes = await Deno.readFile(`${folder}/whole.${format}`);
        for (const nth of format === "csv" ? [1, 2, 3, 4] : [2]) {
          const name = `part.${format}`;
          const failed = await brokenOffAt(nth, () => lce(...of(name)));
          assert.equal(failed.code, EXIT.input);
          assert.match(failed.err, /Cannot write .*part.*: power cut/);
          assert.deepEqual(namesIn(folder).filter((each) => each.startsWith("part")), [
            `${name}.part`,
          ]);
          const anew = await lce(...of(name));
          assert.equal(anew.code, EXIT.usage);
          assert.match(
            anew.err,
            /is of a run that was broken off; --resume goes on, --force begins/,
          );
          const { code, out, err } = await lce(...of(name), "--resume");
          assert.equal(code, EXIT.ok, err);
          // What was written before the power went counts; the last is run to be measured.
          assert.equal(JSON.parse(out)[0].rounds.ran, Math.max(1, 4 - nth));
          assert.equal(JSON.parse(out)[0].loss, loss);
          assert.deepEqual(await Deno.readFile(`${folder}/${name}`), bytes);
          await Deno.remove(`${folder}/${name}`);
          assert.deepEqual(namesIn(folder).filter((each) => each.startsWith("part")), []);
        }
      }
    }),
);

Deno.test(
  "a journal that is torn or damaged is used as far as it is whole, and none of another run",
  ONCE,
  () =>
    withFolder(async (folder) => {
      const model = `${folder}/model`;
      await lce("fixture", "make", model, ...SIZES);
      const path = `${folder}/out.csv`;
      const part = `${path}.part`;
      const run = (...more: string[]) =>
        lce("run", model, ...ROUNDS, "--json", "--output", path, ...more);
      assert.equal((await run()).code, EXIT.ok);
      const whole = await Deno.readTextFile(path);
      await Deno.remove(path);
      await brokenOffAt(3, () => run());
      const journal = await Deno.readFile(part);
      const record = (journal.length - (journal.indexOf(10) + 1)) / 3;
      const spoilt = async (bytes: Uint8Array, ran: number) => {
        await Deno.writeFile(part, bytes);
        const { code, out, err } = await run("--resume", "--force");
        assert.equal(code, EXIT.ok, err);
        assert.equal(JSON.parse(out)[0].rounds.ran, ran);
        assert.equal(await Deno.readTextFile(path), whole);
      };
      await spoilt(journal.subarray(0, journal.length - 1), 2);
      await spoilt(journal.subarray(0, journal.length - 2 * record - 5), 4);
      const flipped = journal.slice();
      flipped[flipped.length - record - 9]! ^= 1;
      await spoilt(flipped, 3);
      await Deno.remove(path);
      const refused = async (message: RegExp, ...args: string[]) => {
        await Deno.writeFile(part, journal);
        const { code, err } = await lce("run", model, "--output", path, "--resume", ...args);
        assert.equal(code, EXIT.input, err);
        assert.match(err, message);
        assert.deepEqual(await Deno.readFile(part), journal);
      };
      await refused(
        /of another run, whose round was "16 tokens" and is "20 tokens"/,
        "--round",
        "20",
      );
      await refused(/whose plan was/, ...ROUNDS, "--strategy", "two-stage");
      await refused(/whose targets was/, ...ROUNDS, "--shift", "1");
      await Deno.writeTextFile(part, "something else\n");
      const none = await run("--resume");
      assert.match(none.err, /is no journal of a run: remove it, or begin anew with --force/);
      assert.equal((await run("--force")).code, EXIT.ok);
      assert.equal(await Deno.readTextFile(path), whole);
      // Inputs that changed are told by their files.
      await Deno.remove(path);
      await Deno.writeFile(part, journal);
      await lce("fixture", "make", model, ...SIZES, "--seed", "4", "--force");
      const other = await run("--resume");
      assert.match(other.err, /of another run, whose hidden states was/);
      // Where there is nothing to go on from, a run begins.
      await Deno.remove(part);
      assert.equal((await run("--resume")).code, EXIT.ok);
    }),
);

Deno.test("what cannot be gone on with says so", async () => {
  const refused = async (message: RegExp, ...args: string[]) => {
    const { code, err } = await lce("run", ...args);
    assert.equal(code, EXIT.usage);
    assert.match(err, message);
  };
  const train = ["--pass", "train", "--output", "x.safetensors"];
  await refused(/--resume: gradients are sums over all tokens/, ...train, "--resume");
  await refused(/--round: gradients are sums over all tokens/, ...train, "--round", "8");
  await refused(/--resume: goes on with a run that has an --output/, "--resume");
  await refused(/--round 0: must be a whole number/, "--round", "0");
});

/** Runs lce in a process of its own, as `deno task lce` does. */
function started(...args: string[]): Deno.ChildProcess {
  const main = decodeURIComponent(new URL("main.ts", import.meta.url).pathname);
  return new Deno.Command(Deno.execPath(), {
    args: ["run", "--quiet", "-A", main, ...args],
    stdout: "null",
    stderr: "piped",
  }).spawn();
}

async function isThere(path: string): Promise<boolean> {
  return await Deno.stat(path).then(() => true, () => false);
}

Deno.test(
  "Ctrl-C in a run leaves what --resume goes on from, and no other file",
  ONCE,
  () =>
    withFolder(async (folder) => {
      const model = `${folder}/model`;
      const sizes = ["--tokens", "1500", "--hidden", "32", "--vocab", "2000", "--dtype", "f32"];
      await lce("fixture", "make", model, ...sizes);
      const run = [model, "--round", "100", "--reference", "sampled"];
      const whole = `${folder}/whole.safetensors`;
      assert.equal((await lce("run", ...run, "--output", whole)).code, EXIT.ok);
      const path = `${folder}/x.safetensors`;
      const child = started("run", ...run, "--output", path);
      while (!await isThere(`${path}.part`)) await new Promise((done) => setTimeout(done, 5));
      child.kill("SIGINT");
      const { code, stderr } = await child.output();
      const said = new TextDecoder().decode(stderr);
      assert.equal(code, EXIT.interrupted, said);
      assert.match(said, /lce: interrupted/);
      assert.deepEqual(namesIn(folder), ["model", "whole.safetensors", "x.safetensors.part"]);
      assert(!await isThere(path));
      const resumed = await lce("run", ...run, "--output", path, "--resume", "--json");
      assert.equal(resumed.code, EXIT.ok, resumed.err);
      assert.equal(JSON.parse(resumed.out)[0].rounds.count, 15);
      assert.deepEqual(await Deno.readFile(path), await Deno.readFile(whole));
      assert.deepEqual(namesIn(folder), ["model", "whole.safetensors", "x.safetensors"]);
    }),
);

Deno.test("a run says how far it is, unless it is to be quiet", async () => {
  const said = (await lce("run", "--json")).progress;
  assert.match(said[0]!, /^tiny-lm \(1 of 1\): reading$/);
  for (const what of ["checking inputs", "running", "computing the reference"]) {
    assert(said.some((line) => line.includes(`: ${what}, 0 %`)), what);
  }
  assert.deepEqual((await lce("run", "--json", "--quiet")).progress, []);
});

Deno.test(
  "Ctrl-C while something is written leaves none of it",
  ONCE,
  () =>
    withFolder(async (folder) => {
      const model = `${folder}/model`;
      await lce("fixture", "make", model, ...SIZES);
      const sizes = ["--hidden", "512", "--vocab", "100000", "--dtype", "f32"];
      const gradients = ["--pass", "train", "--output", `${folder}/g.safetensors`];
      for (
        const args of [["fixture", "make", `${folder}/big`, ...sizes], ["run", model, ...gradients]]
      ) {
        const child = started(...args);
        while (!namesIn(folder).some((name) => name.endsWith(".tmp"))) {
          await new Promise((done) => setTimeout(done, 1));
        }
        child.kill("SIGTERM");
        const { code, stderr } = await child.output();
        assert.equal(code, EXIT.terminated, new TextDecoder().decode(stderr));
        assert.deepEqual(namesIn(folder), ["model"], args[0]);
      }
    }),
);

// deno-lint-ignore-file no-console -- a script prints
/**
 * One row of `bench/peers.md`, in a process of its own:
 *
 *     deno run -A bench/peers/one.ts FOLDER METHOD forward|train TOKENSxHIDDENxVOCAB [REPEATS [SECONDS [BUDGET]]]
 *
 * Prints JSON: the times of the repeats after a first step, which compiles, of which none begins
 * that would not end within some seconds of the process's start; the loss; and the peak of all buffers from the first on, as a ledger counts them that stands between the
 * library and `createBuffer`.
 *
 * @module
 */
import process from "node:process";
import { Random } from "../../fixtures/random.ts";
import { Ledger } from "../../kernels/measure/ledger.ts";
import { METHODS, type StepInputs } from "./methods.ts";

const [folder, name, pass, shape, repeats = "5", seconds = "Infinity", budget] = Deno.args;
const method = METHODS[name ?? ""];
const [tokens, hidden, vocab] = (shape ?? "").split("x").map(Number);
if (!folder || !method || (pass !== "forward" && pass !== "train") || !vocab) {
  console.error(
    `Usage: one.ts FOLDER ${
      Object.keys(METHODS).join("|")
    } forward|train NxDxV [REPEATS [SECONDS [BUDGET]]]`,
  );
  process.exit(2);
}

/** Numbers that matrices repeat: twice a prime, so that no two rows of one are the same. */
const PATTERN = 2 * 524287;

/** Logits of a standard deviation of about 2, from the same numbers for every method. */
function inputs(tokens: number, hidden: number, vocab: number): StepInputs {
  const random = new Random(1);
  const pattern = Float32Array.from({ length: PATTERN }, () => random.uniform() - 0.5);
  // Heads of real models have half a milliard of numbers.
  const uniform = (count: number, by: number) => {
    const values = new Float32Array(count);
    const scaled = pattern.map((value) => by * value);
    for (let at = 0; at < count; at += PATTERN) values.set(scaled.subarray(0, count - at), at);
    return values;
  };
  return {
    tokens,
    hidden,
    vocab,
    pass: pass as StepInputs["pass"],
    budget: budget === undefined ? undefined : Number(budget),
    states: uniform(tokens * hidden, 12 ** 0.5),
    weight: uniform(vocab * hidden, 2 * (12 / hidden) ** 0.5),
    targets: Int32Array.from({ length: tokens }, () => Math.floor(random.uniform() * vocab)),
  };
}

/** Watches every device that is asked for, whoever asks. */
const watched: { ledger: Ledger; name: string }[] = [];
const faults: string[] = [];
const request = GPUAdapter.prototype.requestDevice;
GPUAdapter.prototype.requestDevice = async function (descriptor) {
  const device = await request.call(this, descriptor);
  watched.push({ ledger: new Ledger(device), name: this.info.description || this.info.device });
  device.addEventListener("uncapturederror", (event) => {
    faults.push((event as GPUUncapturedErrorEvent).error.message);
  });
  return device;
};

const given = inputs(tokens!, hidden!, vocab);
const load = (module: string) =>
  import(new URL(`${module.replaceAll("/", "+")}.js`, `file://${Deno.realPathSync(folder)}/`).href);
const step = await method.prepare(given, load);
const prepared = performance.now();
let loss = await step();
const times: number[] = [];
const first = performance.now() - prepared;
// The clock began with the process.
const inTime = () => performance.now() + (times.at(-1) ?? first) < 1000 * Number(seconds);
while (times.length < Number(repeats) && inTime()) {
  const begin = performance.now();
  loss = await step();
  times.push(performance.now() - begin);
}
if (faults.length > 0) throw new Error(faults[0]);
times.sort((a, b) => a - b);
const peakBytes = watched.reduce((sum, { ledger }) => sum + ledger.peakBytes, 0);
// What every method is given, and what it must give back.
const { states, weight, targets } = given;
const own = states.byteLength + weight.byteLength;
const needed = own + targets.byteLength + (pass === "train" ? own : 0);
console.log(JSON.stringify({
  device: watched[0]?.name,
  method: name,
  pass,
  tokens,
  hidden,
  vocab,
  ms: times[times.length >> 1] ?? null,
  fastest: times[0] ?? null,
  slowest: times.at(-1) ?? null,
  loss,
  peakBytes,
  beyondBytes: peakBytes - needed,
}));
process.exit(0);

/// <reference lib="dom" />
/**
 * The page that trains the small transformer in a visitor's browser: `train.html` beside the page
 * that plans, built by `deno task site`.
 *
 * @module
 */
import { acquireDevice } from "../../kernels/run/device.ts";
import { encodeWords, wordsOf } from "../words.ts";
import { formatBatches, largestBatches } from "./batches.ts";
import { fit, Transformer } from "./model.ts";
import { markovText } from "./text.ts";

const element = <Kind extends HTMLElement>(id: string) => document.getElementById(id) as Kind;
const input = (id: string) => element<HTMLInputElement>(id);
const button = element<HTMLButtonElement>("train");

/** Words that a pasted text must have: sequences are drawn from it. */
const LEAST_WORDS = 1000;

function say(text: string): void {
  element("status").textContent = text;
}

/** Returns a whole number from a field. @throws {RangeError} with what it should be. */
function whole(id: string, least: number, most: number): number {
  const { value, labels } = input(id);
  const number = Number(value);
  if (Number.isInteger(number) && number >= least && number <= most) return number;
  const name = labels![0]!.firstChild!.textContent!.trim();
  throw new RangeError(`${name} is "${value}": give a whole number from ${least} to ${most}`);
}

/** Returns ids to learn, and the least loss there can be, where it is known. */
function given(vocab: number): { ids: Uint32Array; entropy?: number } {
  const pasted = element<HTMLTextAreaElement>("text").value;
  if (pasted.trim() === "") return markovText({ length: 100_000, vocab, chance: 0.2 });
  const words = wordsOf(pasted);
  if (words.length < LEAST_WORDS) {
    throw new RangeError(`The text has ${words.length} words: paste at least ${LEAST_WORDS}`);
  }
  return { ids: Uint32Array.from(encodeWords(words, vocab)) };
}

/** Draws losses as a line, from the guess that is as good as none down to 0. */
function draw(losses: readonly number[], steps: number, vocab: number): void {
  const highest = Math.max(Math.log(vocab), ...losses);
  const points = losses.map((loss, step) =>
    `${(600 * step / Math.max(1, steps - 1)).toFixed(1)},${(200 - 195 * loss / highest).toFixed(1)}`
  );
  const curve = document.getElementById("curve")!;
  const line = document.createElementNS("http://www.w3.org/2000/svg", "polyline");
  for (const [name, value] of Object.entries({ points: points.join(" "), fill: "none" })) {
    line.setAttribute(name, value);
  }
  line.setAttribute("stroke", "currentColor");
  curve.replaceChildren(line);
  const [first, last] = [losses[0]!, losses.at(-1)!];
  curve.setAttribute(
    "aria-label",
    `Loss from ${first.toFixed(2)} to ${last.toFixed(2)} in ${losses.length} steps`,
  );
}

async function train(): Promise<void> {
  const steps = whole("steps", 1, 100_000);
  const vocab = whole("vocab", 16, 200_000);
  const budget = whole("mebibytes", 1, 1 << 20) * 2 ** 20;
  const batch = whole("batch", 1, 100_000);
  const hidden = whole("hidden", 2, 4096);
  const { ids, entropy } = given(vocab);
  const sizes = { vocab, hidden, layers: 2, heads: 2 - hidden % 2, context: 32, batch };
  const { device, profile } = await acquireDevice();
  try {
    const fitting = fit(sizes, ids.length, profile);
    if (!fitting) throw new RangeError(`A vocabulary of ${vocab} does not fit this device`);
    const model = await Transformer.create(device, fitting, ids);
    const losses: number[] = [];
    while (losses.length < steps) {
      losses.push(...await model.train(Math.min(8, steps - losses.length)));
      draw(losses, steps, vocab);
      say(
        `Step ${losses.length} of ${steps}: loss ${losses.at(-1)!.toFixed(3)}` +
          (entropy === undefined ? "" : `; no model can have less than ${entropy.toFixed(3)}`),
      );
    }
    model.destroy();
    const batches = await largestBatches(device, profile, sizes, ids, budget);
    element("batches").textContent = formatBatches(batches);
  } finally {
    device.destroy();
  }
}

element<HTMLFormElement>("form").addEventListener("submit", async (event) => {
  event.preventDefault();
  button.disabled = true;
  try {
    await train();
  } catch (error) {
    say((error as Error).message);
  } finally {
    button.disabled = false;
  }
});

const adapter = await navigator.gpu?.requestAdapter();
if (adapter) {
  button.disabled = false;
  say("Ready.");
} else {
  say(
    "Training needs a browser with WebGPU: Chrome or Edge 113, Safari 26, Firefox 141, or later.",
  );
}

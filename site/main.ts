/// <reference lib="dom" />
/**
 * The page: its form and the link on one side, plans and runs on the other. Planning
 * and running are the other modules'; this one moves text between them and the page.
 *
 * @module
 */
import type { Html } from "../cli/html/html.ts";
import { DTYPES } from "../planner/dtype.ts";
import type { DeviceProfile } from "../planner/device.ts";
import { NAMED_DEVICES } from "../planner/devices/profiles.ts";
import { MODELS } from "../planner/models/catalogue.ts";
import { parseModelConfig } from "../planner/models/hf_config.ts";
import type { OutputHead } from "../planner/models/head.ts";
import { parseNumber } from "../planner/units.ts";
import { curve, largestView } from "../cli/html/curve.ts";
import { answer, answerView, optionsOf, plannedFor } from "./answer.ts";
import { pngOf } from "./card.ts";
import { type FoundHead, headIn } from "./drop.ts";
import { cardOf, findHere, type Here, runHere } from "./here.ts";
import { HERE, linkOf, ofModel, problemOf, type Question, readLink } from "./question.ts";
import { runView } from "./run_view.ts";

/** Returns an element of the page, by its id. */
function at<Kind extends HTMLElement = HTMLElement>(id: string): Kind {
  return document.getElementById(id) as Kind;
}

const field = {
  model: at<HTMLSelectElement>("model"),
  hidden: at<HTMLInputElement>("hidden"),
  vocab: at<HTMLInputElement>("vocab"),
  dtype: at<HTMLSelectElement>("dtype"),
  config: at<HTMLTextAreaElement>("config"),
  tokens: at<HTMLInputElement>("tokens"),
  pass: at<HTMLSelectElement>("pass"),
  device: at<HTMLSelectElement>("device"),
  budget: at<HTMLInputElement>("budget"),
};

/** What stands for sizes of one's own among the models. */
const OWN = "own sizes";

let question: Question;
let here: Here | undefined;
/** The head of the file that was given last, if it has one. */
let own: FoundHead | undefined;

/** Shows HTML in an element. */
function show(id: string, content: Html): void {
  at(id).innerHTML = content.text;
}

function choices(select: HTMLSelectElement, names: readonly (readonly [string, string])[]): void {
  select.replaceChildren(...names.map(([value, text]) => new Option(text, value)));
}

/** Writes the question into the form. */
function fill(): void {
  const { model, head, tokens, pass, device, budget } = question;
  field.model.value = model ?? OWN;
  field.hidden.value = `${head.hidden}`;
  field.vocab.value = `${head.vocab}`;
  field.dtype.value = head.dtype ?? "f32";
  field.tokens.value = `${Math.log2(tokens)}`;
  field.pass.value = pass;
  field.device.value = device;
  field.budget.value = budget;
  at("tokens-shown").textContent = tokens.toLocaleString("en");
}

/** Takes the question that a link holds, and says what of it was not understood. */
function take(link: string): void {
  const read = readLink(link);
  question = read.question;
  at("faults").textContent = read.faults.join("; ");
  fill();
  render();
}

/** Asks anew with some settings changed; the link follows. */
function ask(changed: Partial<Question>): void {
  const link = linkOf({ ...question, ...changed });
  history.replaceState(null, "", `#${link}`);
  take(link);
}

/** How often was asked: what takes its time gives way to what the visitor does next. */
let asked = 0;

/** Lets the browser do what else there is to do. */
function breath(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 0));
}

function render(): void {
  const profile = here && "acquired" in here ? here.acquired.profile : undefined;
  const { device, note } = plannedFor(question, profile);
  const found = answer(question, device);
  show("answer", answerView(found));
  if (note) at("answer").prepend(paragraph(note));
  void renderSlowly(question, device, ++asked);
}

async function renderSlowly(
  question: Question,
  device: DeviceProfile,
  mine: number,
): Promise<void> {
  await breath();
  if (mine !== asked) return;
  const [problem, options] = [problemOf(question), optionsOf(question)];
  show("largest", largestView(problem, device, options));
  const drawing = curve(problem, device, options);
  for (let step = drawing.next();; step = drawing.next()) {
    if (step.done) {
      show("curve", step.value);
      break;
    }
    await breath();
    if (mine !== asked) return;
  }
  // For whoever waits until everything is there.
  at("plan").dataset["ready"] = location.hash;
}

function paragraph(text: string): HTMLElement {
  const made = document.createElement("p");
  made.textContent = text;
  return made;
}

/** Returns a head with sizes of one's own. */
function ownSizes(head: OutputHead): Partial<Question> {
  return { model: undefined, head };
}

function listen(): void {
  field.model.addEventListener("change", () => {
    const { value } = field.model;
    ask(value === OWN ? ownSizes(question.head) : ofModel(question, value));
  });
  const sized = () => {
    try {
      const { model: _, ...head } = {
        model: undefined,
        hidden: parseNumber(field.hidden.value),
        vocab: parseNumber(field.vocab.value),
        dtype: field.dtype.value as NonNullable<OutputHead["dtype"]>,
      };
      ask(ownSizes(head));
    } catch (error) {
      at("faults").textContent = (error as Error).message;
    }
  };
  for (const name of ["hidden", "vocab", "dtype"] as const) {
    field[name].addEventListener("change", sized);
  }
  field.config.addEventListener("input", () => {
    try {
      const { notes, ...head } = parseModelConfig(JSON.parse(field.config.value));
      at("config-notes").textContent = notes.join("; ") || "Read.";
      ask(ownSizes(head));
    } catch (error) {
      at("config-notes").textContent = (error as Error).message;
    }
  });
  field.tokens.addEventListener("input", () => ask({ tokens: 2 ** Number(field.tokens.value) }));
  field.pass.addEventListener("change", () => ask({ pass: field.pass.value as Question["pass"] }));
  field.device.addEventListener("change", () => ask({ device: field.device.value }));
  field.budget.addEventListener("change", () => ask({ budget: field.budget.value.trim() }));
  addEventListener("hashchange", () => take(location.hash));
  at("question").addEventListener("submit", (event) => event.preventDefault());
  at("share").addEventListener("click", share);
  at("run").addEventListener("submit", (event) => {
    event.preventDefault();
    void run();
  });
  at("run-own").addEventListener("change", takeOwn);
  listenToFiles();
}

async function share(): Promise<void> {
  history.replaceState(null, "", `#${linkOf(question)}`);
  try {
    await navigator.clipboard.writeText(location.href);
    at("shared").textContent = "Copied.";
  } catch {
    at("shared").textContent = `Copy it from the address bar: ${location.href}`;
  }
}

function listenToFiles(): void {
  const drop = at("drop");
  const open = async (file: File | undefined) => {
    if (!file) return;
    try {
      give(undefined);
      const found = await headIn(file);
      const { head, name, others } = found;
      give(found);
      at("file-notes").textContent =
        `${name}: ${head.vocab} ids x ${head.hidden}, ${head.dtype}, among ${others} other tensors.`;
      ask(ownSizes(head));
    } catch (error) {
      at("file-notes").textContent = (error as Error).message;
    }
  };
  const input = at<HTMLInputElement>("file");
  input.addEventListener("change", () => void open(input.files?.[0]));
  for (const name of ["dragover", "dragleave", "drop"] as const) {
    drop.addEventListener(name, (event) => {
      event.preventDefault();
      drop.classList.toggle("over", name === "dragover");
      if (name === "drop") void open(event.dataTransfer?.files[0]);
    });
  }
}

/** Sizes of a run, which are the file's where its weight is taken. */
const SIZES = ["hidden", "vocab"] as const;

/** Offers the weight of a file, or no more. */
function give(found: FoundHead | undefined): void {
  own = found;
  at("run-own-label").hidden = found === undefined;
  at<HTMLInputElement>("run-own").checked = found !== undefined;
  at("run-own-name").textContent = found
    ? `${found.name}${found.head.bias ? ", without its bias" : ""}`
    : "";
  takeOwn();
}

/** Fixes the sizes of the run where the file's weight is taken. */
function takeOwn(): void {
  const taken = own !== undefined && at<HTMLInputElement>("run-own").checked;
  for (const size of SIZES) {
    const input = at<HTMLInputElement>(`run-${size}`);
    input.readOnly = taken;
    if (taken) input.value = `${own!.head[size]}`;
  }
}

async function run(): Promise<void> {
  if (!here || !("acquired" in here)) return;
  const button = at<HTMLButtonElement>("run-button");
  const number = (id: string) => parseNumber(at<HTMLInputElement>(id).value);
  const file = at<HTMLInputElement>("run-own").checked ? own : undefined;
  button.disabled = true;
  at("cards").hidden = true;
  const say = (what: string) => at("progress").textContent = what;
  try {
    const found = await runHere(
      {
        tokens: number("run-tokens"),
        hidden: number("run-hidden"),
        vocab: number("run-vocab"),
        dtype: file?.head.dtype,
        pass: at<HTMLSelectElement>("run-pass").value as Question["pass"],
      },
      here.acquired,
      say,
      file?.weight,
    );
    show("result", runView(found));
    offer("card-json", new Blob([JSON.stringify(cardOf(found), null, 2)]));
    offer("card-png", await pngOf(found));
    at("cards").hidden = false;
    say("Done.");
  } catch (error) {
    say((error as Error).message);
  } finally {
    button.disabled = false;
  }
}

/** Lets the visitor save a file. */
function offer(id: string, content: Blob): void {
  const link = at<HTMLAnchorElement>(id);
  if (link.href) URL.revokeObjectURL(link.href);
  link.href = URL.createObjectURL(content);
}

async function begin(): Promise<void> {
  choices(field.model, [OWN, ...MODELS.map(({ name }) => name)].map((name) => [name, name]));
  choices(field.dtype, DTYPES.map((name) => [name, name]));
  choices(field.device, [
    [HERE, "this browser's"],
    ...NAMED_DEVICES.map(({ name, profile }) => [name, `${name}: ${profile.name}`] as const),
  ]);
  listen();
  take(location.hash);
  here = await findHere();
  if ("acquired" in here) {
    const { profile, device, software } = here.acquired;
    at("adapter").textContent = `Your adapter: ${profile.name}${software ? " (software)" : ""}.`;
    at<HTMLButtonElement>("run-button").disabled = false;
    void device.lost.then(({ message }) => {
      here = { missing: `The device was lost: ${message}. Reload the page.` };
      at("adapter").textContent = here.missing;
      at<HTMLButtonElement>("run-button").disabled = true;
    });
  } else {
    at("adapter").textContent = here.missing;
  }
  render();
}

void begin();

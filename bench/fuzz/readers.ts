/**
 * The readers of files of strangers, each with good files to begin from.
 *
 * @module
 */
import { requestOf } from "../../cli/request/flags.ts";
import { readDeviceFile } from "../../cli/files/device_file.ts";
import { openAdapter, withAdapterOf } from "../../fixtures/files/adapter_file.ts";
import { openCase } from "../../fixtures/files/case.ts";
import { openCheckpoint } from "../../fixtures/files/checkpoint.ts";
import { writeCheckpoint } from "../../fixtures/files/checkpoint_writer.ts";
import { openCodebook } from "../../fixtures/files/codebook_file.ts";
import { writeSafetensors } from "../../fixtures/files/safetensors.ts";
import { Journal, type JournalOf } from "../../fixtures/files/journal.ts";
import { openNpy } from "../../fixtures/files/npy.ts";
import { makeSynthetic } from "../../fixtures/synthetic.ts";
import { readAll } from "../../host/source.ts";
import { parseProblem } from "../../planner/problem_schema.ts";
import type { FileKind } from "./mutations.ts";

/** A reader, and what it is tried on. */
export interface Reader {
  readonly name: string;
  readonly kind: FileKind;
  /** The file that is changed, in a folder of good ones. */
  readonly file: string;
  /** Good files to begin from. */
  readonly seeds: readonly Uint8Array[];
  /** Reads the file, all of it. */
  read(folder: string): Promise<unknown>;
  /** Whether it may find a flag missing, where the file does not say what it could. */
  readonly usage?: boolean;
}

const encode = (text: string) => new TextEncoder().encode(text);
const ROOT = decodeURIComponent(new URL("../..", import.meta.url).pathname);

const PLANS = [
  "vocab: 1000\nhidden: 64\ntokens: 128\npass: train\nbudget: 1GiB\ndtype: bf16\n",
  "# yaml\nmodel: gemma-2-2b\npass: train\nsoftcap: 30.0\nstrategy: windowed\nwindow: 512\ndevice: default\n",
  '{"vocab": 1000, "hidden": 64, "labelSmoothing": 0.1, "weights": "streamed"}',
];

const DEVICE = `name: "a device"
limits:
  maxBufferSize: 268435456
  maxStorageBufferBindingSize: 134217728
  maxStorageBuffersPerShaderStage: 8
  maxComputeWorkgroupStorageSize: 16384
  maxComputeInvocationsPerWorkgroup: 256
  maxComputeWorkgroupSizeX: 256
  maxComputeWorkgroupsPerDimension: 65535
  minStorageBufferOffsetAlignment: 256
  minUniformBufferOffsetAlignment: 256
features: [shader-f16, subgroups]
subgroups: {min: 32, max: 32}
`;

/** A plan that has a whole profile in it, and an alias. */
const WITH_DEVICE = `vocab: &v 1000\nhidden: *v\ndevice:\n${DEVICE.replaceAll(/^/gm, "  ")}\n`;

const CONFIGS = [
  { model_type: "gemma2", vocab_size: 12, hidden_size: 4, final_logit_softcapping: 30.0 },
  {
    architectures: ["X"],
    text_config: { vocab_size: 12, hidden_size: 4, logit_scale: 0.5, tie_word_embeddings: true },
    torch_dtype: "bfloat16",
  },
  { vocab_size: 12, hidden_size: 4, tie_word_embeddings: true, lm_head_bias: true, id2label: {} },
];

/** PEFT's folder of an adapter. */
const ADAPTER = "adapter/adapter_model.safetensors";
const ADAPTER_CONFIG = "adapter/adapter_config.json";

/** Configurations of adapters that the matrices beside them are of. */
const ADAPTERS = [
  { peft_type: "LORA", r: 2, lora_alpha: 16, use_rslora: true, target_modules: ["lm_head"] },
  {
    peft_type: "LORA",
    r: 8,
    lora_alpha: 4.5,
    rank_pattern: { "model.lm_head": 2 },
    alpha_pattern: { lm_head: 32 },
    use_dora: false,
    lora_bias: null,
  },
];

function npy(descr: string, shape: string, bytes: number, version = 1): Uint8Array {
  const text = `{'descr': '${descr}', 'fortran_order': False, 'shape': ${shape}, }`;
  const before = version === 1 ? 10 : 12;
  const header = text.padEnd(64 * Math.ceil((before + text.length + 1) / 64) - before - 1) + "\n";
  const file = new Uint8Array(before + header.length + bytes).fill(1);
  file.set([0x93, ...encode("NUMPY"), version, 0, header.length & 255, header.length >> 8, 0, 0]);
  file.set(encode(header), before);
  return file;
}

/** A run that keeps two results of two rounds. */
const RUN: JournalOf = {
  identity: { fixture: "model", plan: "fused" },
  tensors: { loss: 4, tokens: 24 },
  rounds: 3,
};

/** Goes on with a run, as far as its journal is whole. */
async function goOn(path: string): Promise<void> {
  const journal = await Journal.open(path, RUN, true);
  try {
    for (let round = 0; round < journal.finished; round++) await journal.read(round);
  } finally {
    journal.close();
  }
}

/** Makes the folder of good files, and returns the readers that are tried on them. */
export async function openReaders(folder: string): Promise<Reader[]> {
  const problem = parseProblem({ tokens: 6, hidden: 4, vocab: 12, bias: true });
  await writeCheckpoint(`${folder}/model`, makeSynthetic(problem, 1), { shards: 2 });
  await writeCheckpoint(`${folder}/single`, makeSynthetic(problem, 1), { batch: 2 });
  const cases = ["mean", "softcap-bias-scale", "tiny-vocab", "vjp-logprob-lse-entropy"];
  const caseFiles = await Promise.all(
    cases.map((name) => Deno.readFile(`${ROOT}fixtures/oracle/${name}.safetensors`)),
  );
  const good = (path: string) => Deno.readFileSync(`${folder}/${path}`);
  const journal = await Journal.open(`${folder}/run.part`, RUN, false);
  for (const round of [0, 1]) {
    await journal.write(round, { loss: new Uint8Array(4), tokens: new Uint8Array(24).fill(round) });
  }
  journal.close();
  await writeSafetensors(`${folder}/codebook.safetensors`, {
    codebook: { dtype: "F32", shape: [3, 4], bytes: new Uint8Array(48) },
    codes: { dtype: "I64", shape: [5], bytes: new Uint8Array(40) },
  });
  const matrix = (rows: number, columns: number) => ({
    dtype: "F32" as const,
    shape: [rows, columns],
    bytes: new Uint8Array(4 * rows * columns).fill(60),
  });
  await Deno.mkdir(`${folder}/adapter`);
  await writeSafetensors(`${folder}/${ADAPTER}`, {
    "base_model.model.lm_head.lora_A.weight": matrix(2, 4),
    "base_model.model.lm_head.lora_B.weight": matrix(12, 2),
  });
  await Deno.writeTextFile(`${folder}/${ADAPTER_CONFIG}`, JSON.stringify(ADAPTERS[0]));
  const inAdapter = { read: (folder: string) => adapted(folder) };
  const index = "model/model.safetensors.index.json";
  const inModel = { read: (folder: string) => openWhole(`${folder}/model`) };
  return [
    {
      name: "safetensors, a case",
      kind: "safetensors",
      file: "case.safetensors",
      seeds: caseFiles.filter(({ length }) => length < 40_000),
      read: async (folder) => {
        const { tensors } = await openCase(`${folder}/case.safetensors`);
        return await readAll(tensors.weight);
      },
    },
    {
      name: "safetensors, a checkpoint",
      kind: "safetensors",
      file: "single/model.safetensors",
      seeds: [good("single/model.safetensors")],
      read: (folder) => openWhole(`${folder}/single`),
    },
    {
      name: "safetensors, activations",
      kind: "safetensors",
      file: "single/activations.safetensors",
      seeds: [good("single/activations.safetensors")],
      read: (folder) => openWhole(`${folder}/single`),
    },
    {
      name: "safetensors, a codebook",
      kind: "safetensors",
      file: "codebook.safetensors",
      seeds: [good("codebook.safetensors")],
      read: async (folder) =>
        await readAll((await openCodebook(`${folder}/codebook.safetensors`)).rows),
    },
    {
      name: "safetensors, an adapter",
      kind: "safetensors",
      file: ADAPTER,
      seeds: [good(ADAPTER)],
      ...inAdapter,
    },
    {
      name: "adapter_config.json",
      kind: "text",
      file: ADAPTER_CONFIG,
      seeds: ADAPTERS.map((config) => encode(JSON.stringify(config))),
      ...inAdapter,
    },
    { name: "index of shards", kind: "text", file: index, seeds: [good(index)], ...inModel },
    {
      name: "config.json",
      kind: "text",
      file: "model/config.json",
      seeds: [
        ...CONFIGS.map((config) => encode(JSON.stringify(config))),
        good("model/config.json"),
      ],
      ...inModel,
    },
    {
      name: "npy",
      kind: "npy",
      file: "x.npy",
      seeds: [npy("<f4", "(6, 4)", 96), npy("<i8", "(3,)", 24, 2), npy("|b1", "()", 1)],
      read: async (folder) => await readAll((await openNpy(`${folder}/x.npy`)).bytes),
    },
    {
      name: "journal of a run",
      kind: "npy",
      file: "run.part",
      seeds: [good("run.part")],
      read: (folder) => goOn(`${folder}/run.part`),
    },
    {
      name: "plan file",
      kind: "text",
      file: "plan.yaml",
      seeds: [...PLANS, WITH_DEVICE].map(encode),
      read: (folder) => requestOf({ config: [`${folder}/plan.yaml`] }),
      usage: true,
    },
    {
      name: "config for a plan",
      kind: "text",
      file: "plan.json",
      seeds: CONFIGS.map((config) => encode(JSON.stringify(config, null, 1))),
      read: (folder) => requestOf({ config: [`${folder}/plan.json`] }),
      usage: true,
    },
    {
      name: "device profile",
      kind: "text",
      file: "device.yaml",
      seeds: [encode(DEVICE)],
      read: (folder) => readDeviceFile(`${folder}/device.yaml`),
    },
  ];
}

/** Opens a checkpoint and reads its weight. */
async function openWhole(folder: string): Promise<unknown> {
  const { tensors } = await openCheckpoint(folder);
  await readAll(tensors.hidden);
  return await readAll(tensors.weight);
}

/** Puts an adapter on the head that it is of. */
async function adapted(folder: string): Promise<unknown> {
  const adapter = await openAdapter(`${folder}/adapter`);
  return await withAdapterOf(adapter, await openCheckpoint(`${folder}/single`));
}

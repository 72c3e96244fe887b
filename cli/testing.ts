/**
 * Running lce within a test.
 *
 * @module
 */
import { withFolder } from "../fixtures/testing.ts";
import { main } from "./program.ts";
import type { BenchRow } from "./bench/bench_row.ts";

// How fast this machine is decides nothing that tests see, unless they ask for it.
Deno.env.set("LCE_CALIBRATE", "0");

/** What a run of lce says. */
interface Said {
  readonly code: number;
  readonly out: string;
  readonly err: string;
  /** What a terminal would show while it runs. */
  readonly progress: readonly string[];
}

/** Runs lce with some arguments and keeps what it says. */
export function lce(...args: string[]): Promise<Said> {
  return lceWithin(undefined, ...args);
}

/** Runs lce as on a terminal with so many columns. */
export async function lceWithin(width: number | undefined, ...args: string[]): Promise<Said> {
  const said = { out: "", err: "", progress: [] as string[] };
  const code = await main(args, {
    width,
    print: (text) => said.out += `${text}\n`,
    note: (text) => said.err += `${text}\n`,
    progress: (text) => said.progress.push(text),
  });
  return { code, ...said };
}

/** Gives a test a file with some text. */
export async function withFile(
  text: string,
  use: (path: string) => Promise<void>,
  suffix = ".yaml",
): Promise<void> {
  const path = await Deno.makeTempFile({ suffix });
  try {
    await Deno.writeTextFile(path, text);
    await use(path);
  } finally {
    await Deno.remove(path);
  }
}

/** Runs something with a cache of its own, and in its folder; devices are calibrated only where told. */
export function withCache(
  use: (folder: string) => Promise<void>,
  { calibrates = false } = {},
): Promise<void> {
  const own = { LCE_CALIBRATE: calibrates ? "1" : "0" };
  return withFolder((folder) => withVariables({ ...own, LCE_CACHE: folder }, () => use(folder)));
}

/** Runs something with some variables of the environment. */
export async function withVariables(
  variables: Readonly<Record<string, string>>,
  use: () => Promise<void>,
): Promise<void> {
  const before = Object.keys(variables).map((name) => [name, Deno.env.get(name)] as const);
  for (const [name, value] of Object.entries(variables)) Deno.env.set(name, value);
  try {
    await use();
  } finally {
    for (const [name, value] of before) {
      if (value === undefined) Deno.env.delete(name);
      else Deno.env.set(name, value);
    }
  }
}

/** Returns a measurement made by hand. */
export function row(changed: Partial<BenchRow> = {}): BenchRow {
  return {
    device: "a device",
    webgpu: "deno",
    strategy: "fused",
    pass: "forward",
    tokens: 32,
    hidden: 64,
    vocab: 256,
    dtype: "f32",
    inputs: "flat",
    gradientFilter: 0,
    gradientDtype: "f32",
    ms: 10,
    fastest: 9.9,
    slowest: 10.1,
    estimatedMs: null,
    tflops: 1,
    flops: 2e6,
    bytesMoved: 1e5,
    extraPeakBytes: 1024,
    tier: "f32",
    tile: "32x32x16, 4x4",
    window: 256,
    block: 32,
    splits: 1,
    compileMs: 1,
    clock: "timestamps",
    kernels: {},
    peakFlopsPerSecond: null,
    peakBytesPerSecond: null,
    missing: null,
    date: "2026-11-22",
    ...changed,
  };
}

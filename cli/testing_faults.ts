/**
 * The table of faults: what can go wrong while a command works on the device, how a test
 * makes it go wrong, what the user sees and what is left behind. `docs/faults.md` is
 * written from it, and each row is a test.
 *
 * @module
 */
import { onFailingMachine } from "../testing/failing_machine.ts";
import type { Call, DeviceFault } from "../kernels/testing/faulty_device.ts";
import { EXIT } from "./exit.ts";
import { markdown } from "./report/formats.ts";
import type { lce } from "./testing.ts";

/** What a run with a fault came to. */
export interface Came {
  readonly code: number;
  /** Everything that was printed, results and remarks. */
  readonly said: string;
  /** Bytes of GPU buffers that nobody destroyed. */
  readonly liveBytes: number;
  /** What lies where the run's file was to go, where that is a place of the fault's own. */
  readonly left?: readonly string[];
}

/** A command that faults befall: with these flags, in a folder where a small checkpoint is. */
export interface Faulty {
  readonly args: (folder: string) => readonly string[];
  /** What it writes there, whole or not at all. */
  readonly writes: string;
}

/** The commands that work on the device for long. Each is given the folder as `LCE_CACHE`, too. */
export const FAULTY = {
  run: {
    args: (folder) => [
      ...["run", `${folder}/model`, "--pass", "train"],
      ...["--output", `${folder}/out.safetensors`],
    ],
    writes: "out.safetensors",
  },
  bench: {
    args: (folder) => [
      ...["bench", "--quick", "--shape", "5x16x2000", "--pass", "train"],
      ...["--roofline", `${folder}/roofline.svg`],
    ],
    writes: "roofline.svg",
  },
  tune: { args: () => ["tune", "--quick", "--shape", "5x16x2000"], writes: "tuned.json" },
} as const satisfies Readonly<Record<string, Faulty>>;

/** Runs one of them, with some more flags. */
export type Run = (...flags: string[]) => ReturnType<typeof lce>;

/** A fault. */
export interface FaultRow {
  /** What it befalls; `run` unless told. */
  readonly of?: keyof typeof FAULTY;
  readonly fault: string;
  /** How a test makes it, for people to read. */
  readonly injected: string;
  /** Flags of the run, where they matter. */
  readonly flags?: readonly string[];
  readonly code: number;
  /** What is printed, where "…" stands for what differs from run to run. */
  readonly sees: string;
  /** Whether the file that the command writes is there, whole; else nothing is. */
  readonly whole?: boolean;
  /** Does a run with the fault; `undefined` where this machine cannot make it. */
  make(run: Run, model: string): Promise<Came | undefined>;
}

/** Does a run on a device whose `nth` call fails. */
function onDevice(fault: DeviceFault, nth: number): FaultRow["make"] {
  return async (run) => {
    const { value: { code, out, err }, liveBytes } = await onFailingMachine(fault, nth, run);
    return { code, said: out + err, liveBytes };
  };
}

/** Does a run while a method of files does something else, from its `nth` call on. */
export function withFiles<Method extends "read" | "write" | "seek">(
  method: Method,
  nth: number,
  does: (plain: () => Promise<number | null>, model: string) => Promise<number | null>,
): FaultRow["make"] {
  return async (run, model) => {
    const { prototype } = Deno.FsFile;
    const plain = prototype[method] as (...given: unknown[]) => Promise<number | null>;
    let calls = 0;
    Object.assign(prototype, {
      [method](this: Deno.FsFile, ...given: unknown[]) {
        const really = () => plain.apply(this, given);
        return ++calls < nth ? really() : does(really, model);
      },
    });
    try {
      return await onDevice({ name: "none", how: "lose" }, Infinity)(run, model);
    } finally {
      Object.assign(prototype, { [method]: plain });
    }
  };
}

/** Does a run while files whose path ends so cannot be opened. */
function withoutPermission(ending: RegExp): FaultRow["make"] {
  return async (run, model) => {
    const { open } = Deno;
    Deno.open = (path, ...options) =>
      ending.test(String(path))
        ? Promise.reject(new Deno.errors.PermissionDenied("Permission denied (os error 13)"))
        : open(path, ...options);
    try {
      return await onDevice({ name: "none", how: "lose" }, Infinity)(run, model);
    } finally {
      Deno.open = open;
    }
  };
}

/** Does a run whose file goes to a disk of 64 KiB, where this machine lets one be mounted. */
async function onTinyDisk(run: Run, model: string): Promise<Came | undefined> {
  const place = await Deno.makeTempDir();
  const system = async (...args: string[]) => {
    const { success } = await new Deno.Command(args[0]!, {
      args: args.slice(1),
      stderr: "null",
    }).output().catch(() => ({ success: false }));
    return success;
  };
  try {
    if (!await system("mount", "-t", "tmpfs", "-o", "size=64k", "lce", place)) return undefined;
    try {
      const toDisk: Run = () => run("--force", "--output", `${place}/out.safetensors`);
      const came = await onDevice({ name: "none", how: "lose" }, Infinity)(toDisk, model);
      const left = [...Deno.readDirSync(place)].map(({ name }) => name);
      return { ...came!, left };
    } finally {
      await system("umount", place);
    }
  } finally {
    await Deno.remove(place);
  }
}

/** A fault of one kind of call. */
const fails = (call: Call, how: DeviceFault["how"]): DeviceFault => ({ name: "test", call, how });

const NO_SPACE = () => Promise.reject(new Error("No space left on device (os error 28)"));
const LESS =
  "\nOther programs may hold some; --budget, or a smaller --window or --shape, takes less.";

/** Every fault. */
export const FAULT_TABLE: readonly FaultRow[] = [
  {
    fault: "the device has no memory for a buffer, and a smaller window would do",
    injected: "the third `createBuffer` gives an invalid buffer and an out-of-memory error",
    code: EXIT.ok,
    sees: "retried once: the device refused … with … in use; this run was planned within …",
    whole: true,
    make: onDevice(fails("createBuffer", "out-of-memory"), 3),
  },
  {
    fault: "the device has no memory for that either",
    injected: "so does every `createBuffer` from the third on",
    code: EXIT.doesNotFit,
    sees:
      `lce: The device has no memory for …: … bytes, with … in use (…). That was the second attempt, within … bytes; the first: …${LESS}`,
    make: onDevice({ ...fails("createBuffer", "out-of-memory"), lasting: true }, 3),
  },
  {
    fault: "the device has no memory for a buffer, and the window was fixed",
    injected: "as the first, with `--window`",
    flags: ["--window", "512"],
    code: EXIT.doesNotFit,
    sees: `lce: The device has no memory for …: … bytes, with … in use (…).${LESS}`,
    make: onDevice(fails("createBuffer", "out-of-memory"), 3),
  },
  {
    fault: "the device has no memory for a pipeline",
    injected: "the second `createComputePipeline` gives an out-of-memory error",
    code: EXIT.doesNotFit,
    sees: `lce: The device is out of memory: ….${LESS}`,
    make: onDevice(fails("createComputePipeline", "out-of-memory"), 2),
  },
  {
    fault: "a buffer is refused",
    injected: "the third `createBuffer` gives an invalid buffer and a validation error",
    code: EXIT.device,
    sees: "lce: The device reports: …",
    make: onDevice(fails("createBuffer", "validation"), 3),
  },
  {
    fault: "a call throws",
    injected: "the third `createBuffer` throws what WebGPU's calls throw",
    code: EXIT.device,
    sees: "lce: The device failed: …",
    make: onDevice(fails("createBuffer", "throw"), 3),
  },
  {
    fault: "a shader does not compile",
    injected: "the second `createShaderModule` gives an invalid module and a validation error",
    code: EXIT.device,
    sees: "lce: Kernel … does not compile: …",
    make: onDevice(fails("createShaderModule", "validation"), 2),
  },
  {
    fault: "a pipeline cannot be made",
    injected: "the second `createComputePipeline` gives an invalid one and an internal error",
    code: EXIT.device,
    sees: "lce: Kernel … does not compile: …",
    make: onDevice(fails("createComputePipeline", "internal"), 2),
  },
  {
    fault: "a write to a buffer is refused",
    injected: "the second `writeBuffer` writes nothing and gives a validation error",
    code: EXIT.device,
    sees: "lce: The device reports: …",
    make: onDevice(fails("writeBuffer", "validation"), 2),
  },
  {
    fault: "a submission is refused",
    injected: "the third `submit` does nothing and gives a validation error",
    code: EXIT.device,
    sees: "lce: The device reports: …",
    make: onDevice(fails("submit", "validation"), 3),
  },
  {
    fault: "a result cannot be mapped",
    injected: "the first `mapAsync` rejects",
    code: EXIT.device,
    sees: "lce: The device did not hand … over: …",
    make: onDevice(fails("mapAsync", "throw"), 1),
  },
  {
    fault: "the device is lost",
    injected: "from the 25th call on, calls do nothing, and `lost` resolves",
    code: EXIT.device,
    sees: "lce: The device was lost (…): ask the adapter for a new one",
    make: onDevice({ name: "test", how: "lose" }, 25),
  },
  {
    fault: "the device goes away",
    injected: "`destroy()` of the real device before the 25th call",
    code: EXIT.device,
    sees: "lce: The device was lost (…): ask the adapter for a new one",
    make: onDevice({ name: "test", how: "destroy" }, 25),
  },
  {
    fault: "a file is shorter than it was",
    injected: "reading ends early, when weights are read",
    flags: ["--weights", "streamed"],
    code: EXIT.input,
    sees: "lce: … ended … bytes early while it was read",
    make: withFiles("read", 20, () => Promise.resolve(null)),
  },
  {
    fault: "a file is changed while it is used",
    injected: "its time of modification changes after it was opened",
    flags: ["--weights", "streamed"],
    code: EXIT.input,
    sees: "lce: … was changed while it was in use: run again when nobody writes to it",
    make: withFiles("seek", 20, async (really, model) => {
      await Deno.utime(`${model}/model.safetensors`, 1e9, 1e9);
      return await really();
    }),
  },
  {
    fault: "a disk fails",
    injected: "reading rejects as the system does",
    code: EXIT.input,
    sees: "lce: Cannot read …: Input/output error (os error 5)",
    make: withFiles(
      "read",
      8,
      () => Promise.reject(new Error("Input/output error (os error 5)")),
    ),
  },
  {
    fault: "a file may not be read",
    injected: "opening it rejects as the system does",
    code: EXIT.input,
    sees: "lce: Cannot open …model.safetensors: Permission denied (os error 13)",
    make: withoutPermission(/model\.safetensors$/),
  },
  {
    fault: "the folder of `--output` may not be written to",
    injected: "opening the file beside it rejects as the system does",
    code: EXIT.input,
    sees: "lce: Cannot write …out.safetensors: Permission denied (os error 13)",
    make: withoutPermission(/\.tmp$/),
  },
  {
    fault: "the disk is full when gradients are written",
    injected: "the second write rejects as the system does",
    code: EXIT.input,
    sees: "lce: Cannot write …out.safetensors: No space left on device (os error 28)",
    make: withFiles("write", 2, NO_SPACE),
  },
  {
    fault: "the disk is full when the last result is written",
    injected: "the last write rejects as the system does",
    code: EXIT.input,
    sees: "lce: Cannot write …out.safetensors: No space left on device (os error 28)",
    make: withFiles("write", 6, NO_SPACE),
  },
  {
    fault: "the disk is too small",
    injected: "a real one of 64 KiB in memory, where one can be mounted",
    code: EXIT.input,
    sees: "lce: Cannot write …out.safetensors: No space left on device (os error 28)",
    make: onTinyDisk,
  },
  {
    of: "bench",
    fault: "the device has no memory for a strategy",
    injected: "the first `createBuffer` for logits gives an invalid one and an out-of-memory error",
    code: EXIT.ok,
    sees: "5x16x2000 f32 train two-stage: The device has no memory for …",
    whole: true,
    make: onDevice({ ...fails("createBuffer", "out-of-memory"), label: /logits/ }, 1),
  },
  {
    of: "bench",
    fault: "a strategy's kernel does not compile",
    injected: "the fifth `createShaderModule` gives an invalid module and a validation error",
    code: EXIT.device,
    sees: "lce: Kernel … does not compile: …",
    make: onDevice(fails("createShaderModule", "validation"), 5),
  },
  {
    of: "bench",
    fault: "a call throws",
    injected: "the 30th `submit` throws what WebGPU's calls throw",
    code: EXIT.device,
    sees: "lce: The device failed: …",
    make: onDevice(fails("submit", "throw"), 30),
  },
  {
    of: "bench",
    fault: "the device is lost",
    injected: "from the 150th call on, calls do nothing, and `lost` resolves",
    code: EXIT.device,
    sees: "lce: The device was lost (…): ask the adapter for a new one",
    make: onDevice({ name: "test", how: "lose" }, 150),
  },
  {
    of: "tune",
    fault: "the device has no memory for what bandwidth is measured on",
    injected: "the first `createBuffer` gives an invalid buffer and an out-of-memory error",
    code: EXIT.doesNotFit,
    sees: `lce: The device is out of memory: ….${LESS}`,
    make: onDevice(fails("createBuffer", "out-of-memory"), 1),
  },
  {
    of: "tune",
    fault: "a submission is refused",
    injected: "the 20th `submit` does nothing and gives a validation error",
    code: EXIT.device,
    sees: "lce: The device reports: …",
    make: onDevice(fails("submit", "validation"), 20),
  },
  {
    of: "tune",
    fault: "the device goes away",
    injected: "`destroy()` of the real device before the 150th call",
    code: EXIT.device,
    sees: "lce: The device was lost (…): ask the adapter for a new one",
    make: onDevice({ name: "test", how: "destroy" }, 150),
  },
];

/** Returns whether something was printed that a row says, in words of which some differ. */
export function isSaid({ sees }: FaultRow, said: string): boolean {
  const parts = sees.split("…").map((part) => part.replaceAll(/[.*+?^${}()|[\]\\]/g, "\\$&"));
  return new RegExp(`^ *${parts.join("[^\\n]*")}$`, "m").test(said);
}

/** Returns the table of a command's faults. */
function tableOf(command: keyof typeof FAULTY): string {
  const rows = FAULT_TABLE.filter(({ of = "run" }) => of === command)
    .map(({ fault, injected, flags, code, sees, whole }) => [
      fault,
      injected + (flags ? ` (\`${flags.join(" ")}\`)` : ""),
      `${code}`,
      sees.split("\n").map((line) => `\`${line}\``).join(" "),
      whole ? "the file, whole" : "nothing",
    ]);
  return markdown([
    ["fault", "how a test makes it", "code", "what is printed", "what is left"],
    ...rows,
  ]);
}

/** Returns the page of faults. */
export function faultsPage(): string {
  return `# Faults

What becomes of \`lce run --pass train --output out.safetensors\` when something fails: how a test
makes it fail, the exit code, what is printed ("…" stands for what differs from run to run) and what
is left of the file. Every GPU buffer is destroyed in each of them. Written by
\`deno task docs:faults\` from the table (\`cli/testing_faults.ts\`) whose every row is a test.

${tableOf("run")}

A row fails at one call. \`cli/every_fault_test.ts\` makes every fault of a device at every call of
such a run, before a model of a device, and \`kernels/faults_test.ts\` makes every fault of a device at every call at
which it can strike, in every strategy, forward and training, resident and streamed, among ranks,
and in \`LinearCrossEntropy\`: \`bench/faults.md\` counts them. There, what fails is thrown by what
was called, or, as calls of \`LinearCrossEntropy\` only submit work, by \`readLoss()\` or
\`readResults()\` after it: a step that the device did not take never has a loss. No fault leaves a
buffer alive, an error scope open, or an error that nobody catches.

A fault while a device is calibrated, at its first use, costs the calibration: rates are assumed,
and that is said (\`cli/bench/calibrated_test.ts\` makes every fault at every such call). A device that
is lost then is lost.

A run is done once more only where the device refuses a buffer, once, and neither with \`--window\`
nor where finished rounds would be given up for it: the second is planned within what the device had
given, or half of what it would have had to give.

## What is measured

\`lce bench --roofline roofline.svg\` goes on with the next strategy where one is too large for the
device or does not compile, and prints the rows that it has, in every format, before it says what
failed: only that a strategy is too large is no failure.

${tableOf("bench")}

\`lce tune\` keeps rates where every tile was measured, or does not compile, which it says: a device
that fails under one tile would make another the fastest. \`cli/every_fault_test.ts\` makes every
fault under both too, at the first call, the second, the fourth and so on; \`cli/bench/faults_test.ts\`
at every call of what they time, the copies between device and host of \`lce tune --mpi\` among it.
\`cli/mpi_device_test.ts\` lets one of two ranks' devices fail: all end, and nothing is kept.

${tableOf("tune")}
`;
}

/**
 * Errors in what becomes of a device's failures.
 *
 * @module
 */
import {
  COMMANDS_FAULTS,
  FAULT_ROWS,
  FAULTS,
  HOSTILE,
  INSIDE,
  REPORTED,
  RETRY,
  SETTINGS_FILES,
  TIMED_FAULTS,
} from "./killers.ts";
import type { Mutant } from "./mutant.ts";

const API = "kernels/run/linear_cross_entropy_device_test.ts";

/** Errors in what is said of a failure, and in what is left behind. */
export const FAULTY: readonly Mutant[] = [
  {
    name: "a lost device is reported as whatever it rejected",
    file: "kernels/run/errors.ts",
    find: "  if (lost) throw lostError(lost);",
    replace: "  if (!lost) return;",
    why: "users would look for their mistake in a validation error",
    killers: [{ test: API, filter: "a device that is lost" }, FAULTS],
  },
  {
    name: "errors that the device reports are dropped",
    file: "kernels/run/errors.ts",
    find: "  if (report) throw reported(report);",
    replace: "",
    why: "a run that did nothing would look like a run",
    killers: [REPORTED, FAULTS],
  },
  {
    name: "that a buffer is invalid is said before that there was no memory for it",
    file: "kernels/run/errors.ts",
    find: ")).findLast(",
    replace: ")).find(",
    why: "nobody would think of asking for less",
    killers: [FAULTS],
  },
  {
    name: "a kernel that does not compile leaves its error scopes open",
    file: "kernels/run/pipelines.ts",
    find: "  } finally {\n    report = end();\n  }",
    replace: "  } finally {\n    report = Promise.resolve(undefined);\n  }",
    why: "every error after it would be another's",
    killers: [FAULTS],
  },
  {
    name: "a failed mapping gives zeros",
    file: "kernels/run/readback.ts",
    find: "    throw new GpuError(`The device did not hand",
    replace:
      "    if (error) return new ArrayBuffer(range.bytes);\n    throw new GpuError(`The device",
    why: "gradients of nothing would train a model",
    killers: [FAULTS],
  },
  {
    name: "a mapping that fails keeps its buffer",
    file: "kernels/run/readback.ts",
    find: "  } finally {\n    staging?.destroy();",
    replace: "  } finally {\n    staging?.unmap();",
    why: "memory would leak at every failure",
    killers: [FAULTS],
  },
  {
    name: "what the device reports of a step is forgotten",
    file: "kernels/run/reported_results.ts",
    find: "this.#report = firstOf(this.#report, end());",
    replace: "end();",
    why: "a step that was not taken would have the loss of the step before",
    killers: [FAULTS],
  },
  {
    name: "nobody asks whether there was memory for a buffer",
    file: "kernels/run/execute.ts",
    find: "if (born.length > 0) await encoder.allocated();",
    replace: "",
    why: "a run of hours would go on without a buffer, and nothing could be tried in its place",
    killers: [FAULTS],
  },
  {
    name: "a run is done once more with the window that the user fixed",
    file: "fixtures/verify/once_more.ts",
    find: "if (!(error instanceof OutOfMemoryError) || window !== undefined) return undefined;",
    replace: "if (!(error instanceof OutOfMemoryError)) return undefined;",
    why: "a figure would be of another run than was asked for",
    killers: [RETRY],
  },
  {
    name: "a second attempt has what the device was to have as a whole",
    file: "fixtures/verify/once_more.ts",
    find: "const half = Math.floor((heldBytes + refusedBytes) / 2);",
    replace: "const half = heldBytes + refusedBytes;",
    why: "it would be refused as the first was",
    killers: [RETRY],
  },
  {
    name: "a second attempt gives finished rounds up",
    file: "cli/run/run_fixture.ts",
    find: "() => keptRounds === 0 && !how.resume,",
    replace: "() => !how.resume,",
    why: "hours of a run would be lost to a moment without memory",
    killers: [RETRY],
  },
  {
    name: "a file that cannot be finished stays half written",
    file: "cli/run/run_fixture.ts",
    find: "    await file?.abort();\n    onKept",
    replace: "    onKept",
    why: "disks would fill up with parts of results",
    killers: [FAULT_ROWS],
  },
  {
    name: "links lead out of a checkpoint's folder",
    file: "fixtures/files/inside.ts",
    find: "if (allowed.some((each) => isWithin(place, each))) return path;",
    replace: "if (allowed.length > 0) return path;",
    why: "a stranger's folder would read what is yours",
    killers: [INSIDE],
  },
  {
    name: "the same key twice goes by",
    file: "fixtures/json_keys.ts",
    find: "if (twice !== undefined) throw",
    replace: "if (twice === null) throw",
    why: "two readers of a file would see two different files",
    killers: [INSIDE, SETTINGS_FILES],
  },
  {
    name: "errors have names of files as they are",
    file: "fixtures/errors.ts",
    find: "super(printableLines(message));",
    replace: "super(message);",
    why: "a terminal would obey what a stranger called a tensor",
    killers: [HOSTILE],
  },
  {
    name: "a plan is timed on buffers that there was no memory for",
    file: "cli/bench/measure.ts",
    find: "      await encoder.allocated();\n",
    replace: "",
    why: "a strategy that is too large would be a broken device",
    killers: [TIMED_FAULTS],
  },
  {
    name: "a tile that the device failed at counts as one that it cannot run",
    file: "cli/bench/tune.ts",
    find: "if (!(error instanceof CompileError || ",
    replace: "if (!(error instanceof GpuError || ",
    why: "rates of a device that was lost would be kept, without the fastest tiles",
    killers: [COMMANDS_FAULTS],
  },
];

/**
 * Errors in what becomes of a device's failures.
 *
 * @module
 */
import { FAULTS, REPORTED } from "./killers.ts";
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
    file: "kernels/run/linear_cross_entropy.ts",
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
];

/**
 * Streamed weights: the host keeps the weight and its gradient, and the device
 * holds one window of each at a time. A rewrite of a schedule whose windows are
 * buffers of their own: an upload wherever the window changes, a readback where a
 * window's gradient is finished.
 *
 * @module
 */
import type { BufferSpec, Dispatch, Schedule, Step } from "./schedule.ts";

/** The tensors that are moved window by window rather than as a whole. */
export const STREAMED: ReadonlySet<string | undefined> = new Set(["weight", "grad_weight"]);

/** Whether a buffer holds a window that is moved when its turn comes. */
export function isStreamed({ residency }: Schedule, { holds }: BufferSpec): boolean {
  return residency === "windows" && STREAMED.has(holds?.tensor);
}

/**
 * The schedule with its windows streamed.
 *
 * @param readback the steps that bring a finished buffer back to the host.
 */
export function streamWindows(
  schedule: Schedule,
  readback: (finished: BufferSpec) => readonly Step[],
): Pick<Schedule, "buffers" | "steps"> {
  const specs = new Map(
    schedule.buffers.filter((spec) => isStreamed(schedule, spec)).map((spec) => [spec.name, spec]),
  );
  const windowOf = (step: Step, tensor: string) =>
    step.kind === "dispatch"
      ? step.bindings.map(({ slice }) => specs.get(slice.buffer))
        .find((spec) => spec?.holds?.tensor === tensor)
      : undefined;
  const finishedAt = new Map<number, BufferSpec>();
  const lastUse = new Map<BufferSpec, number>();
  schedule.steps.forEach((step, index) => {
    const gradient = windowOf(step, "grad_weight");
    if (gradient) lastUse.set(gradient, index);
  });
  for (const [spec, index] of lastUse) finishedAt.set(index, spec);

  const buffers = schedule.buffers.filter((spec) => spec.holds?.tensor !== "weight");
  const steps: Step[] = [];
  const visits = new Map<BufferSpec, number>();
  let resident: { readonly of: BufferSpec; readonly as: BufferSpec } | undefined;
  schedule.steps.forEach((step, index) => {
    const weight = windowOf(step, "weight");
    if (weight && weight !== resident?.of) {
      const visit = (visits.get(weight) ?? 0) + 1;
      visits.set(weight, visit);
      // Each stay is a buffer of its own: it lives from its upload to its last use.
      const as = visit === 1 ? weight : { ...weight, name: `${weight.name}, visit ${visit}` };
      resident = { of: weight, as };
      buffers.push(as);
      steps.push({
        kind: "upload",
        tensor: "weight",
        sourceOffset: as.holds!.offset,
        slice: { buffer: as.name, offset: 0, bytes: as.bytes },
      });
    }
    steps.push(weight ? rebind(step as Dispatch, weight, resident!.as) : step);
    const finished = finishedAt.get(index);
    if (finished) steps.push(...readback(finished));
  });
  return { buffers, steps };
}

function rebind(step: Dispatch, from: BufferSpec, to: BufferSpec): Dispatch {
  const bindings = step.bindings.map((binding) =>
    binding.slice.buffer === from.name
      ? { ...binding, slice: { ...binding.slice, buffer: to.name } }
      : binding
  );
  return { ...step, bindings };
}

/**
 * Streamed weights: the host keeps the weight and its gradient, and the device
 * holds one window of each at a time. A rewrite of a schedule whose windows are
 * buffers of their own: an upload wherever the window changes, a readback where a
 * window's gradient is finished.
 *
 * @module
 */
import type { BufferSpec, Dispatch, Schedule, Step } from "./schedule.ts";
import { tensorsOf } from "./tensors.ts";

/**
 * Returns the tensors that are moved window by window rather than as a whole: where
 * the weight is streamed, the matrices whose rows are ids of the vocabulary.
 */
export function streamedTensors(
  { problem, residency }: Pick<Schedule, "problem" | "residency">,
  roles: readonly ("input" | "gradient")[] = ["input", "gradient"],
): ReadonlySet<string | undefined> {
  if (residency !== "windows") return new Set();
  const streamed = [...tensorsOf(problem)].filter(([, { role, axis, inRows }]) =>
    inRows && axis === "vocab" && roles.some((each) => each === role)
  );
  return new Set(streamed.map(([name]) => name));
}

/**
 * Returns the schedule with its windows streamed.
 *
 * @param readback the steps that bring a finished buffer back to the host.
 */
export function streamWindows(
  schedule: Schedule,
  readback: (finished: BufferSpec) => readonly Step[],
): Pick<Schedule, "buffers" | "steps"> {
  const inputs = streamedTensors(schedule, ["input"]);
  const gradients = streamedTensors(schedule, ["gradient"]);
  const specs = new Map(
    schedule.buffers.filter(({ holds }) =>
      inputs.has(holds?.tensor) || gradients.has(holds?.tensor)
    )
      .map((spec) => [spec.name, spec]),
  );
  const windowsOf = (step: Step, tensors: typeof inputs) =>
    step.kind === "dispatch"
      ? step.bindings.map(({ slice }) => specs.get(slice.buffer))
        .filter((spec) => spec !== undefined)
        .filter(({ holds }) => tensors.has(holds!.tensor))
      : [];
  const finishedAt = new Map<number, BufferSpec[]>();
  const lastUse = new Map<BufferSpec, number>();
  schedule.steps.forEach((step, index) => {
    for (const gradient of windowsOf(step, gradients)) lastUse.set(gradient, index);
  });
  for (const [spec, index] of lastUse) {
    finishedAt.set(index, [...finishedAt.get(index) ?? [], spec]);
  }

  const buffers = schedule.buffers.filter(({ holds }) => !inputs.has(holds?.tensor));
  const steps: Step[] = [];
  const visits = new Map<BufferSpec, number>();
  /** Of each weight the window that is on the device, and the buffer that it is there as. */
  const resident = new Map<string, { readonly of: BufferSpec; readonly as: BufferSpec }>();
  schedule.steps.forEach((step, index) => {
    let bound = step;
    for (const weight of windowsOf(step, inputs)) {
      const { tensor, offset } = weight.holds!;
      if (weight !== resident.get(tensor)?.of) {
        const visit = (visits.get(weight) ?? 0) + 1;
        visits.set(weight, visit);
        // Each stay is a buffer of its own: it lives from its upload to its last use.
        const as = visit === 1 ? weight : { ...weight, name: `${weight.name}, visit ${visit}` };
        resident.set(tensor, { of: weight, as });
        buffers.push(as);
        steps.push({
          kind: "upload",
          tensor,
          sourceOffset: offset,
          slice: { buffer: as.name, offset: 0, bytes: as.bytes },
        });
      }
      bound = rebind(bound as Dispatch, weight, resident.get(tensor)!.as);
    }
    steps.push(bound);
    for (const finished of finishedAt.get(index) ?? []) steps.push(...readback(finished));
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

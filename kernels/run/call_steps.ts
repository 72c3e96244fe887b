/**
 * The steps of one call, which may be of fewer tokens than the plan, or add to gradients that are
 * there: what the schedule says, less what is about other tokens. Which tokens those are, the
 * device knows from how many targets are bound; the rest here only leaves out work that would find
 * nothing to do, and bytes that need not be there.
 *
 * @module
 */
import type {
  BufferSpec,
  Clear,
  Dispatch,
  Schedule,
  Step,
} from "../../planner/schedule/schedule.ts";
import { isCallers, tensorsOf } from "../../planner/schedule/tensors.ts";
import { bytesIn, shapeIn } from "../../planner/schedule/tensor_sizes.ts";
import { roundUp } from "../../planner/schedule/matrix.ts";

/** How a call differs from the plan. */
export interface Settings {
  /** Tokens of the step: the first of the plan's. */
  readonly tokens: number;
  /** Gradients that are added to what their buffers hold, by what the schedule calls them. */
  readonly added: ReadonlySet<string>;
}

/** Returns how many bytes of a buffer of the caller's a step of so many tokens uses. */
export function usedBytes(schedule: Schedule, spec: BufferSpec, tokens: number): number {
  const tensor = spec.holds && tensorsOf(schedule.problem).get(spec.holds.tensor);
  if (!tensor || !isCallers(tensor.role) || tensor.axis !== "tokens") return spec.bytes;
  const [, ...columns] = shapeIn(schedule, tensor);
  const bytes = bytesIn([tokens, ...columns], tensor) - spec.holds!.offset;
  return Math.max(0, Math.min(spec.bytes, roundUp(bytes, 4)));
}

/** Returns the dispatches and clears among some steps of a schedule that a call needs, in their order. */
export function callSteps(
  schedule: Schedule,
  steps: readonly Step[],
  { tokens, added }: Settings,
): (Dispatch | Clear)[] {
  const work = adding(
    schedule,
    steps.filter((step): step is Dispatch | Clear =>
      step.kind === "dispatch" || step.kind === "clear"
    ),
    added,
  );
  if (tokens === schedule.problem.tokens) return work;
  const used = new Map(
    schedule.buffers.map((spec) => [spec.name, usedBytes(schedule, spec, tokens)]),
  );
  const narrowed = <Slice extends Clear["slice"]>(slice: Slice): Slice => ({
    ...slice,
    bytes: Math.min(slice.bytes, used.get(slice.buffer)! - slice.offset),
  });
  return work.flatMap((step): (Dispatch | Clear)[] => {
    if (step.kind === "clear") {
      const slice = narrowed(step.slice);
      return slice.bytes > 0 ? [{ ...step, slice }] : [];
    }
    // Results of the others are zeros, which the loss adds up.
    const written = step.bindings.some(({ slot, access }) =>
      slot === "tokens" && access === "read_write"
    );
    if (schedule.params[step.params]!.tokenStart >= tokens && !written) return [];
    const bindings = step.bindings.map((binding) => ({
      ...binding,
      slice: narrowed(binding.slice),
    }));
    return [{ ...step, bindings }];
  });
}

/** Returns steps that add some gradients to what is there: it is not cleared, nor overwritten. */
function adding(
  { buffers }: Schedule,
  steps: (Dispatch | Clear)[],
  added: ReadonlySet<string>,
): (Dispatch | Clear)[] {
  if (added.size === 0) return steps;
  const held = new Set(
    buffers.filter(({ holds }) => holds && added.has(holds.tensor)).map(({ name }) => name),
  );
  return steps.flatMap((step): (Dispatch | Clear)[] => {
    if (step.kind === "clear") return held.has(step.slice.buffer) ? [] : [step];
    const { adding } = step;
    const first = adding !== undefined &&
      step.bindings.some(({ slice, access }) => access === "read_write" && held.has(slice.buffer));
    return [first ? { ...step, params: adding } : step];
  });
}

/** Returns clears of what a schedule records of its gradients, for tiles that no step comes to. */
export function clearRecords({ problem, buffers }: Schedule): Clear[] {
  const tensors = tensorsOf(problem);
  return buffers
    .filter(({ holds }) => holds && tensors.get(holds.tensor)?.role === "record")
    .map(({ name, bytes }) => ({ kind: "clear", slice: { buffer: name, offset: 0, bytes } }));
}

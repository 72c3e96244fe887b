/**
 * A schedule in the making: the steps so far, and the buffers that they bind. What
 * each kernel binds, and how its grid follows from its work, is said by the
 * functions of `forward.ts`, `combining.ts` and `backward.ts`, and of several heads by
 * those of `side_by_side.ts`, `distilling.ts` and `fusing.ts`; a strategy is the order
 * in which it calls them.
 *
 * @module
 */
import { gatherHidden, type GradientAxis, sumGradients } from "./collectives.ts";
import { Cuts } from "./cuts.ts";
import type { DeviceProfile } from "../device.ts";
import { HostLives, type Use } from "./host_lives.ts";
import { HALVED } from "./layout.ts";
import { roundUp } from "./matrix.ts";
import { heldThroughout, type MemoryPrediction } from "./memory.ts";
import { type Params, PARAMS_BYTES, paramsKey } from "./params.ts";
import { filterThreshold, type Problem, vocabOf } from "../problem.ts";
import type { Products } from "./products.ts";
import {
  type Binding,
  type Collective,
  type Dispatch,
  type KernelName,
  PARAMS_BUFFER,
  type Range,
  type Schedule,
  type Share,
  type Step,
} from "./schedule.ts";
import { type Block, Infeasible, MAX_PAIRS, pairsOf, type Region, type Shape } from "./shape.ts";
import { trafficOf } from "./traffic.ts";
import { Workspace } from "./workspace.ts";

/**
 * `whole`: every step, to be run. `sketch`: of blocks and windows that are alike,
 * one for all: the same memory and cost, for the search to compare.
 */
export type Detail = "whole" | "sketch";

/** A dispatch of a sketch, which comes to stand for more, and the buffers that such a one uses. */
interface Counted {
  readonly step: Dispatch & { times?: number };
  readonly uses: readonly Use[];
}

/** Dispatches of a sketch on a block and a window of some sizes, whose results start afresh or do not. */
interface Alike {
  readonly block: number | undefined;
  readonly window: number | undefined;
  readonly first: boolean;
  readonly steps: Counted[];
}

/** How many dispatches one of a region stands for. */
function timesOf({ block, window }: Region): number {
  return (block?.times ?? 1) * (window?.times ?? 1);
}

/** Returns how many of a product's operands become halves, where stored matrices do. */
function halvedOf(bindings: readonly Binding[]): number {
  return bindings.filter(({ slot }) => HALVED.some((matrix) => matrix === slot)).length;
}

/** A schedule in the making. */
export class ScheduleDraft {
  /** Its buffers. */
  readonly workspace: Workspace;
  /** Its token blocks and its windows. */
  readonly cuts: Cuts;
  /** The tiles of its products. */
  readonly products: Products;
  /** Blocks whose statistics wait for those of other ranks. */
  readonly unmerged: Block[] = [];
  readonly #detail: Detail;
  readonly #params: Params[] = [];
  #paramsCount = 0;
  readonly #paramsIndex = new Map<string, number>();
  readonly #steps: Step[] = [];
  /** Dispatches of a sketch that others may be like, by what they do and on how much. */
  readonly #alike = new Map<string, Alike[]>();
  readonly #sketched = new Set<number>();
  /** Those of the current kind. */
  #like: Counted[] | undefined;
  /** In a sketch of a schedule whose buffers come and go, when they do. */
  readonly #lives: HostLives | undefined;
  #backwardStart: number | undefined;
  /** Collectives that are under way, and how many there were. */
  readonly #underWay: Collective[] = [];
  #flights = 0;
  /** Gradients that are told piece by piece. */
  readonly #told = new Set<GradientAxis>();

  /** @throws {Infeasible} when the shape cannot be cut to the device's limits. */
  constructor(
    readonly problem: Problem,
    device: DeviceProfile,
    readonly shape: Shape,
    products: Products,
    detail: Detail = "whole",
    readonly share?: Share,
  ) {
    const pairs = pairsOf(problem, shape);
    if (pairs > MAX_PAIRS) {
      throw new Infeasible(`would take ${pairs} steps over the vocabulary, more than ${MAX_PAIRS}`);
    }
    this.workspace = new Workspace(problem, shape, device.limits, share, detail === "sketch");
    this.cuts = new Cuts(this.workspace);
    if (detail === "sketch" && shape.residency !== "caller") {
      this.#lives = new HostLives(problem, shape.residency);
    }
    // Where tiles are filtered, the products' own tiles must lie within them.
    this.products = filterThreshold(problem) === 0
      ? products.like(shape.tile)
      : products.only(shape.tile);
    this.#detail = detail;
    this.add(gatherHidden(this.workspace));
  }

  /** Adds steps that are no dispatches. */
  add(steps: readonly Step[]): void {
    // All ranks come to collectives in one order, so that one ends before the next begins.
    if (steps.some(({ kind }) => kind === "collective")) this.#land();
    for (const step of steps) {
      this.#steps.push(step);
      this.#lives?.step(step, this.workspace);
    }
  }

  /**
   * Begins to tell the other ranks rows of a gradient that are finished, where that is asked for:
   * what is added next is computed meanwhile.
   */
  tell(axis: GradientAxis, rows: Range): void {
    if (!this.share?.overlap) return;
    // A scatter gives each rank its part of all rows, which are not those of its part of some.
    if (axis === "tokens" && this.share.sequence) return;
    this.#told.add(axis);
    this.#land();
    for (const step of sumGradients(this.workspace, axis, rows)) {
      const begun = { ...step, flight: this.#flights++ };
      this.#underWay.push(begun);
      // Its buffers are there: they were written just now, and leave at the end.
      this.#steps.push(begun);
    }
  }

  /** Ends what is under way. */
  #land(): void {
    for (const { flight, target } of this.#underWay.splice(0)) {
      this.#steps.push({ kind: "landing", flight: flight!, target });
    }
  }

  /**
   * Adds a dispatch.
   *
   * @throws {Infeasible} where the device does not allow its grid or its bindings.
   */
  dispatch(
    kernel: KernelName,
    grid: readonly [number, number],
    bindings: readonly Binding[],
    at: Region,
    work: Partial<Dispatch> = {},
  ): void {
    const {
      maxComputeWorkgroupsPerDimension,
      maxStorageBufferBindingSize,
      maxStorageBuffersPerShaderStage,
      minStorageBufferOffsetAlignment,
    } = this.workspace.limits;
    if (bindings.length > maxStorageBuffersPerShaderStage) {
      throw new Infeasible(
        `${kernel} binds ${bindings.length} buffers, the device allows ${maxStorageBuffersPerShaderStage} (maxStorageBuffersPerShaderStage)`,
      );
    }
    if (Math.max(...grid) > maxComputeWorkgroupsPerDimension) {
      throw new Infeasible(
        `${kernel} needs a grid of ${
          grid.join(" x ")
        } workgroups, the device allows ${maxComputeWorkgroupsPerDimension} in a dimension`,
      );
    }
    for (const { slot, slice } of bindings) {
      if (slice.bytes > maxStorageBufferBindingSize) {
        throw new Infeasible(
          `${kernel} binds ${slice.bytes} bytes of ${slot}, the device allows ${maxStorageBufferBindingSize} (maxStorageBufferBindingSize)`,
        );
      }
      if (slice.offset % minStorageBufferOffsetAlignment !== 0) {
        throw new Infeasible(`${kernel} binds ${slot} at the unaligned offset ${slice.offset}`);
      }
    }
    // What is done once is like nothing else.
    if (!at.block && !at.window) this.#like = undefined;
    const times = timesOf(at);
    const step = {
      kind: "dispatch" as const,
      kernel,
      grid,
      bindings,
      params: this.#paramsSlot(times, at),
      ...(this.#mayAdd(at) ? { adding: this.#addingSlot(times, at) } : {}),
      ...(times === 1 ? {} : { times }),
      flops: 0,
      workgroupFlops: 0,
      traffic: trafficOf(this.workspace, kernel, bindings, at, work),
      ...work,
      ...(work.flops && this.#becomeHalves(work) ? { halving: halvedOf(bindings) } : {}),
    };
    this.#steps.push(step);
    if (this.#detail === "whole") return;
    const uses = this.#lives?.usesOf(step, this.workspace) ?? [];
    this.#lives?.use(uses, at);
    this.#like?.push({ step, uses });
  }

  /**
   * Whether a sketch has such steps already for a block and a window of the same
   * sizes, whose results start afresh as these do: they then stand for these as well.
   */
  known(what: string, at: Region): boolean {
    if (this.#detail === "whole") return false;
    let kind = this.#alike.get(what);
    if (!kind) this.#alike.set(what, kind = []);
    const [ofBlock, ofWindow, afresh] = [at.block?.count, at.window?.count, Boolean(at.first)];
    const alike = kind.find(({ block, window, first }) =>
      block === ofBlock && window === ofWindow && first === afresh
    );
    if (!alike) {
      kind.push({ block: ofBlock, window: ofWindow, first: afresh, steps: this.#like = [] });
      return false;
    }
    const times = timesOf(at);
    this.#paramsSlot(times, at);
    if (at.first && alike.steps.some(({ step }) => step.adding !== undefined)) {
      this.#addingSlot(times, at);
    }
    for (const { step, uses } of alike.steps) {
      step.times = (step.times ?? 1) + times;
      this.#lives?.use(uses, at);
    }
    return true;
  }

  /** Tells params of a sketch apart. A region without a block or a window is that of all of them. */
  #sketchedKey({ block, window, column, first }: Region): number {
    const [blocks, windows] = [this.cuts.blockCount, this.cuts.windowCount];
    const row = block ? block.index : blocks === 1 ? 0 : blocks;
    const at = window ? window.start / this.shape.window : windows === 1 ? 0 : windows;
    return 4 * (row * (windows + 1) + at) + 2 * Number(Boolean(column)) +
      Number(Boolean(first));
  }

  /** Whether the operands of the head that a product is about become halves. */
  #becomeHalves({ head: name }: Partial<Dispatch>): boolean {
    const { heads } = this.workspace;
    return heads.some((one) => (name === undefined || one.head.name === name) && one.becomeHalves);
  }

  /** Whether a call may choose that the first results are added to what a gradient of the caller's holds. */
  #mayAdd({ first, mayAdd }: Region): boolean {
    return Boolean(first && mayAdd) && this.shape.residency === "caller" && !this.share;
  }

  #addingSlot(times: number, at: Region): number {
    return this.#paramsSlot(times, { ...at, first: false });
  }

  #paramsSlot(times: number, at: Region): number {
    if (this.#detail === "sketch") {
      const key = this.#sketchedKey(at);
      if (!this.#sketched.has(key)) this.#paramsCount += times;
      this.#sketched.add(key);
      return 0;
    }
    const params: Params = {
      tokenStart: at.block?.start ?? 0,
      tokens: at.block?.count ?? this.problem.tokens,
      block: at.block?.index ?? 0,
      vocabStart: (this.share?.vocabStart ?? 0) + (at.window?.start ?? 0),
      vocab: at.window?.count ?? vocabOf(this.problem),
      column: at.column ?? 0,
      vocabTile: this.cuts.vocabTile(at.window?.start ?? 0),
      first: at.first ? 1 : 0,
    };
    const key = paramsKey(params);
    const known = this.#paramsIndex.get(key);
    if (known !== undefined) return known;
    this.#paramsCount += times;
    this.#paramsIndex.set(key, this.#params.length);
    return this.#params.push(params) - 1;
  }

  /** Marks the end of a complete forward pass: what follows needs the upstream gradient. */
  beginBackward(): void {
    this.#backwardStart = this.#steps.length;
  }

  /** Ends the schedule with what is done once. */
  #end(): number {
    for (const axis of ["tokens", "vocab"] as const) {
      if (!this.#told.has(axis)) this.add(sumGradients(this.workspace, axis));
    }
    this.#land();
    const paramsStride = roundUp(
      PARAMS_BYTES,
      this.workspace.limits.minUniformBufferOffsetAlignment,
    );
    this.workspace.whole(PARAMS_BUFFER, this.#paramsCount * paramsStride, "state");
    return paramsStride;
  }

  /** Returns what a sketch is made for: memory, bytes between host and device, and the steps that cost time. */
  total(): {
    readonly memory: MemoryPrediction;
    readonly transferred: number;
    readonly steps: readonly Step[];
  } {
    this.#end();
    const { memory, transferred } = this.#lives?.total(this.workspace) ??
      { memory: heldThroughout(this.workspace.bytesByCategory), transferred: 0 };
    return { memory, transferred, steps: this.#steps };
  }

  /** The finished schedule. */
  finish(): Schedule {
    const paramsStride = this.#end();
    const { tile, strategy, splits } = this.shape;
    const { blocks, blockCount, windows, windowCount } = this.cuts;
    return {
      strategy,
      problem: this.problem,
      tile,
      window: { vocab: windows[0]!.count, count: windowCount },
      block: { tokens: blocks[0]!.count, count: blockCount },
      splits,
      logitStride: this.workspace.logitStride,
      gradientStride: this.workspace.gradientStride,
      ...(this.shape.gradientDtype ? { gradientDtype: this.shape.gradientDtype } : {}),
      buffers: this.workspace.buffers,
      params: this.#params,
      paramsStride,
      steps: this.#steps,
      backwardStart: this.#backwardStart,
      residency: this.shape.residency,
      ...(this.share ? { share: this.share } : {}),
    };
  }
}

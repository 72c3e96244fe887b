/**
 * How far a figure is from its model, and how far it may be.
 *
 * @module
 */
import type { Problem } from "../../planner/problem.ts";
import { parseProblem } from "../../planner/problem_schema.ts";
import type { Figure } from "./figures.ts";
import { FORMER_PEERS, PEERS } from "../../planner/peers/mod.ts";
import { alive, extraBytes, peakPhase, type Peer } from "../../planner/peers/peer.ts";
import { bytesOf, type Size, sizes } from "../../planner/peers/sizes.ts";

const MEBIBYTE = 2 ** 20;

/** Returns the problem that a figure is of. */
function problemOf({ tokens, hidden, vocab, dtype, softcap }: Figure): Problem {
  return parseProblem({ tokens, hidden, vocab, dtype, ...(softcap ? { softcap } : {}) });
}

/**
 * Returns the method that a figure is of.
 *
 * @throws {Error} when no method has the name.
 */
export function peerOf({ method }: Pick<Figure, "method">): Peer {
  const peer = [...PEERS, ...FORMER_PEERS].find((peer) => peer.method === method);
  if (!peer) throw new Error(`No method is called "${method}"`);
  return peer;
}

/** Returns the MiB that a figure counts besides the method's own memory. */
function besideMebibytes(figure: Figure): number {
  if (!figure.beside) return 0;
  const { weights, hiddens, targets, workspaceMebibytes } = figure.beside;
  const { weight, hidden, tokens } = sizes(problemOf(figure));
  const counted: readonly [number, Size][] = [
    [weights, weight()],
    [hiddens, hidden()],
    [targets, tokens(8)],
  ];
  const bytes = counted.reduce((sum, [times, size]) => sum + times * bytesOf(size), 0);
  return bytes / MEBIBYTE + workspaceMebibytes;
}

/** Returns the MiB that a figure should be by the method's model. */
export function expectedMebibytes(figure: Figure): number {
  const bytes = extraBytes(peerOf(figure), problemOf(figure), figure.span);
  return bytes / MEBIBYTE + besideMebibytes(figure);
}

/** What printing to 0.1 MiB may hide. */
const PRINTED = 0.06;

/**
 * Returns the bytes that PyTorch's allocator may count beyond what is asked for: it takes blocks of
 * 10 MiB and more in multiples of 2 MiB, and splits off no remainder of up to 1 MiB
 * (c10/cuda/CUDACachingAllocator.cpp, `kRoundLarge` and `should_split`).
 */
function unsplitBytes(sizes: readonly Size[]): number {
  return sizes.map(bytesOf).filter((bytes) => bytes >= 10 * MEBIBYTE).reduce((sum, bytes) => {
    const remainder = Math.ceil(bytes / (2 * MEBIBYTE)) * 2 * MEBIBYTE - bytes;
    return sum + (remainder <= MEBIBYTE ? remainder : 0);
  }, 0);
}

/** Returns how much less and how much more than expected a figure may be, in MiB, and why. */
export function allowance(figure: Figure): { below: number; above: number; why: string } {
  const { tolerance } = figure;
  if (tolerance) {
    return { below: tolerance.mebibytes, above: tolerance.mebibytes, why: tolerance.why };
  }
  const peak = peakPhase(peerOf(figure), problemOf(figure), figure.span);
  const unsplit = unsplitBytes(alive(peak)) / MEBIBYTE;
  return {
    below: PRINTED,
    above: PRINTED + unsplit,
    why: unsplit > 0 ? "printed to 0.1 MiB; unsplit blocks" : "printed to 0.1 MiB",
  };
}

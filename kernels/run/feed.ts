/**
 * What uploads need, read from the host's tensors piece by piece and ahead of
 * need: while the device works on one window, the next one is read.
 *
 * @module
 */
import type { HostAccount } from "../../host/account.ts";
import { readRange, sourceOf, type TensorBytes, type TensorSource } from "../../host/source.ts";
import {
  allPieces,
  passesThrough,
  type Piece,
  type PieceSlots,
  slotsFor,
} from "../../planner/schedule/host_memory.ts";
import type { Schedule } from "../../planner/schedule/schedule.ts";
import { GpuError } from "./errors.ts";

/** Tensors of the host by name. */
export type HostTensors = Readonly<Record<string, TensorBytes>>;

/** The pieces of a schedule's uploads, one after the other. */
export class Feed {
  readonly #pieces: readonly Piece[];
  readonly #sources = new Map<string, TensorSource>();
  readonly #slots: PieceSlots;
  readonly #memory: Uint8Array[] = [];
  /** Pieces that have been asked for and not been taken, in order. */
  readonly #reading: Promise<Uint8Array>[] = [];
  #asked = 0;
  /** Pieces asked for that pass through a slot, and those of them that are not taken yet. */
  #staged = 0;
  #waiting = 0;

  /**
   * Begins to read.
   *
   * @throws {GpuError} when a tensor is missing.
   */
  constructor(schedule: Schedule, tensors: HostTensors, readonly account: HostAccount) {
    this.#pieces = allPieces(schedule);
    for (const { tensor } of this.#pieces) {
      if (this.#sources.has(tensor)) continue;
      const given = tensors[tensor];
      if (!given) throw new GpuError(`No host tensor ${tensor} to upload`);
      this.#sources.set(tensor, sourceOf(given));
    }
    this.#slots = slotsFor(this.#pieces, Object.fromEntries(this.#sources));
    for (const { heldBytes } of this.#sources.values()) account.hold(heldBytes);
    this.#readAhead();
  }

  /**
   * Waits for the next piece and hands it over; it is valid within `use` only.
   *
   * @throws {GpuError} when a tensor is short; whatever its source throws.
   */
  async take(use: (piece: Piece, bytes: Uint8Array) => void): Promise<void> {
    const index = this.#asked - this.#reading.length;
    const bytes = await this.#reading[0]!;
    this.#reading.shift();
    const piece = this.#pieces[index]!;
    use(piece, bytes);
    if (passesThrough(this.#sources.get(piece.tensor)!)) this.#waiting--;
    this.#readAhead();
  }

  /** Waits for what is being read, and gives memory back. */
  async close(): Promise<void> {
    await Promise.allSettled(this.#reading);
    for (const { length } of this.#memory) this.account.release(length);
    for (const { heldBytes } of this.#sources.values()) this.account.release(heldBytes);
  }

  #readAhead(): void {
    while (this.#asked < this.#pieces.length) {
      const piece = this.#pieces[this.#asked]!;
      const source = this.#sources.get(piece.tensor)!;
      const staged = passesThrough(source);
      // Views of arrays cost nothing, but there may be very many of them.
      if (staged ? this.#waiting === this.#slots.count : this.#reading.length > 0) break;
      const slot = staged ? this.#slot() : undefined;
      if (staged) this.#waiting++;
      this.#asked++;
      const reading = read(piece, source, slot);
      // Whoever takes it sees the failure; that nobody has asked yet is no fault.
      reading.catch(() => {});
      this.#reading.push(reading);
    }
  }

  #slot(): Uint8Array {
    const index = this.#staged++ % this.#slots.count;
    return this.#memory[index] ??= this.account.allocate(this.#slots.bytes);
  }
}

/** Reads a piece; what a tensor lacks of its last word is left out. */
async function read(
  { tensor, sourceOffset, bytes }: Piece,
  source: TensorSource,
  slot: Uint8Array | undefined,
): Promise<Uint8Array> {
  const length = Math.min(bytes, source.bytes - sourceOffset);
  // Buffers end with a whole word, tensors of 16-bit elements may not; anything more is a wrong size.
  if (bytes - length >= 4) {
    throw new GpuError(`Host tensor ${tensor} is ${bytes - length} bytes short`);
  }
  return await readRange(source, sourceOffset, length, slot?.subarray(0, length));
}

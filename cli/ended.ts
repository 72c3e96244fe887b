/**
 * What a process says that was told to end by a signal.
 *
 * @module
 */

let joined: number | undefined;

/** Notes that this process is one rank of several. */
export function endsAs(rank: number): void {
  joined = rank;
}

/**
 * Returns what it says. Where a rank ends otherwise than by its own will, mpirun tells all others
 * to end, as it does where it is interrupted itself.
 */
export function endedText(): string {
  return joined === undefined
    ? "interrupted"
    : `rank ${joined}: ended by mpirun, because another rank ended or mpirun was interrupted`;
}

/**
 * The one place that writes: results on stdout, everything else on stderr.
 *
 * @module
 */
import { InputError } from "../fixtures/errors.ts";
import { printable, printableLines } from "../fixtures/printable.ts";
import { systemReason } from "../fixtures/files/write.ts";

/** Where a command writes; tests catch what it says. */
export interface Output {
  /** Results, a line or more. */
  print(text: string): void;
  /** Remarks that are no result. */
  note(text: string): void;
  /** Says how far a long job is, on a terminal only; the next call overwrites it. */
  progress(text: string): void;
  /** Characters of a line of results where a terminal shows them; files have no such limit. */
  readonly width?: number | undefined;
}

/**
 * Returns the same output for text that may hold a stranger's: what a terminal would obey is
 * spelled out. In JSON the spelling is an escape, and means the same character.
 */
export function guarded({ print, note, progress, width }: Output): Output {
  return {
    width,
    print: (text) => print(printableLines(text)),
    note: (text) => note(printableLines(text)),
    progress: (text) => progress(printable(text)),
  };
}

/** What of the process's own streams an output needs. */
export interface Stream {
  writeSync(bytes: Uint8Array): number;
  isTerminal(): boolean;
}

/** The streams that a process writes to. */
export interface Streams {
  readonly stdout: Stream;
  readonly stderr: Stream;
}

/** Writes to stdout and stderr: the process's own, unless told otherwise. */
export function processOutput({ stdout, stderr }: Streams = Deno): Output {
  const encoder = new TextEncoder();
  const terminal = stderr.isTerminal();
  let shown = false;
  const clear = () => {
    if (shown) stderr.writeSync(encoder.encode("\r\x1b[K"));
    shown = false;
  };
  const writeAll = (stream: Stream, text: string) => {
    let bytes = encoder.encode(`${text}\n`);
    while (bytes.length > 0) bytes = bytes.subarray(stream.writeSync(bytes));
  };
  return {
    width: stdout.isTerminal() ? terminalWidth() : undefined,
    print(text) {
      clear();
      try {
        writeAll(stdout, text);
      } catch (error) {
        // Whoever reads our output may have read enough; that is told apart where exits are.
        if (error instanceof Deno.errors.BrokenPipe) throw error;
        throw new InputError(`Cannot write to standard output: ${systemReason(error)}`);
      }
    },
    note(text) {
      clear();
      try {
        writeAll(stderr, text);
      } catch {
        // There is nowhere left to say it.
      }
    },
    progress(text) {
      if (!terminal) return;
      stderr.writeSync(encoder.encode(`\r\x1b[K${text}`));
      shown = true;
    },
  };
}

/** No table is made narrower than this. */
const LEAST_WIDTH = 40;

/** Returns columns of the terminal; 80 where it does not say. */
function terminalWidth(): number {
  try {
    return Math.max(LEAST_WIDTH, Deno.consoleSize().columns || 80);
  } catch {
    return 80;
  }
}

/** Something that can be said in JSON and to people; neither is made before it is asked for. */
export interface Rendered<T> {
  readonly of: T;
  json(): object;
  text(): string;
}

/** Returns something with its two renderings. */
export function rendered<T>(
  of: T,
  json: (of: T) => object,
  text: (of: T) => string,
): Rendered<T> {
  return { of, json: () => json(of), text: () => text(of) };
}

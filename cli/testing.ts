/**
 * Running lce within a test.
 *
 * @module
 */
import { main } from "./program.ts";

/** Runs lce with some arguments and keeps what it says. */
export async function lce(...args: string[]): Promise<{ code: number; out: string; err: string }> {
  const said = { out: "", err: "" };
  const code = await main(args, {
    print: (text) => said.out += `${text}\n`,
    note: (text) => said.err += `${text}\n`,
    progress: () => {},
  });
  return { code, ...said };
}

/** Lends a file with some text. */
export async function withFile(
  text: string,
  use: (path: string) => Promise<void>,
  suffix = ".yaml",
): Promise<void> {
  const path = await Deno.makeTempFile({ suffix });
  try {
    await Deno.writeTextFile(path, text);
    await use(path);
  } finally {
    await Deno.remove(path);
  }
}

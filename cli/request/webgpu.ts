/**
 * Which implementation of WebGPU a command uses, and where Dawn is on this machine.
 *
 * @module
 */
import { join, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { Option } from "commander";
import type { WebGpuName } from "../../planner/device.ts";
import { UsageError } from "../exit.ts";
import { userCache } from "../files/cache.ts";

/** What can be asked for on a command line. */
const CHOICES = ["deno", "dawn", "dawn-unchecked"] as const satisfies readonly WebGpuName[];

/** What `--webgpu` asks for. */
export type WebGpuChoice = typeof CHOICES[number];

/** The environment variable that stands for the flag where it is not given. */
const VARIABLE = "LCE_WEBGPU";

/** Returns the flag that chooses an implementation of WebGPU. */
export function webgpuFlag(): Option {
  return new Option(
    "--webgpu <name>",
    "implementation of WebGPU: Deno's own, or Dawn with or without checks of bounds (default: deno)",
  ).choices(CHOICES);
}

/** Returns the implementation to use. @throws {UsageError} where the environment names none. */
export function webgpuOf(flag: WebGpuChoice | undefined): WebGpuChoice {
  const named = flag ?? (Deno.env.get(VARIABLE) || "deno");
  const known = CHOICES.find((name) => name === named);
  if (known) return known;
  throw new UsageError(`${VARIABLE} ${named}: must be one of ${CHOICES.join(", ")}`);
}

/** Returns what Dawn is imported from: a specifier of npm's, or a file's address. */
export function dawnSpecifier(): string {
  const named = Deno.env.get("LCE_DAWN") ||
    join(userCache(), "dawn", "node_modules", "webgpu", "index.js");
  return /^(npm|file):/.test(named) ? named : pathToFileURL(resolve(named)).href;
}

/** Returns an implementation with its version, which what is measured under it holds for. */
export function webgpuVersion(name: WebGpuName | undefined): string {
  if (name === undefined || !name.startsWith("dawn")) return `Deno ${Deno.version.deno}`;
  return `${name} ${packageVersion(dawnSpecifier())}`;
}

/**
 * Returns the version of the package whose index.js has an address; the specifier where it says it.
 */
function packageVersion(specifier: string): string {
  if (!specifier.startsWith("file:")) return specifier;
  const manifest = Deno.readTextFileSync(new URL("package.json", specifier));
  return JSON.parse(manifest).version;
}

/**
 * The folder of the user's cache that lce keeps things in.
 *
 * @module
 */
import { join } from "node:path";

/** Returns the folder, by the system's custom; whether it exists is not asked. */
export function userCache(): string {
  const home = Deno.env.get("XDG_CACHE_HOME") ?? Deno.env.get("LOCALAPPDATA") ??
    join(Deno.env.get("HOME") ?? ".", ".cache");
  return join(home, "lce");
}

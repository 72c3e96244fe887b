/**
 * Writes docs/peers.md from the models of published methods and their figures.
 *
 * @module
 */
import { peersPage } from "./peers/page.ts";

await Deno.writeTextFile(new URL("../docs/peers.md", import.meta.url), peersPage());

/**
 * Writes lce.schema.json from the schema that checks plan files.
 *
 * @module
 */
import { planFileJsonSchema } from "../cli/request/request.ts";

const path = new URL("../lce.schema.json", import.meta.url);
await Deno.writeTextFile(path, JSON.stringify(planFileJsonSchema(), null, 2) + "\n");

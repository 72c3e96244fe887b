/**
 * Entries of a schema: what each is for, and what it is where nobody says it.
 *
 * Schemas that a page in a browser needs are made of zod's functions (`zod/mini`),
 * which leave a bundle where nobody calls them; its methods are all in it, always.
 *
 * @module
 */
import * as z from "zod/mini";

/** Returns a schema that says what its values mean. */
export function described<Schema extends z.ZodMiniType>(about: string, schema: Schema): Schema {
  return schema.check(z.describe(about));
}

/** Returns a schema for what may be left out, and is `initial` then. */
export function setting<Schema extends z.ZodMiniType>(
  about: string,
  schema: Schema,
  initial: z.core.util.NoUndefined<z.output<Schema>>,
): z.ZodMiniDefault<Schema> {
  return described(about, z._default(schema, initial));
}

/** Returns a schema for what may be left out. */
export function optional<Schema extends z.ZodMiniType>(
  about: string,
  schema: Schema,
): z.ZodMiniOptional<Schema> {
  return described(about, z.optional(schema));
}

/** Returns what a schema says that its values mean, or what is within it says. */
export function meaningOf(schema: z.core.$ZodType): string {
  const said = z.globalRegistry.get(schema)?.description;
  if (said !== undefined) return said;
  return schema instanceof z.core.$ZodDefault || schema instanceof z.core.$ZodOptional
    ? meaningOf(schema._zod.def.innerType)
    : "";
}

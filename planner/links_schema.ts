/**
 * Schema of how fast ranks are joined: rates come from files.
 *
 * @module
 */
import * as z from "zod/mini";
import type { LinkRates } from "./links.ts";
import type { Same } from "./same.ts";
import { described, optional } from "./setting.ts";

const linearSchema = z.strictObject({
  seconds: z.number().check(z.nonnegative()),
  bytesPerSecond: z.number().check(z.positive()),
});

const linkSchema = z.strictObject({
  allReduce: linearSchema,
  reduceScatter: linearSchema,
  allGather: linearSchema,
});

/** Schema of {@linkcode LinkRates}. */
export const linkRatesSchema = z.strictObject({
  ranksPerHost: z.int().check(z.positive()),
  within: described("between ranks of one host", linkSchema),
  across: optional("between ranks of different hosts", linkSchema),
  staging: described("a tensor between device and host", linearSchema),
  source: optional("where the figures come from", z.string()),
});

true satisfies Same<LinkRates, Readonly<z.output<typeof linkRatesSchema>>>;

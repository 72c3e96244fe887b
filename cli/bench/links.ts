/**
 * Rates of links that `lce tune --mpi` measured, kept between runs: one entry for each
 * crew of hosts and ranks.
 *
 * @module
 */
import * as z from "zod";
import type { LinkRates } from "../../planner/links.ts";
import { linkRatesSchema } from "../../planner/links_schema.ts";
import { Kept } from "../files/kept.ts";

/** Rates, and whose they are. */
export interface CrewLinks {
  readonly hosts: readonly string[];
  readonly ranks: number;
  readonly rates: LinkRates;
}

/** The file of rates by crew. */
export const LINKS: Kept<CrewLinks> = new Kept(
  "links.json",
  z.strictObject({
    hosts: z.array(z.string()).min(1),
    ranks: z.int().min(1),
    rates: linkRatesSchema,
  }),
);

/** Keeps the rates of a crew, in place of what was kept for it before. Returns the file. */
export function keepLinks(links: CrewLinks): Promise<string> {
  return LINKS.keep(`${links.hosts.join(" ")} | ${links.ranks} ranks`, links);
}

/** Returns the links of the largest crew that a host was measured in. */
export async function linksOf(host: string): Promise<LinkRates | undefined> {
  const crews = Object.values(await LINKS.readAll()).filter(({ hosts }) => hosts.includes(host));
  return crews.sort((a, b) => b.ranks - a.ranks)[0]?.rates;
}

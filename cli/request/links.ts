/**
 * How fast ranks are joined, as a request says it: by what was measured on this host,
 * or by a file.
 *
 * @module
 */
import { InputError } from "../../fixtures/errors.ts";
import { issueText, tellingIssues } from "../../planner/issues.ts";
import type { LinkRates } from "../../planner/links.ts";
import { linkRatesSchema } from "../../planner/links_schema.ts";
import { shown } from "../../planner/shown.ts";
import { LINKS, linksOf } from "../bench/links.ts";
import { UsageError } from "../exit.ts";
import { readMap } from "../files/map_file.ts";

/**
 * Returns the links that a request plans with; what was measured on this host also where it
 * plans for this machine's device and says nothing of links.
 *
 * @throws {UsageError} where nothing was measured here, and that was asked for.
 * @throws {InputError} where a file holds no rates of links.
 */
export async function linksFor(
  links: string | undefined,
  device: unknown,
): Promise<LinkRates | undefined> {
  if (links === undefined) return device === "auto" ? await linksOf(Deno.hostname()) : undefined;
  if (links !== "auto") return await readLinks(links);
  const found = await linksOf(Deno.hostname());
  if (found) return found;
  throw new UsageError(
    `--links auto: nothing was measured on this host (${LINKS.path}): mpirun -n 4 lce tune --mpi, with as many ranks as there will be`,
  );
}

/** Reads rates from a file: those in the JSON of `lce tune --mpi`, or all of that. */
async function readLinks(path: string): Promise<LinkRates> {
  const value = await readMap(path, 'of link rates, with "within" and "staging"');
  const rates = "rates" in value ? value.rates : value;
  const parsed = linkRatesSchema.safeParse(rates);
  if (parsed.success) return parsed.data;
  const lines = tellingIssues(parsed.error.issues).map((issue) => {
    const place = issue.path.join(".");
    const at = issue.path.reduce<unknown>(
      (inner, key) => (inner as Record<PropertyKey, unknown> | undefined)?.[key],
      rates,
    );
    return at === undefined
      ? `${place} is needed`
      : `${place} ${shown(at)}: ${issueText(issue)}`.trim();
  });
  throw new InputError(`${path}: ${lines.join("\n")}`);
}

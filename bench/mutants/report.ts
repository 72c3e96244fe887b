/**
 * The figures of a hunt, as a page.
 *
 * @module
 */
import { markdown } from "../../cli/report/formats.ts";
import type { Fate } from "./hunt.ts";

/** What a page says of the run as a whole. */
export interface HuntRun {
  readonly date: string;
  readonly device: string;
  /** Minutes from the first killer to the last. */
  readonly minutes: number;
  readonly jobs: number;
}

/** A page in Markdown: how many died, of what, and who survived. */
export function page(fates: readonly Fate[], { date, device, minutes, jobs }: HuntRun): string {
  const survivors = fates.filter(({ outcome }) => outcome !== "killed");
  const rows = fates.map(({ mutant, noticed, problem, seconds }) => [
    mutant.file,
    mutant.name,
    [...noticed, ...(problem ? [`**${problem}**`] : [])].join("; "),
    seconds.toFixed(0),
  ]);
  return `# Planted errors

${fates.length} small errors, planted one at a time in a copy of the tree (\`bench/mutants/\`, each with
why it matters), and the first test that failed of each file that should notice it. ${
    survivors.length === 0 ? "None survives" : `${survivors.length} survive`
  }. Snapshots, which notice any change, are left out.
By \`deno task mutants\` on ${device}, ${date}: ${minutes.toFixed(0)} minutes, ${jobs} at a time.

${markdown([["file", "what it does wrong", "noticed by", "s"], ...rows])}
`;
}

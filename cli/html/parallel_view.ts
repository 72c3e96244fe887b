/**
 * A plan for several ranks as sections of a page, with the splits that it was chosen among.
 *
 * @module
 */
import type { LinkRates } from "../../planner/links.ts";
import type { ParallelPlan } from "../../planner/parallel.ts";
import type { Splits } from "../../planner/splits.ts";
import { collectiveNotes, collectiveRows, rankRows, splitLine } from "../report/parallel.ts";
import { problemLine } from "../report/plan.ts";
import { splitsNotes, splitsRows } from "../report/splits.ts";
import { type Html, html } from "./html.ts";
import { columns, planView } from "./plan_view.ts";

/** Shows each rank's memory, what ranks tell each other, and what the largest does. */
export function parallelView(plan: ParallelPlan, links: LinkRates | undefined): Html {
  const { problem, largest, collectives, ranks, parallelism } = plan;
  const heads = ["pass", "collective", "of what", "among", "elements", "bytes"];
  const exchanged = [
    [...heads, ...(links ? ["time"] : []), ""],
    ...collectiveRows(plan, links),
  ];
  return html`<p class="question-line">${problemLine({ problem, device: largest.device })}</p>
<p>${splitLine(parallelism)}</p>
${columns("Memory of each rank", rankRows(ranks), (column) => column > 0)}
${
    collectives.length > 0 && html`${
      columns("Collectives", exchanged, (column) => column > 3 && column < exchanged[0]!.length - 1)
    }${collectiveNotes(plan, links).map((note) => html`<p>${note}</p>`)}`
  }
<h3>Rank 0, the largest</h3>
${planView(largest, { part: true })}`;
}

/** Shows every split over so many ranks, the best first, and why the others lost. */
export function splitsView(splits: Splits): Html {
  return html`${
    columns(
      `Every split over ${splits.ranks} ranks`,
      splitsRows(splits),
      (column) => column > 0 && column < 5,
    )
  }${splitsNotes(splits).map((note) => html`<p>${note}</p>`)}`;
}

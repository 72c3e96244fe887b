/**
 * A codebook head beside the weight it stands for, as text and as JSON.
 *
 * @module
 */
import type { Clusters } from "../../kernels/codebook/k_means.ts";
import { type CodebookHead, CodeMap } from "../../planner/heads/codebook.ts";
import { printable } from "../../fixtures/printable.ts";
import { formatBytes } from "../../planner/units.ts";
import { indented, type Layout, table, within } from "./table.ts";

/**
 * Returns what `lce plan --codes --json` says besides the plan over the codes. Sizes are bytes,
 * losses nats.
 */
export function codebookJson({ problem: _, lossFloor, ...head }: CodebookHead) {
  const [least, most] = lossFloor;
  return { codebook: { ...head, lossFloorNats: { least, most } } };
}

/** Returns what a codebook head takes and gives up: name, figure and note. */
export function codebookRows(head: CodebookHead): [string, string, string][] {
  const { codes, codebookBytes, mapBytes, weightBytes, lossFloor: [least, most] } = head;
  const floor = least === most ? least.toFixed(3) : `${least.toFixed(3)} to ${most.toFixed(3)}`;
  const kept = (100 * (codebookBytes + mapBytes)) / weightBytes;
  return [
    ["codes", `${codes}`, ""],
    ["parameters", formatBytes(codebookBytes), `and a map of ${formatBytes(mapBytes)}`],
    ["instead of", formatBytes(weightBytes), `${kept.toPrecision(3)} % of it is left`],
    ["logits", formatBytes(head.codeLogitsBytes), `instead of ${formatBytes(head.logitsBytes)}`],
    ["loss floor", floor, "nats a token, where codes share the ids evenly"],
  ];
}

/** Said above what is planned for such a head. */
export const OVER_CODES = "what follows is over its codes, with log n as bias";

/** Returns the same for people. */
export function codebookText(head: CodebookHead, layout: Layout = {}): string {
  return `codebook: ${OVER_CODES}\n${
    indented(table(codebookRows(head), ["left", "right"], within(layout)))
  }`;
}

/** A codebook that was made, and written. */
export interface MadeCodebook {
  /** The file. */
  readonly path: string;
  /** Name of the weight's tensor. */
  readonly weight: string;
  readonly head: CodebookHead;
  readonly found: Clusters;
}

/**
 * Returns how far codes are from what they stand for: norms of the difference and of the weight.
 */
function relativeError({ squaredError, squares }: Clusters): number {
  return squaredError === 0 ? 0 : Math.sqrt(squaredError / squares);
}

/** Returns the fewest and the most ids of a code that has any, and codes that have none. */
function sharesOf({ map }: Clusters, count: number) {
  const used = new CodeMap(map, count).counts.filter((each) => each > 0).sort();
  return { fewest: used[0]!, most: used.at(-1)!, without: count - used.length };
}

/** Returns what `lce codebook make --json` prints. */
export function madeJson({ path, weight, head, found }: MadeCodebook) {
  const { fewest, most, without } = sharesOf(found, head.codes);
  const { problem: _, lossFloor: __, codeLogitsBytes: ___, logitsBytes: ____, ...sizes } = head;
  return {
    path,
    weight,
    ...sizes,
    relativeError: relativeError(found),
    rounds: found.rounds,
    settled: found.settled,
    reseeded: found.reseeded,
    idsPerCode: { fewest, most },
    codesWithoutIds: without,
  };
}

/** Returns the same for people. */
export function madeText({ path, weight, head, found }: MadeCodebook, layout: Layout = {}): string {
  const { codes, codebookBytes, mapBytes, weightBytes } = head;
  const { fewest, most, without } = sharesOf(found, codes);
  const kept = (100 * (codebookBytes + mapBytes)) / weightBytes;
  const rounds = `${found.rounds} ${found.rounds === 1 ? "round" : "rounds"}`;
  return `Wrote ${path}\n${
    indented(table(
      [
        ["codes", `${codes}`, `for the rows of ${printable(weight)}`],
        ["parameters", formatBytes(codebookBytes), `and a map of ${formatBytes(mapBytes)}`],
        ["instead of", formatBytes(weightBytes), `${kept.toPrecision(3)} % of it is left`],
        ["error", relativeError(found).toPrecision(3), "of the weight's norm"],
        [
          "k-means",
          rounds,
          `${found.settled ? "until no row moved" : "and rows still move: --rounds allows more"}${
            found.reseeded === 0 ? "" : `; ${found.reseeded} codes without rows were put elsewhere`
          }`,
        ],
        [
          "ids per code",
          `${fewest} to ${most}`,
          without === 0 ? "" : `${without} codes have none, for fewer rows differ`,
        ],
      ],
      ["left", "right"],
      within(layout),
    ))
  }`;
}

/**
 * A codebook head beside the weight it stands for, as text and as JSON.
 *
 * @module
 */
import type { CodebookHead } from "../../planner/heads/codebook.ts";
import { formatBytes } from "../../planner/units.ts";
import { indented, type Layout, table, within } from "./table.ts";

/** What `lce plan --codes --json` says besides the plan over the codes. Sizes are bytes, losses nats. */
export function codebookJson({ problem: _, lossFloor, ...head }: CodebookHead) {
  const [least, most] = lossFloor;
  return { codebook: { ...head, lossFloorNats: { least, most } } };
}

/** The same for people. */
export function codebookText(head: CodebookHead, layout: Layout = {}): string {
  const { codes, codebookBytes, mapBytes, weightBytes, lossFloor: [least, most] } = head;
  const floor = least === most ? least.toFixed(3) : `${least.toFixed(3)} to ${most.toFixed(3)}`;
  const kept = (100 * (codebookBytes + mapBytes)) / weightBytes;
  return `codebook: what follows is over its codes, with log n as bias\n${
    indented(table(
      [
        ["codes", `${codes}`, ""],
        ["parameters", formatBytes(codebookBytes), `and a map of ${formatBytes(mapBytes)}`],
        ["instead of", formatBytes(weightBytes), `${kept.toPrecision(3)} % of it is left`],
        [
          "logits",
          formatBytes(head.codeLogitsBytes),
          `instead of ${formatBytes(head.logitsBytes)}`,
        ],
        ["loss floor", floor, "nats a token, where codes share the ids evenly"],
      ],
      ["left", "right"],
      within(layout),
    ))
  }`;
}

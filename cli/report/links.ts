/**
 * What tuning of links found, as text and as JSON.
 *
 * @module
 */
import { COLLECTIVE_KINDS, type LinearTime, type LinkRates } from "../../planner/links.ts";
import { formatBytes, formatCount, formatSeconds } from "../../planner/units.ts";
import type { LinkTuning } from "../bench/tune_links.ts";
import { indented, type Layout, table, within } from "./table.ts";

/** A tuning with what it was made on. */
export interface LinksReport extends LinkTuning {
  readonly hosts: readonly string[];
  readonly ranks: number;
  readonly device: string;
  /** The file that the rates are kept in, if they are. */
  readonly kept: string | undefined;
}

/** The contract of `lce tune --mpi --json`. Sizes are bytes, times seconds. */
export function linksJson({ hosts, ranks, device, rates, timed, staged, kept }: LinksReport) {
  return { hosts, ranks, device, rates, collectives: timed, staging: staged, kept: kept ?? null };
}

/** Names of kinds, for people. */
const KIND_NAMES = {
  allReduce: "all-reduce",
  reduceScatter: "reduce-scatter",
  allGather: "all-gather",
} as const;

/** Returns rates for people: what each kind of collective takes. */
export function linkRows({ within, across, staging }: LinkRates): string[][] {
  const row = (what: string, { seconds, bytesPerSecond }: LinearTime, of: string) => [
    what,
    formatSeconds(seconds),
    of,
    formatCount(bytesPerSecond, "B/s"),
  ];
  const places = [["within a host", within], ["between hosts", across]] as const;
  return [
    ...places.flatMap(([place, link]) =>
      link
        ? COLLECTIVE_KINDS.map((kind) =>
          row(`${KIND_NAMES[kind]} ${place}`, link[kind], "a step, and")
        )
        : []
    ),
    row("device to host, or back", staging, "a tensor, and"),
  ];
}

/** Returns the tuning for people. */
export function linksText(report: LinksReport, layout: Layout = {}): string {
  const { hosts, ranks, device, rates, timed, staged, kept } = report;
  const rows = [
    ...timed.map(({ op, ranks, bytes, seconds }) => [
      op,
      `over ${ranks} ranks`,
      formatBytes(bytes),
      formatSeconds(seconds),
    ]),
    ...staged.map(({ bytes, seconds }) => [
      "device to host",
      "",
      formatBytes(bytes),
      formatSeconds(seconds),
    ]),
  ];
  return [
    `${ranks} ranks on ${hosts.join(", ")}, ${device}`,
    "",
    table(linkRows(rates), ["left", "right", "left", "right"], layout),
    "",
    "measured",
    indented(table(rows, ["left", "left", "right", "right"], within(layout))),
    "",
    kept ? `Kept in ${kept}; lce plan --links auto uses it on these hosts.` : "Not kept.",
  ].join("\n");
}

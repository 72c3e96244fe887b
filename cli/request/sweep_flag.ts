/**
 * Reads `--sweep NAME=FROM..TO`, `NAME=FROM..TO:COUNT` and `NAME=a,b,c`.
 *
 * @module
 */
import { MAX_DIMENSION } from "../../planner/problem.ts";
import {
  type Axis,
  doublings,
  gridSize,
  logSpaced,
  SWEPT,
  type Swept,
} from "../../planner/sweep.ts";
import { parseBytes, parseNumber } from "../../planner/units.ts";
import { UsageError } from "../exit.ts";
import { suggestions } from "./suggest.ts";

/** Most points of one sweep: minutes of planning, and a table longer than anyone reads. */
export const MOST_POINTS = 10_000;

/**
 * Reads every `--sweep` of a command. `flags` are its plain flags, by setting.
 *
 * @throws {UsageError} naming the sweep, the value at fault and what would be right.
 */
export function parseSweeps(texts: readonly string[], flags: Record<string, unknown>): Axis[] {
  const axes = texts.map(parseSweep);
  for (const [index, { name }] of axes.entries()) {
    const text = `--sweep ${texts[index]}`;
    if (flags[name] !== undefined) {
      throw new UsageError(`${text}: --${name} ${flags[name]} is given too; leave one of them out`);
    }
    if (axes.findIndex((axis) => axis.name === name) < index) {
      throw new UsageError(`${text}: ${name} is swept already; give one list or range for each`);
    }
  }
  const points = gridSize(axes);
  if (points > MOST_POINTS) {
    throw new UsageError(
      `--sweep: ${
        axes.map(({ values }) => values.length).join(" x ")
      } = ${points} points, more than ${MOST_POINTS}; take fewer, such as NAME=FROM..TO:10`,
    );
  }
  return axes;
}

/** Reads one sweep. @throws {UsageError} */
function parseSweep(text: string): Axis {
  const fault = (message: string) => new UsageError(`--sweep ${text}: ${message}`);
  const [, name, range] = /^([^=]*)=(.*)$/s.exec(text) ?? [];
  if (name === undefined || range === undefined) {
    throw fault("write NAME=FROM..TO, NAME=FROM..TO:COUNT or NAME=a,b,c, such as tokens=1k..64k");
  }
  if (!(SWEPT as readonly string[]).includes(name)) {
    const near = suggestions(name, SWEPT);
    const hint = near.length ? ` Did you mean ${near.join(" or ")}?` : "";
    throw fault(`"${name}" cannot be swept.${hint} What can: ${SWEPT.join(", ")}.`);
  }
  const swept = name as Swept;
  const number = (part: string) => parseValue(part.trim(), swept, fault);
  const ends = /^(.*?)\.\.([^:]*)(?::(.*))?$/s.exec(range);
  if (!ends) {
    const parts = range.split(",").filter((part) => part.trim() !== "");
    if (parts.length === 0) throw fault("no points; give at least one value");
    return { name: swept, values: [...new Set(parts.map(number))] };
  }
  const [from, to] = [number(ends[1]!), number(ends[2]!)];
  if (from > to) throw fault(`begins at ${from} and ends before, at ${to}; swap them`);
  const count = ends[3] === undefined ? undefined : parseCount(ends[3].trim(), fault);
  const values = count === undefined ? doublings(from, to) : logSpaced(from, to, count);
  return { name: swept, values };
}

type Fault = (message: string) => UsageError;

function parseCount(text: string, fault: Fault): number {
  if (!/^\d+$/.test(text)) throw fault(`"${text}" is no count of points`);
  const count = Number(text);
  if (count === 0) throw fault("no points; the count must be at least 1");
  if (count > MOST_POINTS) throw fault(`${count} points, more than ${MOST_POINTS}`);
  return count;
}

function parseValue(text: string, name: Swept, fault: Fault): number {
  const value = name === "budget" ? read(parseBytes, text, fault) : read(parseNumber, text, fault);
  const most = name === "budget" ? Number.MAX_SAFE_INTEGER : MAX_DIMENSION;
  if (!(Number.isInteger(value) && value >= 1 && value <= most)) {
    throw fault(`${text}: ${name} must be a whole number from 1 to ${most}`);
  }
  return value;
}

function read(parse: (text: string) => number, text: string, fault: Fault): number {
  try {
    return parse(text);
  } catch (error) {
    throw fault((error as Error).message);
  }
}

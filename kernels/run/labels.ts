/**
 * What labels of buffers say: their category first, so that whoever sees a buffer
 * created knows what it is for.
 *
 * @module
 */
import { CATEGORIES, type Category } from "../../planner/schedule/schedule.ts";

/** Returns the label of a buffer: `scratch/logits`. */
export function bufferLabel(category: Category, name: string): string {
  return `${category}/${name}`;
}

/** Returns the category that a label names; what has none counts as scratch. */
export function categoryOf(label: string | undefined): Category {
  const category = label?.split("/")[0];
  return CATEGORIES.find((known) => known === category) ?? "scratch";
}

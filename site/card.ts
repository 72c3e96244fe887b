/// <reference lib="dom" />
/**
 * A result as a picture to send to somebody.
 *
 * @module
 */
import type { Found } from "./here.ts";
import { tellings } from "./run_view.ts";

const SCALE = 2;
const WIDTH = 900;
const LINE = 30;
const LEFT = 24;
/** Where sentences begin. */
const TEXT = 170;
const FONT = 'system-ui, -apple-system, "Segoe UI", Roboto, sans-serif';

/** Draws a run as PNG. */
export async function pngOf(found: Found): Promise<Blob> {
  const lines = tellings(found);
  const { plan, ok } = found.verification;
  const canvas = document.createElement("canvas");
  canvas.width = SCALE * WIDTH;
  canvas.height = SCALE * (LINE * (lines.length + 2) + LEFT);
  const pen = canvas.getContext("2d")!;
  pen.scale(SCALE, SCALE);
  pen.fillStyle = "#ffffff";
  pen.fillRect(0, 0, canvas.width, canvas.height);
  pen.fillStyle = ok ? "#0060a8" : "#b3261e";
  pen.font = `600 20px ${FONT}`;
  pen.fillText(`lce on ${plan.device.name}`, LEFT, LINE + 8, WIDTH - 2 * LEFT);
  for (const [index, [name, text]] of lines.entries()) {
    const y = LINE * (index + 2) + 8;
    pen.fillStyle = "#5a616c";
    pen.font = `15px ${FONT}`;
    pen.fillText(name, LEFT, y);
    pen.fillStyle = "#1c2026";
    pen.fillText(text, TEXT, y, WIDTH - TEXT - LEFT);
  }
  return await new Promise((resolve, reject) =>
    canvas.toBlob((blob) => blob ? resolve(blob) : reject(new Error("No picture could be made")))
  );
}

import assert from "node:assert/strict";
import { SPECIFICATION_DEFAULTS } from "../../planner/device.ts";
import { peakStepOf } from "../../planner/schedule/memory.ts";
import { makePlan } from "../../planner/plan.ts";
import { parseProblem } from "../../planner/problem_schema.ts";
import { lifetimes, visitBuffers } from "../../planner/schedule/schedule.ts";
import { liveBytes, runsOf, tracksOf } from "./profile.ts";
import { assertWithinViewBox, corners, ofClass, parseSvg } from "./testing.ts";
import { timeline } from "./timeline.ts";

const PROBLEMS = [
  { tokens: 300, hidden: 64, vocab: 5000 },
  { tokens: 2048, hidden: 2048, vocab: 128256, pass: "train" },
  { tokens: 65536, hidden: 1024, vocab: 256000, pass: "train", dtype: "bf16" },
] as const;

for (const input of PROBLEMS) {
  const name = `${input.tokens} x ${input.hidden} x ${input.vocab}`;
  const plan = makePlan(parseProblem(input), SPECIFICATION_DEFAULTS, { hostIo: true });
  const { schedule, memory } = plan;
  const peakStep = peakStepOf(schedule);

  Deno.test(`live bytes of ${name} are those of its steps, one by one`, () => {
    const lives = lifetimes(schedule);
    const changes = liveBytes(schedule.buffers, lives);
    const at = (step: number) => changes.findLast((change) => change.step <= step)!.bytes;
    assert.equal(Math.max(...changes.map(({ bytes }) => bytes)), memory.peakBytes);
    assert.equal(at(peakStep), memory.peakBytes);
    assert.equal(changes.at(-1)!.bytes, 0);
    const bytes = new Map(schedule.buffers.map((buffer) => [buffer.name, buffer.bytes]));
    schedule.steps.forEach((step, index) => {
      const used = new Set<string>();
      visitBuffers(step, (buffer) => used.add(buffer));
      const least = [...used].reduce((sum, buffer) => sum + bytes.get(buffer)!, 0);
      assert(at(index) >= least, `step ${index}`);
    });
  });

  Deno.test(`tracks of ${name} hold every buffer once`, () => {
    const tracks = tracksOf(schedule);
    const total = schedule.buffers.reduce((sum, { bytes }) => sum + bytes, 0);
    assert.equal(tracks.reduce((sum, { bytes }) => sum + bytes, 0), total);
    assert.equal(tracks.reduce((sum, { buffers }) => sum + buffers, 0), schedule.buffers.length);
    assert(tracks.every(({ peakBytes, bytes }) => peakBytes <= bytes));
  });

  Deno.test(`the timeline of ${name} shows every track, the peak where it is, within its view box`, () => {
    const source = timeline(plan);
    const root = parseSvg(source);
    assertWithinViewBox(root);
    const shown = ofClass(root, "track").map(({ attributes }) => attributes["data-name"]);
    assert.deepEqual(shown, tracksOf(schedule).map(({ name }) => name));
    const words = ofClass(root, "peak")[0]!.children.find(({ name }) => name === "text")!.text;
    assert(words.includes(`(${memory.peakBytes} bytes) at step ${peakStep}`), words);
    const heights = corners(ofClass(root, "total")[0]!).map(([, y]) => y);
    const mark = Number(
      ofClass(root, "peak")[0]!.children.find(({ name }) => name === "line")!.attributes.x1,
    );
    // The outline is highest over the peak's step.
    const top = Math.min(...heights);
    const at = corners(ofClass(root, "total")[0]!).filter(([, y]) => y === top);
    assert(at[0]![0] <= mark + 0.1 && at.at(-1)![0] >= mark - 0.1);
    assert(source.length < 300_000, `${source.length} characters`);
  });

  Deno.test(`runs of ${name} are all its steps, in order`, () => {
    let next = 0;
    for (const { first, end } of runsOf(schedule)) {
      assert.equal(first, next);
      assert(end > first);
      next = end;
    }
    assert.equal(next, schedule.steps.length);
  });
}

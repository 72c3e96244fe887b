import assert from "node:assert/strict";
import { shown } from "./shown.ts";

Deno.test("values are shown as JSON, numbers by name, and long ones cut", () => {
  assert.equal(shown("a\nb"), '"a\\nb"');
  assert.equal(shown(Infinity), "Infinity");
  assert.equal(shown(-3.5), "-3.5");
  assert.equal(shown(undefined), "undefined");
  assert.equal(shown({ a: [1, null] }), '{"a":[1,null]}');
  assert.equal(shown("x".repeat(100)), `"${"x".repeat(79)}...`);
  const loop: unknown[] = [];
  loop.push(loop);
  assert.equal(shown(loop), "a value that holds itself");
});

import assert from "node:assert/strict";
import { HostAccount } from "./account.ts";
import { arraySink } from "./sink.ts";
import { blocksOf, generatedSource, rangeOf, readAll, readRange, sourceOf } from "./source.ts";

/** Bytes whose value says where they are. */
const counted = (count: number) => Uint8Array.from({ length: count }, (_, at) => at % 251);
const generated = (count: number) =>
  generatedSource(count, (offset, into) => {
    for (let at = 0; at < into.length; at++) into[at] = (offset + at) % 251;
  });

Deno.test("an array and a generator give the same ranges, the array without a copy", async () => {
  const array = counted(1000);
  for (const [offset, length] of [[0, 1000], [7, 13], [999, 1], [1000, 0]] as const) {
    const view = await readRange(array, offset, length);
    assert.equal(view.buffer, array.buffer);
    assert.deepEqual(view, array.slice(offset, offset + length));
    const into = new Uint8Array(length);
    assert.equal(await readRange(generated(1000), offset, length, into), into);
    assert.deepEqual(into, array.slice(offset, offset + length));
  }
  assert.deepEqual(await readAll(generated(1000)), array);
  assert.deepEqual([sourceOf(array).heldBytes, generated(1000).heldBytes], [1000, 0]);
});

Deno.test("a range of a tensor is a tensor", async () => {
  for (const tensor of [counted(100), generated(100)]) {
    const range = rangeOf(tensor, 30, 40);
    assert.equal(sourceOf(range).bytes, 40);
    assert.deepEqual([...await readRange(range, 5, 3)], [35, 36, 37]);
    await assert.rejects(readRange(range, 38, 3), /Bytes 38 to 41 of a tensor that has 40/);
  }
});

Deno.test("a source that gives less than it is asked for is found out", async () => {
  const short = { ...generated(10), read: () => Promise.resolve(new Uint8Array(3)) };
  await assert.rejects(readRange(short, 2, 4), {
    name: "SourceError",
    message: "A source gave 3 bytes from 2 on, not 4",
  });
});

Deno.test("blocks are all of a tensor, in whole units, in one piece of memory", async () => {
  const size = 9 * 2 ** 20 + 12;
  for (const tensor of [counted(size), generated(size)]) {
    let at = 0;
    const memory = new Set<ArrayBufferLike>();
    for await (const { offset, bytes } of blocksOf(tensor, 12)) {
      assert.equal(offset, at);
      assert.equal(offset % 12, 0);
      assert(bytes.length <= 4 * 2 ** 20);
      assert.equal(bytes.at(-1), (offset + bytes.length - 1) % 251);
      memory.add(bytes.buffer);
      at += bytes.length;
    }
    assert.equal(at, size);
    assert.equal(memory.size, 1);
  }
});

Deno.test("an array takes what is written where it belongs", async () => {
  const array = new Uint8Array(6);
  await arraySink(array).write(2, Uint8Array.of(7, 8));
  assert.deepEqual([...array], [0, 0, 7, 8, 0, 0]);
});

Deno.test("an account has the most that is in use at once", () => {
  const account = new HostAccount();
  assert.equal(account.allocate(10).length, 10);
  account.hold(5);
  account.release(10);
  account.hold(7);
  assert.deepEqual([account.liveBytes, account.peakBytes], [12, 15]);
});

/**
 * Files of strangers: some thousand hostile ones for each reader. `bench/fuzz.ts` tries
 * as many as there is time for.
 */
import assert from "node:assert/strict";
import fc from "fast-check";
import { beginHunt, hunt, tryFile } from "../bench/fuzz/hunt.ts";
import { openReaders, type Reader } from "../bench/fuzz/readers.ts";
import { withFolder } from "../fixtures/testing.ts";

/** Hostile files for each reader. */
const INPUTS = 400;

/** Gives a test the readers and a folder of good files. */
function withReaders(use: (reader: Reader, folder: string) => Promise<void>): Promise<void> {
  return withFolder(async (folder) => {
    for (const reader of await openReaders(folder)) await use(reader, folder);
  });
}

Deno.test("the files that hostile ones are made of are good", () =>
  withReaders(async (reader, folder) => {
    const record = beginHunt(reader);
    for (const seed of reader.seeds) await tryFile(reader, folder, record, seed);
    assert.deepEqual([record.readGood, record.faults], [reader.seeds.length, []], reader.name);
  }));

Deno.test("a hostile file is refused as its owner's mistake, in little time and memory", () =>
  withReaders(async (reader, folder) => {
    const record = beginHunt(reader);
    await hunt(reader, folder, record, { seed: 13, count: INPUTS });
    assert.deepEqual(record.faults.map(({ what }) => what), [], reader.name);
    assert(record.messages.size > 3, `${reader.name}: ${[...record.messages].join("; ")}`);
  }));

/** A header's entry, near enough to a good one to get past the first checks. */
const entry = fc.record({
  dtype: fc.constantFrom("F32", "BF16", "I64", "BOOL", "F4", "toString", "f32"),
  shape: fc.array(fc.oneof(fc.nat(8), fc.maxSafeNat(), fc.double()), { maxLength: 9 }),
  data_offsets: fc.array(fc.oneof(fc.nat(200), fc.maxSafeNat(), fc.integer()), { maxLength: 3 }),
}, { requiredKeys: [] });

/** Bytes that are any header with any data behind it, and bytes that are nothing. */
const safetensors = fc.oneof(
  fc.uint8Array({ maxLength: 64 }),
  fc.tuple(
    fc.oneof(fc.dictionary(fc.oneof(fc.string(), fc.constant("weight")), entry), fc.jsonValue()),
    fc.uint8Array({ maxLength: 64 }),
  ).map(([header, data]) => {
    const json = new TextEncoder().encode(JSON.stringify(header));
    const bytes = new Uint8Array(8 + json.length + data.length);
    new DataView(bytes.buffer).setBigUint64(0, BigInt(json.length), true);
    bytes.set(json, 8);
    bytes.set(data, 8 + json.length);
    return bytes;
  }),
);

/** Text of any kind: JSON of any shape, settings of any value, lines of any sort. */
const text = fc.oneof(
  fc.json(),
  fc.string({ unit: "binary", maxLength: 200 }),
  fc.dictionary(
    fc.constantFrom("vocab", "hidden", "vocab_size", "hidden_size", "model_type", "weight_map"),
    fc.jsonValue(),
  ).map((value) => JSON.stringify(value)),
  fc.array(fc.tuple(fc.constantFrom("vocab", "name", "limits", "device"), fc.string()))
    .map((lines) => lines.map(([key, value]) => `${key}: ${value}\n`).join("")),
).map((text) => new TextEncoder().encode(text));

Deno.test("so is any file that fast-check can think of", () =>
  withReaders(async (reader, folder) => {
    const record = beginHunt(reader);
    const files = { safetensors, text, npy: fc.uint8Array({ maxLength: 200 }) };
    await fc.assert(
      fc.asyncProperty(files[reader.kind], async (bytes) => {
        await tryFile(reader, folder, record, bytes);
        assert.deepEqual(record.faults, [], reader.name);
      }),
      { seed: 7, numRuns: 150 },
    );
  }));

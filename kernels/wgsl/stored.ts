/**
 * Reading stored matrices: four consecutive elements of a row as a
 * `vec4<f32>`, whatever the storage type and however the rows are aligned.
 *
 * @module
 */
import type { Dtype } from "../../planner/dtype.ts";
import type { Head } from "../../planner/problem.ts";
import { takesHalves, type Tile, VECTOR } from "../../planner/schedule/tile.ts";
import { plus, scaled, times } from "./text.ts";

/** Rows of a stored matrix: how wide they are, and of what. */
export type StoredRows = Pick<Head, "hidden" | "dtype">;

/**
 * Returns the WGSL element type of a stored `[rows, columns]` matrix, for a tile's kernels. Rows
 * whose length is a multiple of four are read a vector at a time; others, which start anywhere in a
 * word, element by element.
 */
export function storedType({ hidden, dtype }: StoredRows, tile: Tile): string {
  if (takesHalves(tile)) return "vec4<u32>";
  const vectors = hidden % 4 === 0;
  if (dtype === "f32") return vectors ? "vec4<f32>" : "f32";
  return vectors ? "vec2<u32>" : "u32";
}

/** Returns two elements of 16 bits from one word, as f32: exact in both types. */
function unpackPair(dtype: Exclude<Dtype, "f32">, word: string): string {
  return dtype === "f16"
    ? `unpack2x16float(${word})`
    : `vec2<f32>(bitcast<f32>(${word} << 16u), bitcast<f32>(${word} & 0xffff0000u))`;
}

/**
 * Returns a function `load_SLOT(row, vector)` that gives the elements of a vector of a row, as a
 * tile's operands are loaded, zeros past its end. `reach` is what readers go through a row in steps
 * of: where it divides the row, none ever gets past its end.
 */
export function loadVector(slot: string, rows: StoredRows, tile: Tile, reach: number): string {
  return takesHalves(tile) ? loadOctet(slot, rows, reach) : loadQuad(slot, rows, reach);
}

/** Returns eight elements of 16 bits as they are: rows are made of whole vectors. */
function loadOctet(slot: string, { hidden }: StoredRows, reach: number): string {
  const vectors = hidden / VECTOR;
  const guarded = hidden % reach !== 0;
  const at = `${slot}[${scaled("row", vectors)} + ${
    guarded ? `min(vector, ${vectors - 1}u)` : "vector"
  }]`;
  return `// Eight elements of a row of ${slot}, from a multiple of eight on, as they are stored.
fn load_${slot}(row: u32, vector: u32) -> vec4<u32> {
  return ${guarded ? `select(vec4<u32>(), ${at}, vector < ${vectors}u)` : at};
}`;
}

/** Returns four elements as f32. */
function loadQuad(slot: string, { hidden, dtype }: StoredRows, reach: number): string {
  // No branches: loads inside branches cannot be in flight together, and software devices take
  // minutes to compile them.
  const header = `// Four elements of a row of ${slot}, from a multiple of four on.
fn load_${slot}(row: u32, quad: u32) -> vec4<f32> {`;
  if (hidden % 4 === 0) {
    const quads = hidden / 4;
    const guarded = hidden % reach !== 0;
    const at = `${slot}[${scaled("row", quads)} + ${
      guarded ? `min(quad, ${quads - 1}u)` : "quad"
    }]`;
    const value = dtype === "f32"
      ? "words"
      : `vec4<f32>(${unpackPair(dtype, "words.x")}, ${unpackPair(dtype, "words.y")})`;
    if (!guarded && dtype === "f32") return `${header}\n  return ${at};\n}`;
    return `${header}
  let words = ${at};
  return ${guarded ? `select(vec4<f32>(), ${value}, quad < ${quads}u)` : value};
}`;
  }
  const [unpack, element] = dtype === "f32" ? ["", `${slot}[index]`] : [
    `  let word = ${slot}[index >> 1u];\n  let pair = ${unpackPair(dtype, "word")};\n`,
    "select(pair.x, pair.y, (index & 1u) == 1u)",
  ];
  return `// An element of a row of ${slot}, zero past its end.
fn element_of_${slot}(row: u32, column: u32) -> f32 {
  let index = row * ${hidden}u + min(column, ${hidden - 1}u);
${unpack}  return select(0f, ${element}, column < ${hidden}u);
}

${header}
  return vec4<f32>(
    ${times(4, (i) => `element_of_${slot}(row, ${plus("quad * 4u", i)}),`).join("\n    ")}
  );
}`;
}

/**
 * Params: what differs from dispatch to dispatch of one kernel. Their order in
 * the uniform buffer, the bytes they take, the key that tells them apart and the
 * struct in the kernels' text all follow from one list of fields.
 *
 * @module
 */

/** Values that differ from dispatch to dispatch of one kernel; they travel in the uniform buffer. */
export interface Params {
  /** First row of the token block. */
  readonly tokenStart: number;
  /** Rows of the token block, ignored tokens included. */
  readonly tokens: number;
  /** Index of the token block, from 0. */
  readonly block: number;
  /** First vocabulary id of the window, counted from the first of the whole vocabulary. */
  readonly vocabStart: number;
  /** Vocabulary ids in the window. */
  readonly vocab: number;
  /** Column of the logit matrix that holds the window's first id. */
  readonly column: number;
  /** Vocabulary tiles before the window's first. */
  readonly vocabTile: number;
  /** 1 where results start afresh, 0 where they add to what the buffer holds. */
  readonly first: 0 | 1;
}

/** The fields in their order in the uniform buffer, one u32 each, and what readers of a kernel are told of them. */
export const PARAM_MEANINGS: Readonly<Record<keyof Params, string>> = {
  tokenStart: "First row of the token block.",
  tokens: "Rows of the token block, ignored tokens included.",
  block: "Index of the token block.",
  vocabStart: "First vocabulary id of the window.",
  vocab: "Vocabulary ids in the window.",
  column: "Column of the logit matrix that holds the window's first id.",
  vocabTile: "Vocabulary tiles before the window's first.",
  first: "1 where results start afresh, 0 where they add to what the buffer holds.",
};

/** Names of the fields, in their order. */
export const PARAM_FIELDS = Object.keys(PARAM_MEANINGS) as readonly (keyof Params)[];

/** Bytes of one dispatch's params: the fields and a NaN, in whole vec4s, as uniform structs are. */
export const PARAMS_BYTES = 16 * Math.ceil((PARAM_FIELDS.length + 1) / 4);

/** Tells params apart: two that have the same key are the same. */
export function paramsKey(params: Params): string {
  return PARAM_FIELDS.map((field) => params[field]).join(" ");
}

/**
 * Returns the params as the words of the uniform buffer. After them comes a NaN, which WGSL cannot
 * write.
 */
export function packParams(params: Params): Uint32Array<ArrayBuffer> {
  const QUIET_NAN = 0x7fc00000;
  const words = new Uint32Array(PARAMS_BYTES / 4);
  words.set([...PARAM_FIELDS.map((field) => params[field]), QUIET_NAN]);
  return words;
}

/**
 * The kernels of a small transformer, forward and backward: text of WGSL, with sizes as constants.
 * Each binds its arguments in the order of their names, `read` ones first where nothing else is
 * said. They are plain, not fast: what is measured here is memory.
 *
 * @module
 */

/** A kernel, and how many workgroups it takes. */
export interface Kernel {
  readonly code: string;
  readonly grid: readonly [number, number];
}

/** Invocations of a workgroup that goes through a list. */
const LANES = 64;
/** Workgroups that a grid may have in one dimension, on every device. */
const MOST_GROUPS = 65535;
/** Rows and columns of a tile of a product. */
const TILE = 16;

/** A slot of a kernel: its name, and whether it is written. */
type Slot = string | { readonly written: string; readonly type?: string };

function bindings(slots: readonly Slot[], types: Readonly<Record<string, string>> = {}): string {
  return slots.map((slot, index) => {
    const [name, access] = typeof slot === "string" ? [slot, "read"] : [slot.written, "read_write"];
    return `@group(0) @binding(${index}) var<storage, ${access}> ${name}: array<${
      types[name] ?? "f32"
    }>;`;
  }).join("\n");
}

/** A kernel with an invocation, `at`, for each of `count` things. */
function each(
  count: number,
  slots: readonly Slot[],
  body: string,
  types: Readonly<Record<string, string>> = {},
): Kernel {
  const groups = Math.ceil(count / LANES);
  return {
    grid: [Math.min(groups, MOST_GROUPS), Math.ceil(groups / MOST_GROUPS)],
    code: `${bindings(slots, types)}
@compute @workgroup_size(${LANES})
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  let at = (group.y * ${MOST_GROUPS}u + group.x) * ${LANES}u + lane;
  if (at >= ${count}u) {
    return;
  }
${body}
}`,
  };
}

/** A product of matrices, `[rows, depth]` times `[depth, columns]`. */
export interface Product {
  readonly rows: number;
  readonly columns: number;
  readonly depth: number;
  /** Whether the left operand is stored as `[depth, rows]`, the right one as `[columns, depth]`. */
  readonly transposed?: "left" | "right";
  /** Whether it is added to what is there. */
  readonly add?: boolean;
}

/** `left, right -> result`. */
export function product({ rows, columns, depth, transposed, add = false }: Product): Kernel {
  const left = transposed === "left" ? `k * ${rows}u + row` : `row * ${depth}u + k`;
  const right = transposed === "right" ? `column * ${depth}u + k` : `k * ${columns}u + column`;
  return {
    grid: [Math.ceil(columns / TILE), Math.ceil(rows / TILE)],
    code: `${bindings(["left", "right", { written: "result" }])}
var<workgroup> lefts: array<array<f32, ${TILE}>, ${TILE}>;
var<workgroup> rights: array<array<f32, ${TILE}>, ${TILE}>;

fn left_at(row: u32, k: u32) -> f32 {
  if (row < ${rows}u && k < ${depth}u) {
    return left[${left}];
  }
  return 0f;
}

fn right_at(k: u32, column: u32) -> f32 {
  if (k < ${depth}u && column < ${columns}u) {
    return right[${right}];
  }
  return 0f;
}

@compute @workgroup_size(${TILE}, ${TILE})
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_id) local: vec3<u32>) {
  let row = group.y * ${TILE}u + local.y;
  let column = group.x * ${TILE}u + local.x;
  var sum = 0f;
  for (var start = 0u; start < ${depth}u; start += ${TILE}u) {
    lefts[local.y][local.x] = left_at(row, start + local.x);
    rights[local.y][local.x] = right_at(start + local.y, column);
    workgroupBarrier();
    for (var k = 0u; k < ${TILE}u; k++) {
      sum += lefts[local.y][k] * rights[k][local.x];
    }
    workgroupBarrier();
  }
  if (row < ${rows}u && column < ${columns}u) {
    result[row * ${columns}u + column] ${add ? "+=" : "="} sum;
  }
}`,
  };
}

/** Sizes that kernels about tokens have: `batch` sequences of `context` tokens each. */
export interface TokenSizes {
  readonly batch: number;
  readonly context: number;
  readonly hidden: number;
  readonly heads: number;
}

/**
 * `text, clock -> ids, targets`: sequences that begin anywhere in the text, by a hash (PCG) of the
 * step's number; each token's target is the one behind it.
 */
export function drawBatch({ batch, context }: TokenSizes, length: number): Kernel {
  return each(
    batch * context,
    ["text", "clock", { written: "ids" }, { written: "targets" }],
    `  var state = (clock[0] * ${batch}u + at / ${context}u) * 747796405u + 2891336453u;
  state = ((state >> ((state >> 28u) + 4u)) ^ state) * 277803737u;
  let start = ((state >> 22u) ^ state) % ${length - context}u;
  ids[at] = text[start + at % ${context}u];
  targets[at] = text[start + at % ${context}u + 1u];`,
    { text: "u32", clock: "u32", ids: "u32", targets: "u32" },
  );
}

/** `ids, embedding, positions -> stream`. */
export function embed({ batch, context, hidden }: TokenSizes): Kernel {
  return each(
    batch * context * hidden,
    ["ids", "embedding", "positions", { written: "stream" }],
    `  let token = at / ${hidden}u;
  let column = at % ${hidden}u;
  stream[at] = embedding[ids[token] * ${hidden}u + column] +
    positions[(token % ${context}u) * ${hidden}u + column];`,
    { ids: "u32" },
  );
}

/**
 * `ids, d_stream -> d_embedding`, which is added to: it has the output layer's part already. A
 * column for each invocation, so that no two add to the same number.
 */
export function embedGradient({ batch, context, hidden }: TokenSizes): Kernel {
  return each(
    hidden,
    ["ids", "d_stream", { written: "d_embedding" }],
    `  for (var token = 0u; token < ${batch * context}u; token++) {
    d_embedding[ids[token] * ${hidden}u + at] += d_stream[token * ${hidden}u + at];
  }`,
    { ids: "u32" },
  );
}

/** `d_stream -> d_positions`. */
export function positionsGradient({ batch, context, hidden }: TokenSizes): Kernel {
  return each(
    context * hidden,
    ["d_stream", { written: "d_positions" }],
    `  var sum = 0f;
  for (var sequence = 0u; sequence < ${batch}u; sequence++) {
    sum += d_stream[sequence * ${context * hidden}u + at];
  }
  d_positions[at] = sum;`,
  );
}

/** `stream -> normed, scales`: each token's row divided by its root mean square. */
export function normalize({ batch, context, hidden }: TokenSizes): Kernel {
  return each(
    batch * context,
    ["stream", { written: "normed" }, { written: "scales" }],
    `  var squares = 0f;
  for (var column = 0u; column < ${hidden}u; column++) {
    let x = stream[at * ${hidden}u + column];
    squares += x * x;
  }
  let scale = inverseSqrt(squares / ${hidden}f + 1e-6f);
  scales[at] = scale;
  for (var column = 0u; column < ${hidden}u; column++) {
    normed[at * ${hidden}u + column] = scale * stream[at * ${hidden}u + column];
  }`,
  );
}

/** `d_normed, normed, scales -> d_stream`: `s (dy - y mean(dy y))`. */
export function normalizeGradient(
  { batch, context, hidden }: TokenSizes,
  { add }: { readonly add: boolean },
): Kernel {
  return each(
    batch * context,
    ["d_normed", "normed", "scales", { written: "d_stream" }],
    `  var inner = 0f;
  for (var column = 0u; column < ${hidden}u; column++) {
    inner += d_normed[at * ${hidden}u + column] * normed[at * ${hidden}u + column];
  }
  inner /= ${hidden}f;
  for (var column = 0u; column < ${hidden}u; column++) {
    let i = at * ${hidden}u + column;
    d_stream[i] ${add ? "+=" : "="} scales[at] * (d_normed[i] - normed[i] * inner);
  }`,
  );
}

/** Where query, key and value of a head lie in the rows of `qkv`. */
function ofHeads({ context, hidden, heads }: TokenSizes): string {
  const size = hidden / heads;
  return `  let head = at / ${context}u % ${heads}u;
  let first = at / ${context * heads}u * ${context}u;
  let mine = at % ${context}u;
  let q = head * ${size}u;
  let k = q + ${hidden}u;
  let v = k + ${hidden}u;`;
}

/** `qkv -> chances, mixed`: causal attention, an invocation for each sequence, head and query. */
export function attend(sizes: TokenSizes): Kernel {
  const { batch, context, hidden, heads } = sizes;
  const [size, row] = [hidden / heads, 3 * hidden];
  return each(
    batch * heads * context,
    ["qkv", { written: "chances" }, { written: "mixed" }],
    `${ofHeads(sizes)}
  var largest = -1e30f;
  for (var other = 0u; other <= mine; other++) {
    var score = 0f;
    for (var i = 0u; i < ${size}u; i++) {
      score += qkv[(first + mine) * ${row}u + q + i] * qkv[(first + other) * ${row}u + k + i];
    }
    score *= ${1 / Math.sqrt(size)}f;
    chances[at * ${context}u + other] = score;
    largest = max(largest, score);
  }
  var sum = 0f;
  for (var other = 0u; other <= mine; other++) {
    let chance = exp(chances[at * ${context}u + other] - largest);
    chances[at * ${context}u + other] = chance;
    sum += chance;
  }
  for (var other = 0u; other < ${context}u; other++) {
    let i = at * ${context}u + other;
    chances[i] = select(0f, chances[i] / sum, other <= mine);
  }
  for (var i = 0u; i < ${size}u; i++) {
    var mix = 0f;
    for (var other = 0u; other <= mine; other++) {
      mix += chances[at * ${context}u + other] * qkv[(first + other) * ${row}u + v + i];
    }
    mixed[(first + mine) * ${hidden}u + q + i] = mix;
  }`,
  );
}

/** `d_mixed, qkv, chances -> d_scores, d_qkv`: those of the queries. */
export function attendGradientOfQueries(sizes: TokenSizes): Kernel {
  const { batch, context, hidden, heads } = sizes;
  const [size, row] = [hidden / heads, 3 * hidden];
  return each(
    batch * heads * context,
    ["d_mixed", "qkv", "chances", { written: "d_scores" }, { written: "d_qkv" }],
    `${ofHeads(sizes)}
  var inner = 0f;
  for (var other = 0u; other <= mine; other++) {
    var d_chance = 0f;
    for (var i = 0u; i < ${size}u; i++) {
      d_chance += d_mixed[(first + mine) * ${hidden}u + q + i] *
        qkv[(first + other) * ${row}u + v + i];
    }
    d_scores[at * ${context}u + other] = d_chance;
    inner += chances[at * ${context}u + other] * d_chance;
  }
  for (var other = 0u; other < ${context}u; other++) {
    let i = at * ${context}u + other;
    d_scores[i] = select(0f, chances[i] * (d_scores[i] - inner), other <= mine);
  }
  for (var i = 0u; i < ${size}u; i++) {
    var sum = 0f;
    for (var other = 0u; other <= mine; other++) {
      sum += d_scores[at * ${context}u + other] * qkv[(first + other) * ${row}u + k + i];
    }
    d_qkv[(first + mine) * ${row}u + q + i] = ${1 / Math.sqrt(size)}f * sum;
  }`,
  );
}

/** `d_mixed, qkv, chances, d_scores -> d_qkv`: those of keys and values. */
export function attendGradientOfKeys(sizes: TokenSizes): Kernel {
  const { batch, context, hidden, heads } = sizes;
  const [size, row] = [hidden / heads, 3 * hidden];
  return each(
    batch * heads * context,
    ["d_mixed", "qkv", "chances", "d_scores", { written: "d_qkv" }],
    `${ofHeads(sizes)}
  let rows = at - mine;
  for (var i = 0u; i < ${size}u; i++) {
    var d_key = 0f;
    var d_value = 0f;
    for (var query = mine; query < ${context}u; query++) {
      let score = (rows + query) * ${context}u + mine;
      d_key += d_scores[score] * qkv[(first + query) * ${row}u + q + i];
      d_value += chances[score] * d_mixed[(first + query) * ${hidden}u + q + i];
    }
    d_qkv[(first + mine) * ${row}u + k + i] = ${1 / Math.sqrt(size)}f * d_key;
    d_qkv[(first + mine) * ${row}u + v + i] = d_value;
  }`,
  );
}

/** `wide -> activated`: `x sigmoid(x)`. */
export function activate(count: number): Kernel {
  return each(
    count,
    ["wide", { written: "activated" }],
    `  activated[at] = wide[at] / (1f + exp(-wide[at]));`,
  );
}

/** `wide -> d_wide`, in place of the gradient by what `activate` gave. */
export function activateGradient(count: number): Kernel {
  return each(
    count,
    ["wide", { written: "d_wide" }],
    `  let chance = 1f / (1f + exp(-wide[at]));
  d_wide[at] *= chance * (1f + wide[at] * (1f - chance));`,
  );
}

/** `gradients, clock -> parameters, means, squares`: Adam (arXiv 1412.6980). */
export function adam(count: number, rate: number): Kernel {
  return each(
    count,
    ["gradients", "clock", { written: "parameters" }, { written: "means" }, {
      written: "squares",
    }],
    `  let time = f32(clock[0] + 1u);
  let gradient = gradients[at];
  means[at] = 0.9f * means[at] + 0.1f * gradient;
  squares[at] = 0.99f * squares[at] + 0.01f * gradient * gradient;
  let mean = means[at] / (1f - pow(0.9f, time));
  let square = squares[at] / (1f - pow(0.99f, time));
  parameters[at] -= ${rate}f * mean / (sqrt(square) + 1e-8f);`,
    { clock: "u32" },
  );
}

/** `-> clock`: one step more. */
export function tick(): Kernel {
  return each(1, [{ written: "clock" }], `  clock[0] += 1u;`, { clock: "u32" });
}

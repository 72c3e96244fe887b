/**
 * The WGSL of a product on subgroup matrices, written from a variant: tile, subgroups, packing,
 * copies, epilogue, and a stage to leave out. Used by the probe beside it.
 *
 * @module
 */

/** Where an operand's panels begin and how wide a row of them is: `[panel][block][row][column]`. */
export interface Packing {
  /** Rows of a panel. */
  readonly rows: number;
  /** Columns of a block: one row of it is contiguous. */
  readonly width: number;
}

export type Product = "forward" | "weight-gradient" | "hidden-gradient";

export interface Variant {
  readonly product?: Product;
  /** Rows and columns of results a workgroup computes at a time, and the depth of one step. */
  readonly tile: readonly [number, number, number];
  /** Subgroups along the tile's rows and along its columns. */
  readonly subgroups: readonly [number, number];
  /** Columns of one result matrix; rows and depth are 16. */
  readonly columns?: 8 | 16;
  /** The operand's matrices come from a copy in workgroup memory, or from its 16 x 16 blocks. */
  readonly left?: "staged" | "direct";
  readonly right?: "staged" | "direct";
  /** False: rows as a checkpoint has them. */
  readonly packed?: boolean;
  /** Columns of a block of the panels, where not those of a step; a step then takes several. */
  readonly slice?: number;
  readonly buffers?: 1 | 2;
  /** When a step's global loads are issued: at its start, a step ahead, or halfway a step ahead. */
  readonly copy?: "inside" | "early" | "ahead" | "halfway" | "two ahead";
  /** False: lane `n` of a copy takes vector `n`, whose stores meet in the banks. */
  readonly shuffle?: boolean;
  readonly access?: "read" | "read_write";
  /** Vocabulary windows: one workgroup goes through one window of one tile of tokens. */
  readonly windows?: number;
  /** Token tiles that run side by side before the next window begins. */
  readonly group?: number;
  /**
   * As many pairs of workgroups as this stay for the whole product; those of a pair, numbered
   * `n` and `n + apart`, take neighbouring token tiles of one window.
   */
  readonly pairs?: number;
  readonly apart?: number;
  /** Rows of 16 results a round of the epilogue takes; the layout of its rows. */
  readonly round?: number;
  readonly epilogue?: "skewed" | "plain" | "pingpong";
  /** Whether a gradient is added to what its place holds: sums begin with that, loaded as matrices. */
  readonly adds?: boolean;
  /** Rows of the vocabulary that a gradient's window has, where not those of the probe. */
  readonly ids?: number;
  /** Bytes of workgroup memory the kernel declares beyond what it uses. */
  readonly ballast?: number;
  readonly without?:
    | "epilogue"
    | "multiplications"
    | "copies"
    | "loads"
    | "global loads"
    | "token tiles";
}

export interface Shape {
  readonly tokens: number;
  readonly hidden: number;
  readonly vocab: number;
}

/** Rows, columns and depth of a product, and which of its operands keep depth in their rows. */
interface Sides {
  readonly rows: number;
  readonly columns: number;
  readonly depth: number;
  readonly leftAcross: boolean;
  readonly rightAcross: boolean;
}

export const VECTOR = 8; // f16 values in a vec4<u32>, what one load or store moves

export function sides(product: Product, { tokens, hidden, vocab }: Shape): Sides {
  switch (product) {
    case "forward": // Z = H W^T: both operands keep the depth in their rows
      return {
        rows: tokens,
        columns: vocab,
        depth: hidden,
        leftAcross: false,
        rightAcross: false,
      };
    case "weight-gradient": // dW = dZ^T H: both keep the depth (tokens) in their columns
      return {
        rows: vocab,
        columns: hidden,
        depth: tokens,
        leftAcross: true,
        rightAcross: true,
      };
    case "hidden-gradient": // dH = dZ W: dZ keeps the depth (vocabulary) in rows, W in columns
      return {
        rows: tokens,
        columns: hidden,
        depth: vocab,
        leftAcross: false,
        rightAcross: true,
      };
  }
}

/** The depth in whole steps: packing writes zeros behind the last column. */
export function paddedDepth(v: Variant, s: Sides): number {
  return Math.ceil(s.depth / v.tile[2]) * v.tile[2];
}

/** Rows of a panel and the width of its blocks, for each operand of a variant. */
export function packing(v: Variant, shape: Shape): { left: Packing; right: Packing } {
  const s = sides(v.product ?? "forward", shape);
  const [rows, columns, depth] = v.tile;
  const one = (direct: boolean, across: boolean, tile: number, length: number): Packing => {
    if (direct) return { rows: 16, width: 16 };
    if (v.packed === false) return { rows: 1, width: length };
    // Across: the panels the forward pass made of the same matrix, 128 rows and 32 columns a block.
    return across ? { rows: 128, width: 32 } : { rows: tile, width: v.slice ?? depth };
  };
  return {
    left: one(v.left === "direct", s.leftAcross, rows, s.leftAcross ? s.rows : s.depth),
    right: one(v.right === "direct", s.rightAcross, columns, s.rightAcross ? s.columns : s.depth),
  };
}

/** One operand's part of the kernel: where its tile lies globally, in workgroup memory, in matrices. */
class Operand {
  readonly count: number;
  readonly stride: number;
  readonly size: number;
  readonly direct: boolean;

  constructor(
    readonly name: "a" | "b",
    readonly source: string,
    readonly across: boolean,
    readonly tile: number,
    readonly step: number,
    readonly pack: Packing,
    /** Columns of the matrix as it is stored. */
    readonly length: number,
    readonly threads: number,
    direct: boolean,
    /** Rows (left) or columns (right) of one matrix. */
    readonly fragment: number,
  ) {
    this.direct = direct;
    const contiguous = across ? tile : step;
    this.stride = contiguous / VECTOR + 1; // 16 bytes of skew: no two of 8 rows share a bank
    this.size = direct ? 0 : this.stride * (across ? step : tile);
    this.count = direct ? 0 : tile * step / VECTOR / threads;
    if (!Number.isInteger(this.count) || threads % 32 !== 0) {
      throw new RangeError(`tile does not divide: ${name}`);
    }
  }

  /** Vectors in one row of what a step copies, as they lie globally. */
  get #row(): number {
    const whole = (this.across ? this.tile : this.step) / VECTOR;
    return this.pack.rows === 1 ? whole : Math.min(this.pack.width / VECTOR, whole);
  }

  /**
   * Where this invocation's first vector lies globally and in workgroup memory. Eight lanes store at
   * once: rows whose places differ by a multiple of 128 bytes would share banks, hence the shuffle,
   * which keeps a subgroup's 512 bytes and changes who takes which.
   */
  places(shuffle: boolean): string[] {
    if (this.direct) return [];
    const { name, stride } = this;
    const { rows } = this.pack;
    const row = this.#row;
    const shuffled: Record<number, string> = {
      2: "(t & ~31u) + ((t >> 3u) & 1u) * 2u + ((t >> 4u) & 1u) * 16u + ((t >> 1u) & 3u) * 4u + (t & 1u)",
      4: "(t & ~31u) + ((t >> 3u) & 3u) * 4u + ((t >> 2u) & 1u) * 16u + (t & 3u)",
    };
    const p = (shuffle ? shuffled[row] : undefined) ?? "t";
    const pitch = rows === 1 ? this.length / VECTOR : row;
    return !this.across
      ? [
        `let ${name}p = ${p};`,
        `let ${name}_to = (${name}p / ${row}u % ${this.tile}u) * ${stride}u + ${name}p / ${
          row * this.tile
        }u * ${row}u + ${name}p % ${row}u;`,
        rows === 1
          ? `let ${name}_from = (${name}p / ${row}u) * ${pitch}u + ${name}p % ${row}u;`
          : `let ${name}_from = ${name}p;`,
      ]
      : [
        `let ${name}p = ${p};`,
        `let ${name}r = (${name}p / ${row}u) % ${this.step}u;`,
        `let ${name}c = ${name}p / ${row * this.step}u;`,
        `let ${name}_to = ${name}r * ${stride}u + ${name}c * ${row}u + ${name}p % ${row}u;`,
        `let ${name}_from = ${name}c * ${rows * row}u + ${name}r * ${pitch}u + ${name}p % ${row}u;`,
      ];
  }

  /** How far an invocation's vector `i` lies from its first: literals cost no registers. */
  offset(i: number): { global: number; memory: number } {
    const row = this.#row;
    const at = i * this.threads / row;
    if (!Number.isInteger(at)) throw new RangeError("rows do not divide the workgroup");
    const { rows } = this.pack;
    const pitch = rows === 1 ? this.length / VECTOR : row;
    if (!this.across) {
      const slices = rows === 1 ? 0 : Math.floor(at / this.tile);
      return {
        global: at * pitch,
        memory: slices * row + (at - slices * this.tile) * this.stride,
      };
    }
    const chunks = Math.floor(at / this.step);
    const down = at % this.step;
    return {
      global: chunks * rows * row + down * pitch,
      memory: chunks * row + down * this.stride,
    };
  }

  /** Where the block of step `k` (in units of depth) begins; `first` is the tile's first row. */
  base(first: string, k: string): string {
    const { rows, width } = this.pack;
    if (!this.across) {
      return rows === 1
        ? `${first} * ${this.length / VECTOR}u + ${k} / ${VECTOR}u`
        : `${first} * ${this.length / VECTOR}u + (${k} / ${this.step}u) * ${
          this.tile * this.step / VECTOR
        }u`;
    }
    if (rows === 1) return `${k} * ${this.length / VECTOR}u + ${first} / ${VECTOR}u`;
    return `((${k} / ${rows}u) * ${this.length / width}u + ${first} / ${width}u) * ${
      rows * width / VECTOR
    }u + (${k} % ${rows}u) * ${width / VECTOR}u`;
  }

  /** Loads matrix `f` of the subgroup whose rows begin at `own`, at depth `kk * 16` of the step. */
  load(f: number, kk: number, own: string, memory: string, offset: number, first: string): string {
    const left = this.name === "a";
    const type = `subgroup_matrix_${left ? "left" : "right"}<f16, ${
      left ? 16 : this.fragment
    }, 16>`;
    if (this.direct) {
      const at = `(((${first} + ${own}) / 16u + ${f}u) * ${this.length / 16}u + k / 16u + ${kk}u)`;
      return `subgroupMatrixLoad<${type}, ${
        left ? "row_major" : "col_major"
      }>(&${this.source}, ${at} * 32u, 2u)`;
    }
    const along = left === this.across ? "col_major" : "row_major";
    const at = this.across
      ? `${this.name}o + ${offset + kk * 16 * this.stride + f * this.fragment / VECTOR}u`
      : `${this.name}o + ${offset + kk * 2 + f * this.fragment * this.stride}u`;
    return `subgroupMatrixLoad<${type}, ${along}>(&${memory}, ${at}, ${this.stride}u)`;
  }
}

const range = (n: number) => Array.from({ length: n }, (_, i) => i);

/** Writes one kernel; each method writes a stage. */
class Writer {
  readonly #lines: string[] = [];
  readonly #variant: Variant;
  readonly #sides: Sides;
  readonly #depth: number;
  readonly #forward: boolean;
  readonly #left: Operand;
  readonly #right: Operand;
  /** Matrices of results a subgroup holds, down and across, and the columns of one. */
  readonly #down: number;
  readonly #across: number;
  readonly #columns: number;
  readonly #windows: number;
  /** Vectors in a row of results in workgroup memory, and in what a subgroup has there. */
  readonly #pitch: number;
  readonly #region: number;

  constructor(v: Variant, shape: Shape) {
    const product = v.product ?? "forward";
    const s = sides(product, shape);
    const [rows, columns, step] = v.tile;
    const [along, across] = v.subgroups;
    const threads = along * across * 32;
    const packs = packing(v, shape);
    this.#variant = v;
    this.#sides = s;
    this.#depth = paddedDepth(v, s);
    this.#forward = product === "forward";
    this.#columns = v.columns ?? 16;
    this.#down = rows / along / 16;
    this.#across = columns / across / this.#columns;
    this.#windows = v.windows ?? 33;
    this.#left = new Operand(
      "a",
      "left",
      s.leftAcross,
      rows,
      step,
      packs.left,
      s.leftAcross ? s.rows : this.#depth,
      threads,
      v.left === "direct",
      16,
    );
    this.#right = new Operand(
      "b",
      "right",
      s.rightAcross,
      columns,
      step,
      packs.right,
      s.rightAcross ? s.columns : this.#depth,
      threads,
      v.right === "direct",
      this.#columns,
    );
    const whole = [s.rows / rows, s.columns / columns];
    if (!whole.every(Number.isInteger)) throw new RangeError("tiles do not divide the shape");
    const unrolled = v.buffers === 2 || v.copy === "two ahead";
    if (unrolled && this.#depth / step % 2 !== 0) throw new RangeError("an odd number of steps");
    // Two vectors of skew let the 4 rows x 2 halves that eight lanes read meet no bank twice.
    this.#pitch = columns / across / 4 + (v.epilogue === "plain" ? 0 : 2);
    this.#region = 16 * (v.round ?? 1) * this.#pitch * (v.epilogue === "pingpong" ? 2 : 1);
  }

  write(): { code: string; workgroups: number } {
    const { without } = this.#variant;
    this.#head();
    const workgroups = this.#forward ? this.#windowOfTokens() : this.#oneTile();
    this.#places();
    if (without === "epilogue") this.#zero();
    this.#put(`for (var column = first; column < end; column += ${this.#variant.tile[1]}u) {`);
    if (this.#variant.adds) this.#loadResults();
    else if (without !== "epilogue") this.#zero();
    this.#product();
    if (!this.#forward) {
      this.#store();
      this.#put(`} }`);
    } else {
      this.#statistics();
      if (this.#variant.buffers === 2) this.#put(`workgroupBarrier();`);
      this.#put(`}`);
      this.#flush();
      this.#put(this.#variant.pairs === undefined ? `}` : `} }`);
    }
    return { code: this.#lines.join("\n"), workgroups };
  }

  #put(...text: string[]): void {
    this.#lines.push(...text);
  }

  /** Bindings, workgroup memory and what every kernel knows of itself. */
  #head(): void {
    const a = this.#left;
    const b = this.#right;
    const [TM, TN] = this.#variant.tile;
    const [SM, SN] = this.#variant.subgroups;
    const access = this.#variant.access ?? "read";
    const results = this.#forward ? SM * SN * this.#region : 0;
    const memory = Math.max((this.#variant.buffers ?? 1) * (a.size + b.size), results) +
      (this.#variant.ballast ?? 0) / 16;
    this.#put(
      `enable f16; enable subgroups; enable chromium_experimental_subgroup_matrix;`,
      `diagnostic(off, chromium.subgroup_matrix_uniformity); diagnostic(off, subgroup_uniformity);`,
      `@group(0) @binding(0) var<storage, ${a.direct ? "read" : access}> left: array<vec4<u32>>;`,
      `@group(0) @binding(1) var<storage, ${b.direct ? "read" : access}> right: array<vec4<u32>>;`,
      this.#forward
        ? `@group(0) @binding(2) var<storage, read_write> result: array<vec2<f32>>;`
        : `@group(0) @binding(2) var<storage, read_write> result: array<f32>;`,
      `var<workgroup> memory: array<vec4<u32>, ${memory}>;`,
      `@compute @workgroup_size(${SM * SN * 32})`,
      `fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) t: u32,`,
      `  @builtin(subgroup_id) subgroup: u32, @builtin(subgroup_invocation_id) lane: u32) {`,
      `let sm = (subgroup / ${SN}u) * ${TM / SM}u; let sn = (subgroup % ${SN}u) * ${TN / SN}u;`,
      `let id = workgroup.x;`,
    );
  }

  /** Which tile of tokens and which window of the vocabulary a workgroup takes; how many there are. */
  #windowOfTokens(): number {
    const v = this.#variant;
    const [TM, TN] = v.tile;
    const tilesDown = this.#sides.rows / TM;
    const tilesAcross = this.#sides.columns / TN;
    const group = v.group ?? tilesDown;
    const windows = this.#windows;
    let workgroups: number;
    const units = tilesDown * windows;
    if (v.pairs === undefined) {
      this.#put(
        `let tileRow = (id / ${group * windows}u) * ${group}u + id % ${group}u;`,
        `let window = (id % ${group * windows}u) / ${group}u;`,
      );
      workgroups = units;
    } else {
      const apart = v.apart ?? v.pairs;
      const g = group / 2;
      this.#put(
        `let pair = (id / ${2 * apart}u) * ${apart}u + id % ${apart}u;`,
        `for (var unit = pair; unit < ${units / 2}u; unit += ${v.pairs}u) {`,
        `let tileRow = ((unit / ${
          g * windows
        }u) * ${g}u + unit % ${g}u) * 2u + (id / ${apart}u) % 2u;`,
        `let window = (unit % ${g * windows}u) / ${g}u;`,
      );
      workgroups = 2 * v.pairs;
    }
    this.#put(
      `let row0 = tileRow * ${TM}u;`,
      `let rowLoad = ${v.without === "token tiles" ? "0u" : "row0"};`,
      `let first = (window * ${tilesAcross}u / ${windows}u) * ${TN}u;`,
      `let end = ((window + 1u) * ${tilesAcross}u / ${windows}u) * ${TN}u;`,
    );
    for (const i of range(this.#down)) this.#put(`var m${i} = -3e38; var l${i} = 0.0;`);
    return workgroups;
  }

  /** Which tile of a gradient a workgroup takes; how many there are. */
  #oneTile(): number {
    const v = this.#variant;
    const [TM, TN] = v.tile;
    const tilesDown = this.#sides.rows / TM;
    const tilesAcross = this.#sides.columns / TN;
    const group = v.group ?? tilesDown;
    this.#put(
      `let tileRow = (id / ${group * tilesAcross}u) * ${group}u + id % ${group}u;`,
      `let row0 = tileRow * ${TM}u; let rowLoad = row0;`,
      `let first = ((id % ${group * tilesAcross}u) / ${group}u) * ${TN}u; let end = first + 1u;`,
    );
    return tilesDown * tilesAcross;
  }

  #places(): void {
    const a = this.#left;
    const b = this.#right;
    const shuffle = this.#variant.shuffle ?? true;
    this.#put(...a.places(shuffle), ...b.places(shuffle));
    this.#put(`let ao = sm ${a.across ? `/ ${VECTOR}u` : `* ${a.stride}u`};`);
    this.#put(`let bo = sn ${b.across ? `/ ${VECTOR}u` : `* ${b.stride}u`};`);
  }

  #zero(): void {
    for (const i of range(this.#down)) {
      for (const j of range(this.#across)) {
        this.#put(`var c${i}_${j} = subgroup_matrix_result<f32, ${this.#columns}, 16>(0f);`);
      }
    }
  }

  #registers(set: string): void {
    for (const x of [this.#left, this.#right]) {
      for (const i of range(x.count)) this.#put(`var ${x.name}${set}${i} = vec4<u32>();`);
    }
  }

  /** Global loads of the step at depth `k` into a set of registers. */
  #loads(set: string, k: string): void {
    const a = this.#left;
    const b = this.#right;
    if (this.#variant.without === "global loads") return;
    this.#put(`{`);
    for (const [x, first] of [[a, "rowLoad"], [b, "column"]] as const) {
      if (x.count > 0) this.#put(`let ${x.name}t = ${x.base(first, k)} + ${x.name}_from;`);
      for (const i of range(x.count)) {
        this.#put(`${x.name}${set}${i} = ${x.source}[${x.name}t + ${x.offset(i).global}u];`);
      }
    }
    this.#put(`}`);
  }

  /** That set of registers into a buffer of workgroup memory. */
  #stores(set: string, buffer: number): void {
    const a = this.#left;
    const b = this.#right;
    const operands = a.size + b.size;
    for (const x of [a, b]) {
      const at = buffer * operands + (x === b ? a.size : 0);
      for (const i of range(x.count)) {
        this.#put(`memory[${x.name}_to + ${at + x.offset(i).memory}u] = ${x.name}${set}${i};`);
      }
    }
  }

  /** The left matrices of a slice of 16 of a step's depth; the right ones are loaded one by one. */
  #leftMatrices(kk: number, buffer: number): void {
    const a = this.#left;
    const at = buffer * (a.size + this.#right.size);
    for (const i of range(this.#down)) {
      this.#put(`let x${kk}_${i} = ${a.load(i, kk, "sm", "memory", at, "rowLoad")};`);
    }
  }

  #rightMatrix(kk: number, j: number, buffer: number): void {
    const at = buffer * (this.#left.size + this.#right.size) + this.#left.size;
    this.#put(`let y${kk}_${j} = ${this.#right.load(j, kk, "sn", "memory", at, "column")};`);
  }

  /** The multiplications of slices `from` to `to` of a step. */
  #multiply(from: number, to: number, buffer: number): void {
    const { without } = this.#variant;
    for (let kk = from; kk < to; kk++) {
      if (without !== "loads") this.#leftMatrices(kk, buffer);
      for (const j of range(this.#across)) {
        if (without !== "loads") this.#rightMatrix(kk, j, buffer);
        for (const i of range(this.#down)) {
          if (without === "multiplications" && i !== j % this.#down) continue;
          this.#put(
            `c${i}_${j} = subgroupMatrixMultiplyAccumulate(x${kk}_${i}, y${kk}_${j}, c${i}_${j});`,
          );
        }
      }
    }
  }

  /** The product over the whole depth. */
  #product(): void {
    const { without, buffers, copy } = this.#variant;
    if (without === "loads") {
      this.#put(`let k = 0u;`);
      for (const kk of range(this.#variant.tile[2] / 16)) {
        this.#leftMatrices(kk, 0);
        for (const j of range(this.#across)) this.#rightMatrix(kk, j, 0);
      }
    }
    const copies = this.#left.size + this.#right.size > 0;
    if (without === "copies" || without === "loads" || !copies) this.#uncopied();
    else if (buffers === 2) this.#twoBuffers();
    else if (copy === "two ahead") this.#oneBufferTwoAhead();
    else this.#oneBuffer();
  }

  /** A place of the depth, `steps` after `k`; beyond the end the last one again, whose copy is not used. */
  #ahead(k: string, steps: number): string {
    const step = this.#variant.tile[2];
    return `min(${k} + ${steps * step}u, ${this.#depth - step}u)`;
  }

  #uncopied(): void {
    const step = this.#variant.tile[2];
    this.#registers("p");
    this.#put(`for (var k = 0u; k < ${this.#depth}u; k += ${step}u) {`);
    this.#multiply(0, step / 16, 0);
    this.#put(`}`);
  }

  #oneBuffer(): void {
    const { copy = "inside", tile: [, , BK] } = this.#variant;
    const all = BK / 16;
    const middle = Math.floor(all / 2);
    this.#registers("p");
    if (copy !== "inside") this.#loads("p", "0u");
    this.#put(`for (var k = 0u; k < ${this.#depth}u; k += ${BK}u) {`);
    this.#put(`workgroupBarrier();`);
    if (copy === "inside") this.#loads("p", "k");
    this.#stores("p", 0);
    const fetch = () => this.#loads("p", this.#ahead("k", 1));
    if (copy === "early") fetch();
    this.#put(`workgroupBarrier();`);
    if (copy === "ahead") fetch();
    this.#multiply(0, copy === "halfway" ? middle : all, 0);
    if (copy === "halfway") {
      fetch();
      this.#multiply(middle, all, 0);
    }
    this.#put(`}`);
  }

  #oneBufferTwoAhead(): void {
    const [, , BK] = this.#variant.tile;
    const all = BK / 16;

    this.#registers("p");
    this.#registers("q");
    this.#loads("p", "0u");
    this.#loads("q", this.#ahead("0u", 1));
    this.#put(`for (var k0 = 0u; k0 < ${this.#depth}u; k0 += ${2 * BK}u) {`);
    for (const half of [0, 1]) {
      const set = half === 0 ? "p" : "q";
      this.#put(`{ let k = k0 + ${half * BK}u;`);
      this.#put(`workgroupBarrier();`);
      this.#stores(set, 0);
      this.#put(`workgroupBarrier();`);
      this.#loads(set, this.#ahead("k", 2));
      this.#multiply(0, all, 0);
      this.#put(`}`);
    }
    this.#put(`}`);
  }

  #twoBuffers(): void {
    const { copy = "inside", tile: [, , BK] } = this.#variant;
    const all = BK / 16;
    const middle = Math.floor(all / 2);
    this.#registers("p");
    this.#loads("p", "0u");
    this.#put(`workgroupBarrier();`);
    this.#stores("p", 0);
    if (copy === "two ahead") {
      this.#registers("q");
      this.#loads("p", this.#ahead("0u", 1));
    }
    this.#put(`workgroupBarrier();`);
    this.#put(`for (var k0 = 0u; k0 < ${this.#depth}u; k0 += ${2 * BK}u) {`);
    for (const half of [0, 1]) {
      this.#put(`{ let k = k0 + ${half * BK}u;`);
      if (copy === "inside") { // the other buffer's copy, whole, between this one's halves
        this.#multiply(0, middle, half);
        this.#loads("p", this.#ahead("k", 1));
        this.#stores("p", 1 - half);
        this.#multiply(middle, all, half);
      } else if (copy === "two ahead") {
        this.#loads(half === 0 ? "q" : "p", this.#ahead("k", 2));
        this.#multiply(0, all, half);
        this.#stores(half === 0 ? "p" : "q", 1 - half);
      } else {
        this.#loads("p", this.#ahead("k", 1));
        this.#multiply(0, all, half);
        this.#stores("p", 1 - half);
      }
      this.#put(`workgroupBarrier(); }`);
    }
    this.#put(`}`);
  }

  /** Where the `i`-th row of matrices of a gradient has its `j`-th, in the result. */
  #resultAt(i: number, j: number): string {
    const { columns } = this.#sides;
    return `(row0 + sm + ${i * 16}u) * ${columns}u + column + sn + ${j * this.#columns}u`;
  }

  /** Sums that begin with what is there: every load is in flight before the first product. */
  #loadResults(): void {
    for (const i of range(this.#down)) {
      for (const j of range(this.#across)) {
        this.#put(
          `var c${i}_${j} = subgroupMatrixLoad<subgroup_matrix_result<f32, ${this.#columns}, 16>, row_major>(&result, ${
            this.#resultAt(i, j)
          }, ${this.#sides.columns}u);`,
        );
      }
    }
  }

  /** Results of a gradient, where they belong. */
  #store(): void {
    for (const i of range(this.#down)) {
      for (const j of range(this.#across)) {
        this.#put(
          `subgroupMatrixStore<row_major>(&result, ${
            this.#resultAt(i, j)
          }, c${i}_${j}, ${this.#sides.columns}u);`,
        );
      }
    }
  }

  /**
   * The tile's part of each token's maximum and sum: matrices cannot be looked into, so 16 rows at a
   * time go through workgroup memory, two lanes to a row.
   */
  #statistics(): void {
    const { without, round = 1, epilogue = "skewed", tile: [, TN] } = this.#variant;
    const columns = this.#columns;
    const pitch = this.#pitch;
    const places = epilogue === "pingpong" ? 2 : 1;
    const region = this.#region / places;
    const wn = TN / this.#variant.subgroups[1];
    if (without === "epilogue") this.#put(`if (column + ${TN}u >= end) {`);
    const reads = wn / 8; // vectors of its half of a row that one lane takes
    for (let r = 0; r < this.#down; r += round) {
      const own = `subgroup * ${region * places}u + ${(r / round) % places * region}u`;
      if (places === 1 || r === 0) this.#put(`workgroupBarrier();`);
      for (const i of range(round)) {
        for (const j of range(this.#across)) {
          this.#put(
            `subgroupMatrixStore<row_major>(&memory, ${own} + ${
              i * 16 * pitch + j * columns / 4
            }u, c${r + i}_${j}, ${pitch}u);`,
          );
        }
      }
      this.#put(`workgroupBarrier();`);
      for (const i of range(round)) {
        const n = r + i;
        const at = epilogue === "plain"
          ? `lane / 2u * ${pitch}u + lane % 2u * ${reads}u`
          : `lane / 2u * ${pitch}u + lane % 2u`;
        this.#put(`{ let at = ${own} + ${i * 16 * pitch}u + ${at}; var top = vec4<f32>(m${n});`);
        for (const q of range(reads)) {
          const step = epilogue === "plain" ? q : 2 * q;
          this.#put(
            `let z${q} = bitcast<vec4<f32>>(memory[at + ${step}u]); top = max(top, z${q});`,
          );
        }
        this.#put(
          `let peak = max(max(top.x, top.y), max(top.z, top.w)); var sum = vec4<f32>();`,
          `let shift = peak * 1.44269504;`,
        );
        for (const q of range(reads)) this.#put(`sum += exp2(z${q} * 1.44269504 - shift);`);
        this.#put(
          `l${n} = l${n} * exp2(m${n} * 1.44269504 - shift) + sum.x + sum.y + sum.z + sum.w; m${n} = peak; }`,
        );
      }
    }
    if (without === "epilogue") this.#put(`}`);
  }

  /** Each token's maximum and sum over the window, once for each subgroup across. */
  #flush(): void {
    const [, SN] = this.#variant.subgroups;
    const windows = this.#windows;
    for (const i of range(this.#down)) {
      this.#put(
        `{ let om = subgroupShuffleXor(m${i}, 1u); let ol = subgroupShuffleXor(l${i}, 1u);`,
        `let m = max(m${i}, om); let l = l${i} * exp(m${i} - m) + ol * exp(om - m);`,
        `if (lane % 2u == 0u) { result[((row0 + sm + ${
          i * 16
        }u + lane / 2u) * ${windows}u + window) * ${SN}u + subgroup % ${SN}u] = vec2<f32>(m, l); } }`,
      );
    }
  }
}

/** Returns the WGSL of a variant for one shape, and how many workgroups it takes. */
export function kernel(v: Variant, shape: Shape): { code: string; workgroups: number } {
  return new Writer(v, shape).write();
}

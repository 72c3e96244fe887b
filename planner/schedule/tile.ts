/**
 * Tiles: the block of a matrix product that one workgroup computes, in whichever
 * body. Shapes only; the WGSL is made in `kernels/`.
 *
 * @module
 */
import type { DeviceProfile } from "../device.ts";
import { mirrored, mostSlope } from "../heads/distill.ts";
import { type Problem, teacherLearns } from "../problem.ts";
import { UNKNOWN_TILE_RATE } from "../tuning.ts";
import type {
  MatrixBody,
  RatedTile,
  RegisterBody,
  SplitBody,
  SubgroupBody,
  Tile,
  TileBody,
} from "./bodies.ts";
import { type Abilities, type BodyKind, type Tier, TIERS } from "./body_kind.ts";
import { MATRICES, SPLIT, type SubgroupTile } from "./matrix_tiles.ts";
import { REGISTERS, type RegisterTile, tunable } from "./register_tiles.ts";

export type {
  Abilities,
  MatrixBody,
  RatedTile,
  RegisterBody,
  RegisterTile,
  SplitBody,
  SubgroupBody,
  SubgroupTile,
  Tier,
  Tile,
  TileBody,
};
export { TIERS };
export { type Layout, registerTile, rowQuads, TILES } from "./register_tiles.ts";
export {
  lineVectors,
  MATRIX_FEATURES,
  partsOf,
  resultQuads,
  ROUND_ROWS,
  VECTOR,
} from "./matrix_tiles.ts";

/** Every kind of body, those first whose products are the fastest where a device can run them. */
const KINDS: { readonly [Body in TileBody as Body["kind"]]: BodyKind<Body> } = {
  matrix: MATRICES,
  split: SPLIT,
  registers: REGISTERS,
};

/** Returns what is known of the kind of body that a tile has. */
export function kindOf({ body }: Pick<Tile, "body">): BodyKind<TileBody> {
  return KINDS[body.kind] as BodyKind<TileBody>;
}

/** Returns whether a tile's operands are multiplied as they are stored, in f16. */
export function takesHalves({ body }: Pick<Tile, "body">): boolean {
  return body.kind === "matrix";
}

/** Returns whether a tile is summed in subgroup matrices, of operands of whichever type. */
export function inSubgroups(tile: Tile): tile is SubgroupTile {
  return tile.body.kind !== "registers";
}

/** Returns the arithmetic rate of a tile relative to the fastest of its body: as rated on the device, or as shipped. */
export function relativeRate(
  tile: Tile,
  rated: readonly RatedTile[] = kindOf(tile).rated(tile.body),
): number {
  return rated.find((other) => sameTile(tile, other))?.rate ?? UNKNOWN_TILE_RATE;
}

/** Returns whether two tiles are the same. */
export function sameTile(a: Tile, b: Tile): boolean {
  return a === b || a.rows === b.rows && a.cols === b.cols && a.depth === b.depth &&
      a.body.kind === b.body.kind && kindOf(a).same(a.body, b.body);
}

/** Returns the invocations of one workgroup. */
export function workgroupSize(tile: Tile): number {
  return kindOf(tile).workgroupSize(tile);
}

/** Returns the workgroup memory of a tile at its largest, in bytes. */
export function workgroupBytes(tile: Tile): number {
  return kindOf(tile).workgroupBytes(tile);
}

/** Returns why a tile cannot run on a device, if so. */
export function tileProblem(tile: Tile, device: Abilities): string | undefined {
  const fault = kindOf(tile).fault(tile, device);
  if (fault !== undefined) return fault;
  const { limits } = device;
  const invocations = workgroupSize(tile);
  const allowed = Math.min(
    limits.maxComputeInvocationsPerWorkgroup,
    limits.maxComputeWorkgroupSizeX,
  );
  if (invocations > allowed) {
    return `needs ${invocations} invocations in a workgroup, the device allows ${allowed}`;
  }
  const bytes = workgroupBytes(tile);
  if (bytes > limits.maxComputeWorkgroupStorageSize) {
    return `needs ${bytes} bytes of workgroup memory, the device has ${limits.maxComputeWorkgroupStorageSize}`;
  }
}

/**
 * Returns the tiles that run on a device and that a problem can have, the preferred first: all of
 * them, or those of a tier.
 */
export function tilesFor(
  problem: Problem,
  device: Abilities & Pick<DeviceProfile, "rates">,
  tier?: Tier,
): Tile[] {
  return BODY_KINDS
    .filter((kind) => unsuitedTo(kind, problem) === undefined)
    .filter((kind) => tier === undefined || KINDS[kind].tier === tier)
    .flatMap((kind) => feasibleTiles(kind, device));
}

/** Returns why a problem's products cannot be of a tier on a device, if so. */
export function tierProblem(
  tier: Tier,
  problem: Problem,
  device: Abilities & Pick<DeviceProfile, "rates">,
): string | undefined {
  if (tilesFor(problem, device, tier).length > 0) return undefined;
  const kind = BODY_KINDS.find((kind) => KINDS[kind].tier === tier)!;
  return unsuitedTo(kind, problem) ?? "needs subgroup matrices, which the device does not have";
}

/** Returns why a problem's products cannot have a kind of body, if so. */
export function unsuitedTo(
  kind: TileBody["kind"],
  problem: Problem,
): string | undefined {
  const { heads, distill, subTokens, sampledTokens, pass } = problem;
  // What is left of sub-tokens, and a state times a weight, is in f32, and nobody knows its bound.
  if (KINDS[kind].scales && (subTokens !== undefined || sampledTokens !== undefined)) {
    const of = subTokens === undefined ? "some tokens, by weight" : "sub-tokens";
    return `takes the weight's gradient from hidden states as they are, and this is from ${of}`;
  }
  // Operands that are split are scaled by the largest elements of one head.
  if (kind === "split") {
    if (distill) return "takes one head, and this has a teacher beside it";
    if (heads.length > 1) return `takes one head, and there are ${heads.length}`;
  }
  if (distill && pass === "train" && KINDS[kind].scales) {
    const unbounded = [distill, ...(teacherLearns(problem) ? [mirrored(distill)] : [])]
      .find((each) => mostSlope(each) === undefined);
    if (unbounded) {
      return `scales logit gradients by the most that they may be, which nobody knows of ${unbounded.divergence}`;
    }
  }
  for (const head of heads) {
    const reason = KINDS[kind].unsuitedTo(head);
    if (reason !== undefined) return reason;
  }
}

/** Returns the tiles with a kind of body that run on a device, the preferred first. */
export function feasibleTiles(
  kind: TileBody["kind"],
  device: Abilities & Pick<DeviceProfile, "rates">,
): Tile[] {
  return KINDS[kind].tiles(device).filter((tile) => tileProblem(tile, device) === undefined);
}

const BODY_KINDS = Object.keys(KINDS) as readonly TileBody["kind"][];

/** Returns the arithmetic of a tile's products. */
export function tierOf(tile: Pick<Tile, "body">): Tier {
  return kindOf(tile).tier;
}

/** Returns every shape in registers worth measuring on a device: powers of two that it has room for. */
export function tunableTiles(device: Abilities): Tile[] {
  return tunable((tile) => tileProblem(tile, device) === undefined);
}

/** Returns a tile as people write it: `64x128x16, 8x8`. */
export function formatTile(tile: Tile): string {
  return `${tile.rows}x${tile.cols}x${tile.depth}, ${kindOf(tile).format(tile.body)}`;
}

/**
 * What a kind of body is to the planner. A new one is a type in `bodies.ts` and in the schema of
 * profiles, a record of what stands here in a module of its own, a line in `tile.ts`, and its
 * text in `kernels/wgsl/`.
 *
 * @module
 */
import type { BodyRates, DeviceProfile, DeviceRates } from "../device.ts";
import type { Dtype } from "../dtype.ts";
import type { Head } from "../problem.ts";
import type { RatedTile, Tile, TileBody } from "./bodies.ts";

/**
 * The arithmetic of products: in f32 on any device; `matrix`, operands in f16, or bf16 that becomes it, and sums in f32; or
 * `split`, the same of operands in f32 that are each a sum of two in f16.
 */
export const TIERS = ["f32", "matrix", "split"] as const satisfies readonly Tier[];

/** Name of an arithmetic of products. */
export type Tier = "f32" | "matrix" | "split";

/** What decides whether a device can run a tile. */
export type Abilities = Pick<DeviceProfile, "limits" | "features" | "matrices" | "subgroups">;

/** A tile with some body. */
export type TileWith<Body extends TileBody> = Tile & { readonly body: Body };

/** How the time of products goes, in ways that differ by body. */
export interface BodyTimes {
  /** Share by which waves of workgroups no longer finish together at the end of a dispatch. */
  readonly drain: number;
  /** What a workgroup does before and after its sum, in terms of the depth. */
  readonly endsDepth: number;
  /** Whether each wave takes that long, or only the first and last of a dispatch. */
  readonly everyWave: boolean;
  /** What of a product's time each id of a list adds, that rows of its results are taken into as they come. */
  readonly listedId: number;
  /** Whether arithmetic hides traffic, or both take their time. */
  readonly hidesTraffic: boolean;
}

/** All that the planner knows of a kind of body, and that tells it from others. */
export interface BodyKind<Body extends TileBody> {
  readonly tier: Tier;
  /** Elements of the vectors in which kernels load operands and store results. */
  readonly vector: number;
  /** Type of logit gradients, as products take them. */
  readonly gradients: Dtype;
  /** Whether a workgroup takes runs of vocabulary tiles, and keeps one set of statistics for each. */
  readonly runs: boolean;
  /** Whether operands are multiplied by powers of two, that of the largest element of each. */
  readonly scales: boolean;
  /** Longest depth that one sum of a gradient goes over, where longer ones would lose too much. */
  readonly longestSum?: number;
  /** How operands are bound. */
  readonly operandAccess: "read" | "read_write";
  readonly times: BodyTimes;
  /** Returns why a head cannot have such products, if so. */
  unsuitedTo(head: Head): string | undefined;
  /** Returns the tiles that a device can be asked for, the preferred first: those rated on it, or the shipped ones. */
  tiles(device: Pick<DeviceProfile, "matrices" | "rates">): readonly TileWith<Body>[];
  /** Returns the shipped tiles that such a body may be of, with their rates. */
  rated(body: Body): readonly RatedTile[];
  /** Returns the rates of such products, as they were measured. */
  measured(rates: DeviceRates): BodyRates | undefined;
  /** Returns a guess at those rates. */
  guessed(rates: DeviceRates): BodyRates;
  /** Returns the invocations of one workgroup. */
  workgroupSize(tile: TileWith<Body>): number;
  /** Returns the workgroup memory of a tile at its largest, in bytes. */
  workgroupBytes(tile: TileWith<Body>): number;
  /** Returns why kernels cannot be written for a tile, or not run on a device but for its limits, if so. */
  fault(tile: TileWith<Body>, device: Abilities): string | undefined;
  /** Returns the features of a device that kernels need. */
  features(body: Body): readonly string[];
  /** Returns whether two bodies are the same. */
  same(a: Body, b: Body): boolean;
  /** Returns a body as people write it. */
  format(body: Body): string;
  /** Returns what a body is, in a few words for people. */
  describe(body: Body): string;
  /** Returns what a body is, in numbers by name, in words of a projection. */
  facts(body: Body): Readonly<Record<string, number | readonly number[]>>;
}

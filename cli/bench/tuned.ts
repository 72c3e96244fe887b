/**
 * Rates that `lce tune` measured on this machine, kept between runs: one entry
 * for each device, driver and text of the kernels.
 *
 * @module
 */
import { dirname, join } from "node:path";
import * as z from "zod";
import { InputError } from "../../fixtures/errors.ts";
import { systemReason, writeWhole } from "../../fixtures/files/write.ts";
import { kernelVersion } from "../../kernels/wgsl/version.ts";
import { userCache } from "../files/cache.ts";
import { webgpuVersion } from "../request/webgpu.ts";
import type { DeviceProfile, DeviceRates } from "../../planner/device.ts";
import { ratesSchema } from "../../planner/device_schema.ts";

const cacheSchema = z.record(z.string(), ratesSchema);

/** Returns the file that tuned rates are kept in. */
export function tunedPath(): string {
  const own = Deno.env.get("LCE_CACHE");
  if (own) return join(own, "tuned.json");
  return join(userCache(), "tuned.json");
}

/**
 * Returns what tuned rates hold for. WebGPU does not tell the driver's version; Deno's own stands
 * for that of the WebGPU implementation within it.
 */
export function tunedKey({ name, webgpu, limits }: DeviceProfile): string {
  const limitsText = Object.values(limits).join(" ");
  return `${name} | ${Deno.build.os} ${webgpuVersion(webgpu)} | ${limitsText} | ${kernelVersion()}`;
}

/** Returns whether an error is of the file system: no such file, no folder, no permission. */
function isFileError(error: unknown): boolean {
  return error instanceof Deno.errors.NotFound || error instanceof Deno.errors.NotADirectory ||
    error instanceof Deno.errors.IsADirectory || error instanceof Deno.errors.PermissionDenied ||
    error instanceof Deno.errors.AlreadyExists;
}

/** Reads what is kept; a file that is missing, out of reach or damaged counts as empty, for it can be made again. */
async function readAll(path: string): Promise<Record<string, DeviceRates>> {
  try {
    const parsed = cacheSchema.safeParse(JSON.parse(await Deno.readTextFile(path)));
    return parsed.success ? parsed.data : {};
  } catch (error) {
    if (error instanceof SyntaxError || isFileError(error)) return {};
    throw error;
  }
}

/** Returns a profile with the rates tuned on this machine, where there are some. */
export async function withTunedRates(profile: DeviceProfile): Promise<DeviceProfile> {
  const rates = (await readAll(tunedPath()))[tunedKey(profile)];
  if (!rates) return profile;
  // What was not tuned, products in matrices, is as it was known before.
  const matrix = rates.matrix ?? profile.rates?.matrix;
  return { ...profile, rates: { ...rates, ...(matrix ? { matrix } : {}) } };
}

/**
 * Finds out whether rates could be kept, before time is spent on measuring them.
 *
 * @throws {InputError} when the file cannot be written.
 */
export async function checkTunedPath(): Promise<void> {
  const path = tunedPath();
  await makeFolderOf(path);
  const trial = `${path}.${crypto.randomUUID().slice(0, 8)}.tmp`;
  try {
    // Some bytes, for a full disk takes a file that has none.
    await Deno.writeFile(trial, new Uint8Array(1 << 14));
  } catch (error) {
    throw cannotKeep(path, error);
  } finally {
    await Deno.remove(trial).catch(() => {});
  }
}

async function makeFolderOf(path: string): Promise<void> {
  try {
    await Deno.mkdir(dirname(path), { recursive: true });
  } catch (error) {
    throw cannotKeep(path, error);
  }
}

function cannotKeep(path: string, error: unknown): InputError {
  return new InputError(
    `Cannot write ${path}: ${systemReason(error)}.\n` +
      "LCE_CACHE names another folder for it; --dry-run measures without keeping",
  );
}

/**
 * Keeps rates for a device, in place of what was kept for it before.
 *
 * @throws {InputError} when the file cannot be written.
 */
export async function keepTunedRates(profile: DeviceProfile, rates: DeviceRates): Promise<string> {
  const path = tunedPath();
  const all = { ...await readAll(path), [tunedKey(profile)]: rates };
  await makeFolderOf(path);
  await writeWhole(path, new TextEncoder().encode(JSON.stringify(all, null, 2) + "\n"));
  return path;
}

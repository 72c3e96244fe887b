/**
 * Device profiles in files of their own, in YAML or JSON.
 *
 * @module
 */
import type * as z from "zod";
import { InputError } from "../../fixtures/errors.ts";
import { named } from "../../fixtures/printable.ts";
import { writeWhole } from "../../fixtures/files/write.ts";
import type { DeviceProfile } from "../../planner/device.ts";
import { deviceProfileSchema } from "../../planner/device_schema.ts";
import { impossibleLimits } from "../../planner/devices/impossible.ts";
import { issueText, tellingIssues } from "../../planner/issues.ts";
import { shown } from "../../planner/shown.ts";
import { readMap } from "./map_file.ts";
import { checkNewFile } from "./new_file.ts";

/** A profile whose limits a device can have. */
export const possibleProfileSchema = deviceProfileSchema.check(({ value, issues }) => {
  for (const { limit, message } of impossibleLimits(value.limits)) {
    issues.push({ code: "custom", path: ["limits", limit], message, input: value });
  }
});

/** What tells a device's file from its name: a suffix or a path. */
export const DEVICE_FILE = /[/\\]|\.(yaml|yml|json)$/i;

/**
 * Reads a device profile from a file.
 *
 * @throws {InputError} naming file, field, value and bound where the profile is of no device.
 */
export async function readDeviceFile(path: string): Promise<DeviceProfile> {
  const value = await readMap(path, 'of a device, with "name" and "limits"');
  const parsed = possibleProfileSchema.safeParse(value);
  if (parsed.success) return parsed.data;
  throw new InputError(`${path}: ${profileFaults(parsed.error.issues, value).join("\n")}`);
}

/** Returns what is wrong with a profile, a line for each field. */
export function profileFaults(issues: readonly z.core.$ZodIssue[], profile: unknown): string[] {
  return tellingIssues(issues).map((issue) => {
    const place = issue.path.join(".");
    if (issue.code === "unrecognized_keys") {
      return `unknown setting ${
        issue.keys.map((key) => [...issue.path, named(key)].join(".")).join(", ")
      }`;
    }
    const value = issue.path.reduce<unknown>(
      (inner, key) => (inner as Record<PropertyKey, unknown> | undefined)?.[key],
      profile,
    );
    return value === undefined
      ? `${place} is needed`
      : `${place} ${shown(value)}: ${issueText(issue)}`;
  });
}

/**
 * Writes a profile as YAML, whole or not at all.
 *
 * @throws {UsageError} when the file is there already and may not be replaced.
 * @throws {InputError} when it cannot be written.
 */
export async function saveDeviceFile(
  path: string,
  profile: DeviceProfile,
  { force, now }: { force: boolean; now: Date },
): Promise<void> {
  await checkSavePath(path, force);
  const { stringify } = await import("yaml");
  const header = [
    `# Written by "lce device --save" on ${now.toISOString()}, Deno ${Deno.version.deno} on ${Deno.build.os}.`,
    `# Plan for this device elsewhere: lce plan --device ${path.split("/").at(-1)}`,
  ];
  await writeWhole(path, new TextEncoder().encode(`${header.join("\n")}\n${stringify(profile)}`));
}

/**
 * Refuses a path that `--device` would not take for a file of YAML, and a file that
 * exists, unless told to replace it.
 *
 * @throws {UsageError}
 */
export async function checkSavePath(path: string, force: boolean): Promise<void> {
  await checkNewFile("--save", path, {
    force,
    ending: /\.ya?ml$/i,
    holds: "the file holds YAML, so its name must end in .yaml",
  });
}
